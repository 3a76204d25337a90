#!/usr/bin/env bash
# Builds the package for JavaScript, bindings/wasm/npm: the prover and the verifier for WebAssembly, each with its
# JavaScript. `scripts/wasm.sh [--if-possible] [PART]...` builds one of them: prover, verifier.
#
# The standard library for WebAssembly comes from rustup. Where rustup cannot fetch it, Debian's compiler builds it from
# its sources (packages rustc-web, cargo-web, rust-web-src). ZKML_WASM_FEATURES names features of the prover for tests.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# Without a standard library for WebAssembly nothing is built, and that is no failure.
missing=3
if [ "${1:-}" = --if-possible ]; then
    missing=0
    shift
fi
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(verifier prover)
target=wasm32-unknown-unknown
package=$root/bindings/wasm/npm
features=+simd128
say() { printf 'wasm: %s\n' "$*" >&2; }

# Which cargo, and with what standard library.
fetched() { rustup target list --installed 2>/dev/null | grep -qx "$target"; }
debian() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d /usr/lib/rustlib/src/rust/library ]
}
get_debian() {
    debian && return
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2
        apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src >&2 || true
    fi
    debian
}
linker() {
    local found
    found=$(find "${RUSTUP_HOME:-$HOME/.rustup}/toolchains" -name rust-lld -path '*/bin/rust-lld' 2>/dev/null | head -1)
    if [ -z "$found" ] && ! command -v wasm-ld >/dev/null; then
        apt-get install -y -qq --no-install-recommends lld >&2
    fi
    echo "${found:-wasm-ld}"
}

# build PROFILE RUSTFLAGS STD ARGUMENTS...: compiles the crate; STD is `fetched` or `sources`.
build() {
    local profile=$1 flags=$2 std=$3
    shift 3
    local arguments=(build --locked -p zkml-gpu-wasm --lib --profile "$profile" --target "$target" "$@")
    arguments+=(--target-dir "$root/target/wasm")
    if [ "$std" = fetched ]; then
        RUSTFLAGS=$flags cargo "${arguments[@]}"
    else
        env -u RUSTUP_TOOLCHAIN -u RUSTC_WRAPPER RUSTFLAGS="$flags" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$(linker)" \
            /usr/bin/cargo "${arguments[@]}" -Zbuild-std=std,panic_abort
    fi
}

std=fetched
if ! fetched && ! rustup target add "$target" >/dev/null 2>&1; then
    std=sources
    get_debian || {
        say "neither rustup nor Debian's packages rustc-web, cargo-web, rust-web-src give a standard library for $target"
        exit $missing
    }
    # The workspace's least release of Rust, which Cargo insists on.
    least=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
    own=$(/usr/bin/rustc --version | cut -d' ' -f2)
    if [ "$(printf '%s\n' "$least" "$own" | sort -V | head -1)" != "$least" ]; then
        say "rustup gives no standard library for $target, and Debian's rustc is $own, older than $least"
        exit $missing
    fi
fi
if [ $std = fetched ]; then say "standard library: rustup's"; else say "standard library: from Debian's sources"; fi

# wasm-bindgen's generator, of the release that is linked.
cargo build --quiet --locked --manifest-path scripts/wasm_bindgen/Cargo.toml --target-dir target/tools
generator=target/tools/debug/wasm-bindgen-of

# finish PROFILE NAME DESTINATION: JavaScript and types beside the module.
finish() {
    local module=target/wasm/$target/$1/zkml_gpu_wasm.wasm
    rm -rf "${package:?}/$3"
    mkdir -p "$package/$3"
    "$generator" "$module" "$package/$3" "$2"
    local written=$package/$3/$2_bg.wasm
    say "$3: $(stat -c %s "$written") bytes, $(gzip -9 <"$written" | wc -c) compressed"
}

for part in "${parts[@]}"; do
    say "building $part ($SECONDS s)"
    case $part in
    verifier)
        build wasm-verifier "-C target-feature=$features" "$std" --no-default-features
        finish wasm-verifier zkml_gpu_verify wasm/verifier
        ;;
    prover)
        build wasm "-C target-feature=$features" "$std" ${ZKML_WASM_FEATURES:+--features "$ZKML_WASM_FEATURES"}
        finish wasm zkml_gpu wasm/prover
        ;;
    *)
        say "there is no part '$part': verifier, prover"
        exit 2
        ;;
    esac
done
say "done ($SECONDS s)"
