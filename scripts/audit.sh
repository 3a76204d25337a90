#!/usr/bin/env bash
# Tries random graphs for hours: every layout is checked, an honest inference shown, and lies told, of which none may be accepted.
# Usage: scripts/audit.sh [--minutes N] [--seed S] [--graphs N] [--all]
# Stops at the first thing that is wrong, with its seed and graph: `--seed S --graphs 1` tries it again; `--all` goes on instead.
set -euo pipefail
cd "$(dirname "$0")/.."
# The profile of the tests: arithmetic is optimised, and overflows are caught.
exec cargo run --quiet --locked -p zkml-gpu-tests --example audit -- "$@"
