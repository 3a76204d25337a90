#!/usr/bin/env bash
# Builds the verifier alone, and fails if a reader of models, a back end for GPUs or a parser of arguments is among what
# it is built of.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo check --quiet --locked -p zkml-gpu-verify
# Procedural macros count too.
crates=$(cargo tree --locked -p zkml-gpu-verify -e normal --prefix none --format '{p}' | cut -d' ' -f1,2 | sort -u)
if found=$(grep -E '^(tract.*|wgpu.*|naga|cudarc|ark-.*|prost.*|libloading|clap.*) ' <<<"$crates"); then
    printf 'error: zkml-gpu-verify is built of\n%s\n' "$found" >&2
    echo "hint: cargo tree -p zkml-gpu-verify -e normal -i CRATE shows by which way" >&2
    exit 1
fi
echo "zkml-gpu-verify: $(($(wc -l <<<"$crates") - 1)) crates, none of tract, wgpu, cudarc, arkworks, prost, libloading, clap"
