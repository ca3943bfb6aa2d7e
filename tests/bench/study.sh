#!/bin/sh
# Submits the study (etc/studies) to a daemon, follows it, and prints each cell beside the study's
# number, then which of its orderings come out.
#
#   study.sh [--url URL | --ptqd PROGRAM] [--data DIR] [--out DIR] [--only NAME,…]
#            [--networks NAME,…] [--seeds N] [--widths N,…] [--variables NAME,…] [--retry]
#
#   --url        a running daemon; its token, if it needs one, in PTQD_TOKEN. Without it the script
#                starts one of its own on the state that it keeps below --out
#   --ptqd       the program for that (build/src/daemon/ptqd)
#   --data       folders of networks and data, as etc/studies/networks.json names them
#                (PTQD_TEST_DATA, or ../shared/data)
#   --out        where cells.tsv, the daemon's state and its log go (build-study)
#   --only       table2, fig4 to fig8, best (files of etc/studies; all)
#   --networks   ResNet-8, DS-CNN, MobileNetV1, HAR CNN (all)
#   --seeds, --widths, --variables   less than the study has
#   --retry      queues failed runs of earlier calls again
#
# One job for each file, network and evaluation set; network by network, so that what its jobs have
# in common is still there. What identifies a job (Idempotency-Key) is the digest of its specification
# and the daemon's version: after an interruption, however rude, the same call finds the jobs that are
# there, submits the others and waits for all. Needs curl and jq.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
studies=$root/etc/studies
url=
ptqd=$root/build/src/daemon/ptqd
data=${PTQD_TEST_DATA:-$root/../shared/data}
out=$root/build-study
only=table2,fig4,fig5,fig6,fig7,fig8,best
networks=
seeds=null
widths=
variables=
retry=false

fail() {
    echo "study: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --retry)
        retry=true
        shift
        continue
        ;;
    --url | --ptqd | --data | --out | --only | --networks | --seeds | --widths | --variables)
        [ $# -ge 2 ] || fail "$1 needs a value"
        ;;
    *) fail "$1 is not an option; the head of $0 has them" ;;
    esac
    case $1 in
    --url) url=${2%/} ;;
    --ptqd) ptqd=$2 ;;
    --data) data=$2 ;;
    --out) out=$2 ;;
    --only) only=$2 ;;
    --networks) networks=$2 ;;
    --seeds) seeds=$2 ;;
    --widths) widths=$2 ;;
    --variables) variables=$2 ;;
    esac
    shift 2
done

# ---- requests ----

daemon=
work=$(mktemp -d)
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
    wait
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The token stays out of the list of processes. A daemon that is restarted answers a few seconds
# later; every request may be repeated.
{
    printf 'silent\nshow-error\nretry = 10\nretry-delay = 1\nretry-connrefused\n'
    [ -z "${PTQD_TOKEN-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$PTQD_TOKEN"
} >"$work/curl"

# request PATH [curl option…]: the answer goes to $work/reply; ends the script when it is an error.
request() {
    path=$1
    shift
    status=$(curl -K "$work/curl" -o "$work/reply" -w '%{http_code}' "$url$path" "$@") ||
        fail "$url$path does not answer"
    case $status in
    2*) ;;
    *) fail "$url$path: status $status: $(jq -r '"\(.detail) \(.pointer // "")"' "$work/reply")" ;;
    esac
}

# ---- a daemon of its own ----

# It ends with the script, even when that is killed, and may take a moment to let go of its state:
# the next one waits for that.
start_daemon() {
    [ -x "$ptqd" ] || fail "$ptqd is no program; --ptqd names it, --url a running daemon"
    mkdir -p "$out"
    tries=0
    until is_ready; do
        tries=$((tries + 1))
        [ "$tries" -le 200 ] || fail "the daemon does not start; see $out/daemon.log"
        if [ -z "$daemon" ] || ! kill -0 "$daemon" 2>/dev/null; then
            env -i PATH="$PATH" setpriv --pdeathsig TERM "$ptqd" serve --config /dev/null \
                --data "$out/state" --address 127.0.0.1 --port 0 2>"$out/daemon.log" &
            daemon=$!
        fi
        sleep 0.1
    done
    echo "daemon $url, state $out/state"
}

is_ready() {
    [ -n "$daemon" ] || return 1
    port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$out/daemon.log")
    url=http://127.0.0.1:$port
    [ -n "$port" ] && curl -sf -o "$work/reply" "$url/readyz"
}

# ---- files and jobs ----

# upload KIND FILE NAME: sends the file unless the daemon has it; its id goes to $id.
upload() {
    [ -f "$2" ] || fail "$2 is not there; --data names the folder of networks"
    id=sha256:$(sha256sum "$2" | cut -d ' ' -f 1)
    if ! curl -K "$work/curl" -f -o "$work/reply" "$url/v1/$1/$id" 2>"$work/curl.err"; then
        request "/v1/$1?name=$3" --data-binary @"$2"
        id=$(jq -r .id "$work/reply")
    fi
}

# upload_network FOLDER: one line for each evaluation set of a network, with the members of a
# specification that name its files. Stored integers are read with the scale of meta.json.
upload_network() {
    folder=$data/$1
    jq -c --arg folder "$1" '.[] | select(.folder == $folder) | . as $network | .evaluations[]
        | {network: $network.name, set: .name, sets: ($network.evaluations | length),
           samples, labels}' "$studies/networks.json" >"$work/sets"
    upload models "$folder/model.onnx" "$1"
    model=$id
    upload datasets "$folder/calib.npy" "$1-calibration"
    calibration=$id
    while read -r line; do
        upload datasets "$folder/$(printf '%s' "$line" | jq -r .samples)" "$1-samples"
        samples=$id
        upload datasets "$folder/$(printf '%s' "$line" | jq -r .labels)" "$1-labels"
        printf '%s' "$line" | jq -c --arg model "$model" --arg calibration "$calibration" \
            --arg samples "$samples" --arg labels "$id" --slurpfile meta "$folder/meta.json" '
            ($meta[0] | {scale, zero_point}) as $stored
            | {network, set, sets,
               files: {model: $model, calibration: ({id: $calibration} + $stored),
                       evaluation: ({id: $samples, labels: $labels} + $stored)}}'
    done <"$work/sets" >"$work/inputs-$1"
}

upload_all() {
    jq -r --arg wanted "$networks" '.[]
        | select($wanted == "" or any(.name, .folder; IN($wanted | split(",")[])))
        | .folder' "$studies/networks.json" >"$work/folders"
    [ -s "$work/folders" ] || fail "\"$networks\" names no network of $studies/networks.json"
    while read -r folder; do
        upload_network "$folder"
    done <"$work/folders"
}

# submit STUDY INPUT: the job of one file for one network and evaluation set.
submit() {
    printf '%s' "$2" | jq -c --slurpfile spec "$studies/$1.json" --argjson seeds "$seeds" \
        --arg widths "$widths" --arg variables "$variables" '
        def only($words): if $words == "" or type != "array" then . else
            map(select(tostring as $value | $words | split(",") | index($value))) end;
        .files + $spec[0]
        | .seeds = ($seeds // .seeds)
        | .pipeline.weights.bits |= only($widths)
        | .pipeline.optimize.variable |= only($variables)' >"$work/spec"
    key=study-$( (echo "$version" && cat "$work/spec") | sha256sum | cut -d ' ' -f 1)
    request /v1/jobs -H "Idempotency-Key: $key" --data-binary @"$work/spec"
    printf '%s' "$2" | jq -c --arg study "$1" --slurpfile job "$work/reply" \
        '{job: $job[0].id, study: $study, network, set, sets, pipeline: $job[0].pipeline}' \
        >>"$work/jobs"
}

submit_all() {
    request /healthz
    version=$(jq -r .version "$work/reply")
    : >"$work/jobs"
    for study in $(echo "$only" | tr , ' '); do
        [ -f "$studies/$study.json" ] || fail "$studies has no $study.json"
    done
    while read -r folder; do
        for study in $(echo "$only" | tr , ' '); do
            while read -r input; do
                submit "$study" "$input"
            done <"$work/inputs-$folder"
        done
    done <"$work/folders"
    jq -r .job "$work/jobs" >"$work/ids"
    echo "jobs: $(wc -l <"$work/ids")"
}

# ---- following ----

# Runs that failed or were cancelled in an earlier call are queued again when that is wanted.
retry_failed() {
    while read -r job; do
        request "/v1/jobs/$job"
        case $(jq -r .state "$work/reply") in
        failed | cancelled | partial) request "/v1/jobs/$job/retry" -X POST ;;
        esac
    done <"$work/ids"
}

# Waits for one job after the other, in the order in which they were submitted; the line is about
# all of them.
follow() {
    finished=0
    total=$(wc -l <"$work/ids")
    while read -r job; do
        while :; do
            request "/v1/jobs/$job?wait=2"
            line=$(jq -r --arg finished "$finished" --arg total "$total" \
                '"\($finished) of \($total) jobs; \(.id), \(.name): "
                 + "\(.progress.succeeded + .progress.failed) of \(.progress.runs) runs, "
                 + "\(100 * .progress.fraction | floor) %"' "$work/reply")
            [ ! -t 1 ] || printf '\r\033[K%s' "$line"
            state=$(jq -r .state "$work/reply")
            case $state in queued | running) ;; *) break ;; esac
        done
        finished=$((finished + 1))
        if [ "$state" != succeeded ]; then
            jq -r '"\(.id) (\(.name)) is \(.state): \(.problem.detail // "no reason given")"' \
                "$work/reply" >>"$work/problems"
        fi
        [ -t 1 ] || echo "$job $state, $finished of $total jobs"
    done <"$work/ids"
    [ ! -t 1 ] || printf '\r\033[K'
}

# All runs of all jobs, one line each, beside what the job was for.
collect() {
    while read -r job_line; do
        job=$(printf '%s' "$job_line" | jq -r .job)
        cursor=
        while :; do
            request "/v1/jobs/$job/runs?state=succeeded&limit=100${cursor:+&cursor=$cursor}"
            jq -c --argjson job "$job_line" '.items[] | {job: $job, run: .}' "$work/reply"
            cursor=$(jq -r '.next // ""' "$work/reply")
            [ -n "$cursor" ] || break
        done
    done <"$work/jobs" >"$work/runs"
}

[ -n "$url" ] || start_daemon
upload_all
submit_all
! $retry || retry_failed
: >"$work/problems"
follow
collect
mkdir -p "$out"
jq -rs -f "$root/tests/bench/study.jq" "$work/runs" >"$out/cells.tsv"
awk -f "$root/tests/bench/study.awk" FS=, "$studies/table2.csv" FS='\t' "$out/cells.tsv"
echo
echo "every cell: $out/cells.tsv"
[ ! -s "$work/problems" ] || fail "$(cat "$work/problems")"
