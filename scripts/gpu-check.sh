#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can tell: tests, sanitizers, rates, operations and whole proofs beside the processor's.
#
#   scripts/gpu-check.sh bundle FILE.tar.xz   packs programs and data for a machine without Rust; the kernels too where NVRTC is found
#   scripts/gpu-check.sh [FOLDER]             runs all steps and writes report.json, report.md and logs (default: gpu-check)
#
# Out of an unpacked bundle the second form needs a driver and nothing else. A step that the machine refuses is reported, and the rest goes on; the
# status is 1 if any step failed. GPU_CHECK_SECONDS bounds every step.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# The tests, and what the names of those that run on a device have in them.
tests="conformance=conformance::cuda_ device=cuda:: proofs=through_cuda"
models="examples/lenet/lenet.onnx tests/models/cnn_264k.onnx"
# Compute capabilities that kernels are compiled for beforehand.
generations="80 90 120"

build() {
    (cd "$root" && cargo build --release --locked -p zkml-gpu-cli --features arkworks)
    local program
    # Compiled as by `scripts/test.sh`.
    program=$(cd "$root" &&
        cargo test --locked --workspace --features zkml-gpu-tests/bundle --test gpu_bundle --no-run --message-format=json |
        sed -n 's|.*"executable":"\([^"]*/deps/gpu_bundle-[^"]*\)".*|\1|p')
    mkdir -p "$1/bin"
    strip -o "$1/bin/zkml-gpu" "${CARGO_TARGET_DIR:-$root/target}/release/zkml-gpu"
    strip -o "$1/bin/tests" "$program"
}

bundle() {
    local work file
    file=$(realpath -m "$1")
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    build "$work/zkml-gpu"
    (cd "$root" && tar -c scripts/gpu-check.sh examples/lenet tests/models/*.onnx tests/models/*.json) | tar -x -C "$work/zkml-gpu"
    for generation in $generations; do
        if ! "$work/zkml-gpu/bin/zkml-gpu" compile-kernels "sm_$generation" "$work/zkml-gpu/cache/zkml-gpu/cuda"; then
            echo "warning: kernels for sm_$generation are not in the bundle: the machine needs NVRTC" >&2
        fi
    done
    tar -c -C "$work" zkml-gpu | xz -T0 >"$file"
    echo "$file: $(du -h "$file" | cut -f1)"
}

# step NAME SECONDS COMMAND..: runs it, keeps its output, notes how it went.
step() {
    local name=$1 limit=$2 status=0 start=$SECONDS
    shift 2
    if [ "$limit" -gt "${GPU_CHECK_SECONDS:-$limit}" ]; then limit=$GPU_CHECK_SECONDS; fi
    echo "== $name" >&2
    timeout "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" || status=$?
    local state=passed
    [ $status -eq 0 ] || state="failed ($status)"
    [ $status -ne 124 ] || state="stopped after $limit s"
    note "$name" "$state" $((SECONDS - start))
}

# note NAME STATE SECONDS: a line of both reports.
note() {
    echo "   $2, $3 s" >&2
    steps+=("{\"name\": \"$1\", \"state\": \"$2\", \"seconds\": $3}")
    table+=("| $1 | $2 | $3 |")
    case $2 in failed*|stopped*) failed=1 ;; esac
}

# The figures that a step saved, or null.
figures() {
    if [ -s "$out/$1.json" ]; then cat "$out/$1.json"; else echo null; fi
}

run() {
    out=$(realpath -m "$1")
    mkdir -p "$out"
    steps=() table=() failed=0
    local bin=$root/bin
    if [ ! -x "$bin/zkml-gpu" ]; then
        build "$out/programs"
        bin=$out/programs/bin
    fi
    # Kernels that came along are found where compiled ones are kept.
    if [ -d "$root/cache" ]; then
        export XDG_CACHE_HOME=$root/cache
    fi
    export ZKML_TEST_CUDA=device ZKML_TEST_ROOT=$root
    cd "$root"

    step devices 60 "$bin/zkml-gpu" devices
    step driver 60 nvidia-smi
    for test in $tests; do
        step "test-${test%=*}" 900 "$bin/tests" --test-threads=2 "${test#*=}"
    done
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck synccheck; do
            step "sanitizer-$tool" 1200 compute-sanitizer --tool "$tool" --error-exitcode 1 "$bin/tests" --test-threads=1 \
                cuda_whole::ntt cuda_whole::msm_rows cuda_whole::permute_lookup cuda_whole::prefix_product cuda_whole::batch_invert
        done
    else
        note sanitizer "not run: no compute-sanitizer" 0
    fi
    step rates 300 "$bin/zkml-gpu" bench rates --backend cuda --save "$out/rates.json"
    step ops 1800 "$bin/zkml-gpu" bench ops --backend cpu,cuda --log-n 14,16,18,20,22 --table-budget 4GiB --save "$out/ops.json"
    # shellcheck disable=SC2086
    step proofs 1800 "$bin/zkml-gpu" bench prove --suite $models --backend cpu,cuda --save "$out/proofs.json" --report "$out/proofs.html"

    {
        echo "{\"date\": \"$(date -u +%FT%TZ)\", \"steps\": ["
        (IFS=,; echo "${steps[*]}")
        echo "], \"rates\": $(figures rates), \"ops\": $(figures ops), \"proofs\": $(figures proofs)}"
    } >"$out/report.json"
    {
        echo "# Checks on a GPU, $(date -u +%F)"
        echo
        sed 's/^/    /' "$out/devices.out"
        echo
        echo "| step | state | s |"
        echo "|---|---|---|"
        printf '%s\n' "${table[@]}"
        for name in rates ops proofs; do
            echo
            echo '```'
            cat "$out/$name.out"
            echo '```'
        done
    } >"$out/report.md"
    echo "$out/report.md" "$out/report.json"
    return $failed
}

case ${1:-gpu-check} in
bundle) bundle "${2:?usage: scripts/gpu-check.sh bundle FILE.tar.xz}" ;;
-h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" ;;
*) run "${1:-gpu-check}" ;;
esac
