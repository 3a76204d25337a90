#!/usr/bin/env bash
# The processor's back end on 64-bit Arm, by emulation: builds the engine's unit tests for aarch64-unknown-linux-gnu and
# runs those of the back end. Says what is missing, and ends with 0, where it cannot; --required makes that a failure.
#
#   scripts/aarch64.sh [--required]
#
# What it takes, on Debian: apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# and the standard library: rustup target add aarch64-unknown-linux-gnu
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
missing=()
command -v qemu-aarch64-static >/dev/null || missing+=("qemu-aarch64-static")
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=("aarch64-linux-gnu-gcc")
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || missing+=("the standard library for $target")
if [ "${#missing[@]}" -gt 0 ]; then
    printf 'aarch64.sh: NOT RUN, without: %s\n' "${missing[@]}" >&2
    [ "${1-}" != --required ]
    exit
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
cargo test --locked --target "$target" -p zkml-gpu-engine --lib -- backend::cpu
