#!/usr/bin/env bash
# Builds the wheels that are published, with the C library's symbols of manylinux2014: for x86-64, and for aarch64 where `rustup target
# add aarch64-unknown-linux-gnu` has its standard library; it says which it has not built. Needs the tools of
# bindings/python/requirements-build.txt on the path. Wheels go to target/wheels; one that is larger than 30 MB is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}/wheels
most_bytes=30000000
targets=$(rustc --print sysroot)/lib/rustlib
for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
    if [ ! -d "$targets/$target/lib" ]; then
        echo "not built: $target (rustup target add $target)"
        continue
    fi
    maturin build --locked --release --zig --target "$target" --compatibility manylinux2014 -m bindings/python/Cargo.toml --out "$out"
done
for wheel in "$out"/*.whl; do
    bytes=$(stat -c %s "$wheel")
    echo "${wheel##*/}: $bytes bytes"
    if [ "$bytes" -gt "$most_bytes" ]; then
        echo "error: more than $most_bytes bytes" >&2
        exit 1
    fi
done
