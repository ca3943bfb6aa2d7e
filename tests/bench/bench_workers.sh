#!/bin/sh
# What a second worker brings: runs of `ptqd run` with one and with two workers in turn, as the ratio
# of what they finish in the same time. The seeds draw different samples, so that runs share nothing
# but the network's ranges. Beside it the same of two processes, each with a worker and half of the
# seeds: what this machine gives to two who have nothing in common but its caches and its memory.
#
#   bench_workers.sh PTQD SOURCE_ROOT [ROUNDS [NETWORK]]
#
# The best of ROUNDS (3) counts, of each: another program on one of the cores spoils a round. NETWORK:
# one of the three alone. Needs the real networks (PTQD_TEST_DATA, or beside the source tree), and
# exits with 77 (skipped) without them.
set -eu
ptqd=$1
root=$2
rounds=${3:-3}
only=${4:-}
data=${PTQD_TEST_DATA:-$root/../shared/data}
[ -f "$data/kws/model.onnx" ] && command -v jq >/dev/null || exit 77

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# spec FOLDER: eight runs by layer, of fewer samples than each network has, and four by block, of a
# tenth of their usual steps
spec() {
    jq -n --arg folder "$data/$1" '{
        model: ($folder + "/model.onnx"), calibration: ($folder + "/calib.npy"),
        evaluation: {path: ($folder + "/test_x.npy"), labels: ($folder + "/test_y.npy")},
        seeds: 8, pipeline: {samples: 256, weights: {bits: 4}, postprocess: {bias: "none"},
                             optimize: {variable: "round"}, artifacts: []}}' >"$dir/layer.json"
    jq '.seeds = 4 | .pipeline.optimize += {granularity: "block", iterations: 200}' \
        "$dir/layer.json" >"$dir/block.json"
    for form in layer block; do
        jq '.seeds = [range(0; .seeds; 2)]' "$dir/$form.json" >"$dir/$form-even.json"
        jq '.seeds = [range(1; .seeds; 2)]' "$dir/$form.json" >"$dir/$form-odd.json"
    done
}

# run SPEC WORKERS
run() {
    "$ptqd" run --config /dev/null "$dir/$1.json" --out "$dir/out-$1" --workers "$2" >"$dir/log-$1" ||
        { cat "$dir/log-$1" >&2; exit 1; }
}

apart() {
    run "$1-even" 1 &
    run "$1-odd" 1
    wait $!
}

# Wall-clock seconds of a command, added to a file of such figures.
time_of() {
    figures=$1
    shift
    begin=$(date +%s.%N)
    "$@"
    awk -v begin="$begin" -v end="$(date +%s.%N)" 'BEGIN { print end - begin }' >>"$dir/$figures"
    rm -rf "$dir"/out-*
}

best() {
    sort -g "$1" | head -n 1
}

for row in ResNet-8:cifar10 DS-CNN:kws MobileNetV1:vww; do
    [ -z "$only" ] || [ "${row%%:*}" = "$only" ] || continue
    spec "${row#*:}"
    rm -f "$dir"/*.one "$dir"/*.two "$dir"/*.apart
    for _ in $(seq "$rounds"); do
        for form in layer block; do
            time_of $form.one run $form 1
            time_of $form.two run $form 2
            time_of $form.apart apart $form
        done
    done
    for form in layer block; do
        awk -v name="${row%%:*}, by $form" -v one="$(best "$dir/$form.one")" \
            -v two="$(best "$dir/$form.two")" -v apart="$(best "$dir/$form.apart")" 'BEGIN {
            printf "%-24s %5.2f (bar 1.9%s): %.2f s with one worker, %.2f s with two", name,
                one / two, one / two < 1.9 ? ", missed" : "", one, two
            printf "; two processes %.2f: %.2f s\n", one / apart, apart }'
    done
done
