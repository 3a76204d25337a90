#!/usr/bin/env bash
# Compiles every CUDA kernel for three generations of devices, with nvcc and with NVRTC, and prints what each takes of a device's
# registers and memory. Needs no GPU and no driver. Takes the toolkit of CUDA_HOME or of the nvcc that is found; where there is none,
# installs one from Python wheels under target/.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${CARGO_TARGET_DIR:-target}/cuda-check
mkdir -p "$work"
work=$(realpath "$work")

# The versions belong together: PTX of a newer release may not load under a driver that is in use.
install_toolkit() {
    python3 -m pip install --quiet --no-deps --target "$work/toolkit" \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 \
        nvidia-cuda-cuobjdump==13.2.78 nvidia-cuda-nvdisasm==13.2.78
}

if [ -n "${CUDA_HOME:-}" ]; then
    toolkit=$CUDA_HOME
elif command -v nvcc >/dev/null; then
    toolkit=$(dirname "$(dirname "$(realpath "$(command -v nvcc)")")")
else
    toolkit=$work/toolkit/nvidia/cu13
    [ -x "$toolkit/bin/nvcc" ] && [ -x "$toolkit/bin/cuobjdump" ] || install_toolkit
fi
if ! command -v c++ >/dev/null; then
    echo "error: no C++ compiler (c++)" >&2
    echo "hint: install g++ or clang" >&2
    exit 1
fi

cargo run --quiet --locked -p zkml-gpu-kernels --example cuda_source >"$work/kernels.cu"

compile() {
    "$toolkit/bin/nvcc" -std=c++17 -arch="sm_$1" -cubin -Xptxas -v,-warn-spills \
        -o "$work/sm_$1.cubin" "$work/kernels.cu" >"$work/sm_$1.log" 2>&1
}

figures() {
    awk '
        BEGIN { printf "  %-28s %9s %12s %12s %13s\n", "kernel", "registers", "spilled (B)", "stack (B)", "shared (B)" }
        /Compiling entry function/ { split($0, quoted, "\047"); kernel = quoted[2] }
        /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
        /Used [0-9]+ registers/ {
            registers = shared = 0
            for (i = 1; i <= NF; i++) {
                if ($i == "Used") registers = $(i + 1)
                if ($i ~ /^smem/) shared = $(i - 2)
            }
            printf "  %-28s %9d %12d %12d %13d\n", kernel, registers, spilled, stack, shared
        }
    ' "$1" | (read -r header; printf '  %s\n' "$header"; sort)
}

declare -A compilations
for generation in 80 90 120; do
    compile "$generation" &
    compilations[$generation]=$!
done
for generation in 80 90 120; do
    if ! wait "${compilations[$generation]}"; then
        cat "$work/sm_$generation.log" >&2
        echo "error: nvcc does not take the kernels for sm_$generation" >&2
        exit 1
    fi
    echo "sm_$generation"
    figures "$work/sm_$generation.log"
done

# What is the same for all threads of a warp goes to units of its own, so a rate of such products is none of the kernels'.
for kernel in throughput_multiplications throughput_additions; do
    sass=$("$toolkit/bin/cuobjdump" -sass -fun "$kernel" "$work/sm_90.cubin")
    case $sass in
    *UIMAD*)
        echo "error: $kernel computes products that are the same for all threads" >&2
        exit 1
        ;;
    *IMAD*) ;;
    *)
        echo "error: $kernel computes no products" >&2
        exit 1
        ;;
    esac
done

# Kernels are compiled at run time by NVRTC, which has no headers.
python3 - "$toolkit" "$work/kernels.cu" <<'PYTHON'
import ctypes, glob, sys, time

toolkit, file = sys.argv[1:]


def library(name):
    found = sorted(glob.glob(f"{toolkit}/lib*/{name}.so*"))
    if not found:
        sys.exit(f"error: the toolkit at {toolkit} has no {name}\nhint: install CUDA's run-time compiler")
    return ctypes.CDLL(found[-1], mode=ctypes.RTLD_GLOBAL)


library("libnvrtc-builtins")
nvrtc = library("libnvrtc")
program = ctypes.c_void_p()
source = open(file, "rb").read()
assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None) == 0
# Generations differ behind the parser, which nvcc has in common with it: one is enough here.
options = [b"-std=c++17", b"-arch=sm_90"]
start = time.process_time()
failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
if failed:
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    sys.exit(f"{log.value.decode()}\nerror: NVRTC does not take the kernels")
size = ctypes.c_size_t()
assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
print(f"NVRTC: sm_90, {size.value} bytes of code, {time.process_time() - start:.1f} s of a processor")
PYTHON
