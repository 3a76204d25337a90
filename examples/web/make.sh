#!/usr/bin/env bash
# Puts beside this page what it needs: the package for JavaScript in zkml-gpu/, and the keys of LeNet with a hashed
# input, digit.pk and digit.vk. Then any server of files serves the folder: `python3 -m http.server -d examples/web`.
#
# ZKML_GPU names the program zkml-gpu; without it, Cargo builds it. ZKML_SRS names a reference string of a ceremony;
# without it the keys are made with one of this machine's own, whose owner could forge proofs, and the page says so.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

for part in prover/zkml_gpu verifier/zkml_gpu_verify; do
    if ! [ -f "$root/bindings/wasm/npm/wasm/${part}_bg.wasm" ]; then
        "$root/scripts/wasm.sh"
        break
    fi
done
rm -rf zkml-gpu
mkdir zkml-gpu
cp -r "$root"/bindings/wasm/npm/{*.js,*.d.ts,package.json,wasm} zkml-gpu/

program=("${ZKML_GPU:-}")
if [ -z "${program[0]}" ]; then
    program=(cargo run --quiet --release --locked --manifest-path "$root/Cargo.toml" -p zkml-gpu-cli --)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lenet=$root/examples/lenet
"${program[@]}" compile "$lenet/lenet.onnx" --calibration "$lenet/calibration.json" --weights public \
    --input input=hashed --out "$work/digit.zkml"
"${program[@]}" setup "$work/digit.zkml" ${ZKML_SRS:+--srs "$ZKML_SRS"} --out "$work"
cp "$work/digit.pk" "$work/digit.vk" .
chmod 644 digit.pk
