#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can tell, in less than ten minutes: facts, figures, sanitizers.
#
#   scripts/gpu-check.sh bundle FILE.tar.xz [MODEL.onnx|PEER]...
#       packs programs and data for a machine without Rust, with more models to prove, and with peers: folders that scripts/peers/ build,
#       or of yours with a program `measure LOG_N..` that prints lines `NAME OPERATION LOG_N MILLISECONDS`, of operations as `bench ops` has them
#   scripts/gpu-check.sh [--stage facts|figures|depth] [--deadline SECONDS] [FOLDER]
#       runs one stage, or all in this order, and leaves report.md, report.json and logs in the folder (default: gpu-check), and all of
#       it once more in FOLDER.tar.gz; these are written anew after every step
#
# Out of an unpacked bundle the second form needs a driver and nothing else. It ends within the deadline (default: 570 s), whatever hangs: steps
# that there is no time for are reported as such. What the machine refuses is reported, and the rest goes on. The status is 1 if any step
# failed, was stopped or was not run for want of time, and 2 where there is no device: the host's stand-in of the tests is none.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# The name of the device that tests have where there is none.
stand_in="the host, as a CUDA device"
# Compute capabilities that kernels are compiled for beforehand.
generations="75 80 86 89 90 100 120"
# Tests for sanitizers: short ones of kernels with shared memory.
sanitized="cuda_whole::ntt cuda_whole::msm_rows cuda_whole::permute_lookup cuda_whole::prefix_product cuda_whole::batch_invert"
# Seconds that the deadline leaves for the last report.
margin=8

build() {
    (cd "$root" && cargo build --release --locked -p zkml-gpu-cli --features arkworks)
    local program
    # Compiled as by `scripts/test.sh`.
    program=$(cd "$root" &&
        cargo test --locked --workspace --test all --no-run --message-format=json |
        sed -n 's|.*"manifest_path":"[^"]*/tests/Cargo.toml".*"executable":"\([^"]*/deps/all-[^"]*\)".*|\1|p')
    mkdir -p "$1/bin"
    strip -o "$1/bin/zkml-gpu" "${CARGO_TARGET_DIR:-$root/target}/release/zkml-gpu"
    strip -o "$1/bin/tests" "$program"
}

bundle() {
    local work file
    file=$(realpath -m "$1")
    shift
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/zkml-gpu/models" "$work/zkml-gpu/peers"
    for extra in "$@"; do
        if [ -d "$extra" ]; then
            cp -r "$extra" "$work/zkml-gpu/peers/"
        else
            cp "$extra" "$work/zkml-gpu/models/"
        fi
    done
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

# note NAME STATE SECONDS: a line of both reports, which are written anew.
note() {
    echo "   $2, $3 s" >&2
    steps+=("{\"name\": \"$1\", \"state\": \"$2\", \"seconds\": $3}")
    table+=("| $1 | $2 | $3 |")
    shown+=("$1")
    case $2 in failed* | stopped* | "not run: no time"*) failed=1 ;; esac
    write_reports
}

left() { echo $((end - SECONDS - margin)); }

# step NAME SECONDS COMMAND..: runs it for so long at most, or for what is left; keeps its output, notes how it went. Nothing that hangs is waited
# for: a process that is in the driver may not even be killed.
step() {
    local name=$1 limit=$2 status=0 start=$SECONDS
    shift 2
    if [ "$limit" -gt "$(left)" ]; then limit=$(left); fi
    if [ "$limit" -lt 2 ]; then
        note "$name" "not run: no time left" 0
        return
    fi
    echo "== $name, $limit s at most" >&2
    setsid "$@" >"$out/$name.out" 2>"$out/$name.err" </dev/null &
    local child=$!
    while kill -0 "$child" 2>/dev/null && [ $((SECONDS - start)) -lt "$limit" ]; do sleep 0.1; done
    if kill -0 "$child" 2>/dev/null; then
        kill -KILL -- "-$child" 2>/dev/null || true
        disown "$child" 2>/dev/null || true
        note "$name" "stopped after $limit s" $((SECONDS - start))
        return
    fi
    wait "$child" || status=$?
    if [ "$status" -eq 0 ]; then note "$name" passed $((SECONDS - start)); else note "$name" "failed ($status)" $((SECONDS - start)); fi
}

# The figures that a step saved, or null.
figures() { if [ -s "$out/$1.json" ]; then cat "$out/$1.json"; else echo null; fi; }

# The operations of a file of figures: name, log2 of the size, milliseconds.
rows() {
    tr -d '\n' <"$1" | tr '{' '\n' | awk '
        function value(text) { sub(/^"[^"]*": *"?/, "", text); gsub(/[ \n]/, "", text); return text }
        function field(name) { return match($0, "\"" name "\": *\"?[^,\"}]*") ? value(substr($0, RSTART, RLENGTH)) : "" }
        /"op"/ { print field("op"), field("log_n"), field("ms") }
    '
}

# Of theirs by ours, for the operations and sizes that both have: theirs are lines `NAME OPERATION LOG_N MILLISECONDS` of peers' output.
ratios() {
    [ -s "$out/ops.json" ] && ls "$out"/peer-*.out >/dev/null 2>&1 || return 0
    echo "| peer | operation | size | ours, ms | theirs, ms | theirs by ours |"
    echo "|---|---|---|---|---|---|"
    rows "$out/ops.json" | awk -v OFS=' | ' '
        FNR == NR { ours[$1 " " $2] = $3 }
        FNR != NR && NF == 4 && ($2 " " $3) in ours {
            mine = ours[$2 " " $3]
            print "| " $1, $2, "2^" $3, mine, $4, sprintf("%.2f |", $4 / mine)
        }
    ' - "$out"/peer-*.out
}

write_reports() {
    {
        echo "{\"date\": \"$(date -u +%FT%TZ)\", \"device\": \"${device:-}\", \"steps\": ["
        (IFS=,; echo "${steps[*]}")
        echo "], \"rates\": $(figures rates), \"lenet\": $(figures lenet), \"ops\": $(figures ops), \"proofs\": $(figures proofs)}"
    } >"$out/report.json.new"
    mv "$out/report.json.new" "$out/report.json"
    {
        echo "# Checks on a GPU, $(date -u +%F)"
        echo
        echo "Device: ${device:-none}"
        echo
        echo "| step | state | s |"
        echo "|---|---|---|"
        printf '%s\n' "${table[@]}"
        echo
        ratios
        for name in "${shown[@]}"; do
            for text in "$out/$name.out" "$out/$name.err"; do
                if [ -s "$text" ]; then
                    echo
                    echo "\`${text##*/}\`"
                    echo
                    echo '```'
                    # Long logs have their end here, and are whole in the archive.
                    tail -n 60 "$text"
                    echo '```'
                fi
            done
        done
    } >"$out/report.md.new"
    mv "$out/report.md.new" "$out/report.md"
    tar -czf "$out.tar.gz.new" -C "$(dirname "$out")" --exclude=programs "$(basename "$out")" && mv "$out.tar.gz.new" "$out.tar.gz"
}

# Names a folder with NVRTC where the loader finds none: of the driver's release or an older one, the newest.
find_compiler() {
    [ -z "${ZKML_CUDA_LIB_DIR:-}" ] || return 0
    grep -q "no run-time compiler" "$out/devices.out" || return 0
    local most file
    most=$(sed -n 's/.*CUDA Version: *\([0-9]*\).*/\1/p' "$out/driver.out" 2>/dev/null | head -1)
    file=$(timeout -k 1 20 find "${GPU_CHECK_FIND_ROOT:-/}" -name 'libnvrtc.so.1[23]*' ! -type d 2>/dev/null |
        awk -F'libnvrtc.so.' -v most="${most:-99}" '{ split($2, release, "."); if (release[1] + 0 <= most) print release[1], $0 }' |
        sort -n | tail -1 | cut -d' ' -f2-) || true
    if [ -n "$file" ]; then
        export ZKML_CUDA_LIB_DIR=${file%/*}
        echo "   NVRTC is in $ZKML_CUDA_LIB_DIR" >&2
        step devices-again 30 "$bin/zkml-gpu" devices
        cp "$out/devices-again.out" "$out/devices.out"
    fi
}

facts() {
    step rates 60 "$bin/zkml-gpu" bench rates --backend cuda --save "$out/rates.json"
    step lenet 120 "$bin/zkml-gpu" bench prove examples/lenet/lenet.onnx --runs 9 --backend cpu,cuda --save "$out/lenet.json"
    step test-conformance 240 "$bin/tests" --test-threads=2 conformance::cuda_
    step test-device 180 "$bin/tests" --test-threads=2 cuda::
    step test-proofs 180 "$bin/tests" --test-threads=1 through_cuda
}

compare_peers() {
    local peer icicle=$root/peers/open-icicle/lib
    if [ -d "$icicle" ]; then
        export ZKML_ICICLE_LIB_DIR=$icicle ICICLE_BACKEND_INSTALL_DIR=$icicle/backend
    fi
    if [ -n "${ZKML_ICICLE_LIB_DIR:-}" ]; then
        step icicle 90 "$bin/zkml-gpu" bench ops --no-peers --backend icicle --log-n 20,16,22 --table-budget 8GiB --save "$out/icicle.json"
        [ ! -s "$out/icicle.json" ] || rows "$out/icicle.json" | sed 's/^/icicle /' >"$out/peer-icicle.out"
    fi
    for peer in "$root"/peers/*/; do
        [ -x "${peer}measure" ] || continue
        peer=${peer%/}
        step "peer-${peer##*/}" 60 "$peer/measure" 14 16 18 20 22
    done
}

stage_figures() {
    step ops 260 "$bin/zkml-gpu" bench ops --no-peers --backend cuda --log-n 20,16,22,14,18,24 --table-budget 8GiB --save "$out/ops.json"
    compare_peers
    local models=()
    shopt -s nullglob
    models=(tests/models/cnn_264k.onnx tests/models/nanogpt.onnx models/*.onnx)
    step proofs 280 "$bin/zkml-gpu" bench prove --suite "${models[@]}" --runs 3 --backend cuda --save "$out/proofs.json"
}

depth() {
    if command -v compute-sanitizer >/dev/null; then
        local tool
        for tool in memcheck racecheck; do
            # shellcheck disable=SC2086
            step "sanitizer-$tool" 200 compute-sanitizer --tool "$tool" --error-exitcode 1 "$bin/tests" --test-threads=1 $sanitized
        done
    else
        note sanitizer "not run: no compute-sanitizer" 0
    fi
    if command -v ncu >/dev/null; then
        step profile 160 ncu --kernel-name 'regex:msm_accumulate|ntt_pass|quotient|evaluate' --launch-count 12 --set basic \
            "$bin/zkml-gpu" bench ops --no-peers --backend cuda --log-n 18
    else
        note profile "not run: no ncu" 0
    fi
}

run() {
    local stage=all deadline=570 folder=gpu-check
    while [ $# -gt 0 ]; do
        case $1 in
        --stage) stage=${2:?} && shift ;;
        --deadline) deadline=${2:?} && shift ;;
        -*) echo "error: $1 is no option; see --help" >&2 && exit 1 ;;
        *) folder=$1 ;;
        esac
        shift
    done
    case $stage in all | facts | figures | depth) ;; *) echo "error: stages are facts, figures and depth" >&2 && exit 1 ;; esac
    out=$(realpath -m "$folder")
    mkdir -p "$out"
    bin=$root/bin
    # Programs are built outside of the deadline, which is for the device.
    if [ ! -x "$bin/zkml-gpu" ]; then
        build "$out/programs"
        bin=$out/programs/bin
    fi
    end=$((SECONDS + deadline))
    steps=() table=() shown=() failed=0 device=
    # Kernels that came along are found where compiled ones are kept.
    if [ -d "$root/cache" ]; then
        export XDG_CACHE_HOME=$root/cache
    fi
    export ZKML_TEST_CUDA=device ZKML_TEST_ROOT=$root
    cd "$root"

    step driver 20 nvidia-smi
    step devices 30 "$bin/zkml-gpu" devices
    find_compiler
    device=$(sed -n 's/^cuda:0 *//p' "$out/devices.out")
    case $device in
    "" | *"not available"* | *"$stand_in"*)
        note device "failed (there is no device to check${device:+: $device})" 0
        echo "$out/report.md $out.tar.gz"
        exit 2
        ;;
    esac
    case $stage in
    all)
        facts
        stage_figures
        depth
        ;;
    figures) stage_figures ;;
    *) "$stage" ;;
    esac
    echo "$out/report.md $out.tar.gz"
    return $failed
}

case ${1:-} in
bundle)
    shift
    bundle "${@:?usage: scripts/gpu-check.sh bundle FILE.tar.xz [MODEL.onnx|PEER]...}"
    ;;
-h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0" ;;
*) run "$@" ;;
esac
