#!/usr/bin/env bash
# Checks the prover that has a proving key and compiles nothing, as browsers have it, and fails if a reader of models is
# among what it is built of.
set -euo pipefail
cd "$(dirname "$0")/.."

for features in "zkml-gpu --no-default-features" "zkml-gpu-wasm" "zkml-gpu-wasm --no-default-features"; do
    # shellcheck disable=SC2086 # a package and its arguments
    crates=$(cargo tree --locked -p $features --target all -e normal --prefix none --format '{p}' | cut -d' ' -f1,2 | sort -u)
    if found=$(grep -E '^(tract.*|wgpu.*|naga|cudarc|prost.*|libloading|clap.*) ' <<<"$crates"); then
        printf 'error: %s is built of\n%s\n' "$features" "$found" >&2
        echo "hint: cargo tree -p PACKAGE -e normal -i CRATE shows by which way" >&2
        exit 1
    fi
    echo "$features: $(($(wc -l <<<"$crates") - 1)) crates, none of tract, wgpu, cudarc, prost, libloading, clap"
done
cargo check --quiet --locked -p zkml-gpu --no-default-features
