#!/usr/bin/env bash
# Runs every test. Needs Rust (rustup.rs) and a C linker; installs the linker where it may. Arguments go to the test runner.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "error: cargo is not installed" >&2
    echo "hint: install Rust from rustup.rs" >&2
    exit 1
fi
# Kernels for CUDA are compiled for the host and run there.
if ! command -v c++ >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends g++
fi
if ! command -v cc >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends gcc libc6-dev
    else
        echo "error: no C linker (cc)" >&2
        echo "hint: install gcc or clang" >&2
        exit 1
    fi
fi

# Which GPU the tests of that back end run on, and which Python, or that they are skipped; fails where a driver is installed and no device
# opens. As a test of the whole workspace, for with other features every dependency would be compiled a second time.
cargo test --quiet --locked --workspace --test all --test pytest -- --exact --nocapture wgpu::a_driver_that_is_installed_opens \
    cuda::a_device_opens_where_there_is_a_compiler an_interpreter_that_is_there_has_what_tests_need

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace "$@"
    # nextest runs no examples in documentation.
    cargo test --locked --workspace --doc
else
    cargo test --locked --workspace "$@"
fi
