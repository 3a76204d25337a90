#!/usr/bin/env bash
# Python for the tests: `scripts/python.sh env` makes an environment with all that they use and prints its interpreter, for ZKML_PYTHON.
# `scripts/python.sh wheel` builds a wheel with the tests' profile, installs it with pip and with uv in environments of their own, and
# runs the tests there. Needs Python 3.10 or later with pip; everything is put under target/.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${CARGO_TARGET_DIR:-target}/python
mkdir -p "$work"
work=$(realpath "$work")
binding=bindings/python
export PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1

# uv makes environments where Python's own module for them is missing, as on Debian.
uv() {
    if ! command -v "$work/tools/bin/uv" >/dev/null; then
        python3 -m pip install --quiet --target "$work/tools" uv==0.13.9 -r "$binding/requirements-build.txt" >&2
    fi
    "$work/tools/bin/uv" "$@"
}

# An environment of this name; it is made where it is missing or older than what it is made of.
environment() {
    local folder=$work/$1 requirements=$binding/requirements-test.txt
    if [ ! -e "$folder/made" ] || [ "$requirements" -nt "$folder/made" ]; then
        uv venv --quiet --clear --python python3 "$folder" >&2
        uv pip install --quiet --python "$folder/bin/python" -r "$requirements" >&2
        touch "$folder/made"
    fi
    echo "$folder/bin/python"
}

wheel() {
    uv --version
    rm -rf "$work/wheels"
    # With the symbols of this machine's C library: scripts/wheels.sh builds those for others.
    PYTHONPATH=$work/tools "$work/tools/bin/maturin" build --quiet --locked --profile dev --compatibility linux \
        -m "$binding/Cargo.toml" --out "$work/wheels"
    local wheels=("$work/wheels"/*.whl) model=tests/models/ops/gemm_plain
    echo "built ${wheels[0]##*/}, $(stat -c %s "${wheels[0]}") bytes"
    # With pip, and nothing but what the wheel asks for.
    uv venv --quiet --clear --seed --python python3 "$work/pip"
    "$work/pip/bin/python" -m pip install --quiet "${wheels[0]}"
    "$work/pip/bin/python" "$binding/bench.py" --rounds 1 --model "$model.onnx" --input "$model.json" --wheel "${wheels[0]}"
    # As a program, by itself.
    UV_TOOL_DIR=$work/tool UV_TOOL_BIN_DIR=$work/tool/bin uv tool install --quiet --force --python python3 "${wheels[0]}"
    "$work/tool/bin/zkml-gpu-py" devices
    # With uv, and the tests.
    uv venv --quiet --clear --python python3 "$work/uv"
    uv pip install --quiet --python "$work/uv/bin/python" "${wheels[0]}" pytest tqdm
    (cd "$binding" && "$work/uv/bin/python" -m pytest -q -p no:cacheprovider)
    echo "not built: wheels for manylinux2014 and aarch64 (scripts/wheels.sh); not run: any wheel on another system or processor"
}

case ${1:-} in
env) environment env ;;
wheel) wheel ;;
*)
    echo "error: scripts/python.sh takes env or wheel" >&2
    exit 2
    ;;
esac
