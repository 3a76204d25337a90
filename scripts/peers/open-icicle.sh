#!/usr/bin/env bash
# Builds ICICLE's libraries for BN254 with its CUDA back end from a checkout that you have, for `--backend icicle`:
#
#   scripts/peers/open-icicle.sh SOURCE FOLDER
#
# Needs CMake, a C++ compiler and nvcc. FOLDER gets lib and lib/backend; the lines that are printed name them to the program and to the
# tests. `scripts/gpu-check.sh bundle` takes FOLDER where its name is open-icicle.
set -euo pipefail

source=${1:?usage: scripts/peers/open-icicle.sh SOURCE FOLDER}
folder=$(realpath -m "${2:?usage: scripts/peers/open-icicle.sh SOURCE FOLDER}")
# The project is in a folder of the repository.
if [ ! -f "$source/CMakeLists.txt" ]; then source=$source/icicle; fi
if [ ! -f "$source/CMakeLists.txt" ]; then
    echo "error: there are no sources of ICICLE in $1" >&2
    echo "hint: name a checkout of version 3 or 4" >&2
    exit 1
fi
for tool in cmake nvcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "error: $tool is not installed" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S "$source" -B "$work" -DCMAKE_BUILD_TYPE=Release -DCURVE=bn254 -DCUDA_BACKEND=local -DCMAKE_INSTALL_PREFIX="$folder" >&2
cmake --build "$work" --parallel >&2
cmake --install "$work" >&2
for library in icicle_device icicle_field_bn254 icicle_curve_bn254; do
    if [ ! -f "$folder/lib/lib$library.so" ]; then
        echo "error: the build left no lib$library.so in $folder/lib" >&2
        exit 1
    fi
done
echo "export ZKML_ICICLE_LIB_DIR=$folder/lib ICICLE_BACKEND_INSTALL_DIR=$folder/lib/backend"
