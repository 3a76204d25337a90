#!/usr/bin/env bash
# Makes the small ceremony files of tests/data/srs with snarkjs. Beacons instead of contributions make them reproducible,
# and their secret public: they are for tests only.
set -euo pipefail
cd "$(dirname "$0")/.."
out="$PWD/tests/data/srs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --no-save --silent snarkjs@0.7.6
snarkjs() { node_modules/.bin/snarkjs "$@" >/dev/null; }
beacon=0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
snarkjs powersoftau new bn128 4 new.ptau
snarkjs powersoftau beacon new.ptau contributed.ptau "$beacon" 10 -n=test
snarkjs powersoftau prepare phase2 contributed.ptau prepared.ptau
mkdir -p "$out"
cp contributed.ptau "$out/contributed_k4.ptau"
cp prepared.ptau "$out/prepared_k4.ptau"
