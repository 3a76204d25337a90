#!/usr/bin/env bash
# Solidity's compiler with any arguments: the `solc` that is installed, or the one of npm's package, which is installed
# in target/solc once. Without either it ends with 69, and says so.
set -euo pipefail
version=0.8.30
if command -v solc > /dev/null; then
    exec solc "$@"
fi
folder="$(cd "$(dirname "$0")/.." && pwd)/target/solc/$version"
if [ ! -x "$folder/node_modules/.bin/solcjs" ]; then
    if ! command -v npm > /dev/null; then
        echo "error: neither solc nor npm is there, of whose package solc@$version is one" >&2
        exit 69
    fi
    # Whole or not at all, since tests may start it several times at once.
    mkdir -p "$(dirname "$folder")"
    own=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$own"' EXIT
    npm install --silent --no-audit --no-fund --prefix "$own" "solc@$version" >&2 || exit 69
    mv -T "$own" "$folder" 2> /dev/null || true
    trap - EXIT
    rm -rf "$own"
fi
# By a file: into a pipe the program writes no more than fits before it ends.
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
code=0
"$folder/node_modules/.bin/solcjs" "$@" > "$answer" || code=$?
cat "$answer"
exit "$code"
