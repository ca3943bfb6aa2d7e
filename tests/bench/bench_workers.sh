#!/bin/sh
# What a second worker brings: runs of `ptqd run` with one and with two workers in turn, as the ratio
# of what they finish in the same time. The seeds draw different samples, so that runs share nothing
# but the network's ranges.
#
#   bench_workers.sh PTQD SOURCE_ROOT [ROUNDS]
#
# The best of ROUNDS (3) counts, of each: another program on one of the cores spoils a round. Needs
# the real networks (PTQD_DATA, or beside the source tree), and exits with 77 (skipped) without them.
set -eu
ptqd=$1
root=$2
rounds=${3:-3}
data=${PTQD_DATA:-$root/../shared/data}
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
}

# Wall-clock seconds of a specification with so many workers, added to the file of its figures.
time_run() {
    begin=$(date +%s.%N)
    "$ptqd" run --config /dev/null "$dir/$1.json" --out "$dir/out" --workers "$2" >"$dir/log" ||
        { cat "$dir/log" >&2; exit 1; }
    awk -v begin="$begin" -v end="$(date +%s.%N)" 'BEGIN { print end - begin }' >>"$dir/$1.$2"
    rm -rf "$dir/out"
}

best() {
    sort -g "$1" | head -n 1
}

for row in ResNet-8:cifar10 DS-CNN:kws MobileNetV1:vww; do
    spec "${row#*:}"
    rm -f "$dir"/*.[12]
    for _ in $(seq "$rounds"); do
        for form in layer block; do
            time_run $form 1
            time_run $form 2
        done
    done
    for form in layer block; do
        awk -v name="${row%%:*}, by $form" -v one="$(best "$dir/$form.1")" \
            -v two="$(best "$dir/$form.2")" 'BEGIN {
            printf "%-24s %5.2f (bar 1.9%s): %.2f s with one worker, %.2f s with two\n", name,
                one / two, one / two < 1.9 ? ", missed" : "", one, two }'
    done
done
