#!/bin/sh
# Shows the whole of it on an example: installs what is missing, builds, makes a small network and
# data for it, starts the daemon, submits one job with one call of curl, and prints the report.
#
#   sh etc/demo.sh [--keep]
#
#   --keep   leaves the daemon running at the end, to look at its dashboard
#
# On Debian 12, as root or with sudo. Everything lives below build-demo/; may be run again.
set -eu
cd "$(dirname "$0")/.."
build='build-demo'
state=$build/state
example=$build/motion
keep=false
[ "${1-}" = --keep ] && keep=true

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

install_packages() {
    missing=
    while read -r package; do
        # A command of the name will do: npm, for one, need not come from Debian.
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            command -v "$package" >/dev/null || missing="$missing $package"
    done <etc/packages.txt
    [ -z "$missing" ] && return
    say "installing$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

build_programs() {
    say "building"
    if [ ! -f "$build/build.ninja" ]; then
        meson setup "$build" >"$build.log" 2>&1 || fail "meson failed; see $build.log"
    fi
    ninja -C "$build" src/daemon/ptqd etc/demo/make_motion >"$build.log" 2>&1 ||
        fail "the build failed; see $build.log"
}

make_example() {
    say "making the example"
    "$build/etc/demo/make_motion" "$example"
}

# With a state directory of its own in each run, so that everything is computed anew. Settings of
# this machine's own daemon must not reach in.
start_daemon() {
    say "starting the daemon"
    rm -rf "$state"
    env -i PATH="$PATH" "$build/src/daemon/ptqd" serve --config /dev/null --data "$state" \
        --address 127.0.0.1 --port 0 2>"$build/daemon.log" &
    daemon=$!
    trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null' EXIT
    trap 'exit 130' INT TERM
    tries=0
    until is_ready; do
        tries=$((tries + 1))
        if [ "$tries" -ge 100 ] || ! kill -0 "$daemon" 2>/dev/null; then
            fail "the daemon did not start; see $build/daemon.log"
        fi
        sleep 0.1
    done
    echo "$url"
}

# The daemon took a free port and has said which.
is_ready() {
    port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$build/daemon.log")
    url=http://127.0.0.1:$port
    [ -n "$port" ] && curl -sf -o "$build/ready" "$url/readyz"
}

# The one call: the network, the data and what is to be done with them.
submit() {
    say "submitting"
    status=$(curl -sS -o "$build/job.json" -w '%{http_code}' "$url/v1/jobs" \
        -F model=@"$example/model.onnx" \
        -F calibration=@"$example/calib.npy" \
        -F evaluation=@"$example/test_x.npy" \
        -F evaluation_labels=@"$example/test_y.npy" \
        -F spec=@etc/demo/job.json)
    [ "$status" = 202 ] || fail "HTTP status $status: $(cat "$build/job.json")"
    job=$(field id <"$build/job.json")
    echo "job $job"
}

# The first member of this name in a JSON document, as text.
field() {
    grep -o "\"$1\" *: *\"\{0,1\}[^\",}]*" | head -n 1 | sed 's/^"[^"]*" *: *"\{0,1\}//'
}

# Waits for the job, with a line that grows on a terminal.
follow() {
    while :; do
        curl -sSf -o "$build/job.json" "$url/v1/jobs/$job?wait=1"
        state_now=$(field state <"$build/job.json")
        fraction=$(field fraction <"$build/job.json")
        percent=$(awk -v f="${fraction:-0}" 'BEGIN { printf "%d", 100 * f }')
        [ -t 1 ] && printf '\r%s: %3d %% ' "$state_now" "$percent"
        case $state_now in
        succeeded) break ;;
        failed | cancelled | partial) fail "the job is $state_now: $(cat "$build/job.json")" ;;
        esac
    done
    [ -t 1 ] || echo "$state_now"
    echo
}

# The report as a table of widths; the daemon gives it as Markdown, CSV and JSON.
show_report() {
    say "report"
    curl -sSf -H 'Accept: text/csv' -o "$build/report.csv" "$url/v1/jobs/$job/report"
    curl -sSf -H 'Accept: text/markdown' -o "$build/report.md" "$url/v1/jobs/$job/report"
    curl -sSf -H 'Accept: application/json' -o "$build/report.json" "$url/v1/jobs/$job/report"
    tr -d '\r' <"$build/report.csv" | awk -F, '
        NR == 1 {
            for (i = 1; i <= NF; i++) column[$i] = i
            row = "%-7s  %-15s  %10s  %12s  %s\n"
            printf row, "network", "accuracy %", "mega BOPs", "peak memory", "peak at layer"
            next
        }
        {
            bits = $column["weights.bits"]
            name = bits == "" ? "float" : "W" bits "A" bits
            accuracy = sprintf("%.2f", 100 * $column["accuracy_mean"])
            if (bits != "")
                accuracy = accuracy sprintf(" +/- %.2f", 100 * $column["accuracy_std"])
            printf row, name, accuracy, sprintf("%.3f", $column["bops"] / 1e6),
                $column["peak_bytes"] " B", $column["peak_layer"]
        }'
    echo
    echo "Weights and activations have the same width, the network's input 8 bits; three seeds."
    echo "With every column: $build/report.md, $build/report.csv, $build/report.json"
}

install_packages
build_programs
make_example
start_daemon
submit
follow
show_report
if $keep; then
    trap - EXIT
    echo "The daemon runs on: $url/v1/jobs/$job, dashboard $url/ (end it with: kill $daemon)"
fi
