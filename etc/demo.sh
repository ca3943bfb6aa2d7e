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
build=build-demo
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
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
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
    [ -f "$build/build.ninja" ] || meson setup "$build" >"$build.log" 2>&1 ||
        fail "meson failed; see $build.log"
    ninja --quiet -C "$build" src/daemon/ptqd etc/demo/make_motion
}

make_example() {
    say "making the example"
    "$build/etc/demo/make_motion" "$example"
}

# A state directory of its own in each run, so that the report is made anew.
start_daemon() {
    say "starting the daemon"
    rm -rf "$state"
    "$build/src/daemon/ptqd" serve --listen 127.0.0.1:0 --state "$state" 2>"$build/daemon.log" &
    daemon=$!
    trap 'kill "$daemon" 2>/dev/null || :' EXIT
    trap 'exit 130' INT TERM
    tries=0
    until address=$(sed -n 's/.*listening on \(127[0-9.:]*\).*/\1/p' "$build/daemon.log") &&
        [ -n "$address" ] && curl -sf -o "$build/ready" "http://$address/readyz"; do
        tries=$((tries + 1))
        kill -0 "$daemon" 2>/dev/null && [ "$tries" -lt 100 ] ||
            fail "the daemon did not start; see $build/daemon.log"
        sleep 0.1
    done
    url=http://$address
    echo "$url"
}

# The one call: the network, the data and what is to be done with them.
submit() {
    say "submitting"
    status=$(curl -sS -o "$build/job.json" -w '%{http_code} %{redirect_url}' "$url/v1/jobs" \
        -F model=@"$example/model.onnx" \
        -F calibration=@"$example/calib.npy" \
        -F evaluation=@"$example/test_x.npy" \
        -F evaluation_labels=@"$example/test_y.npy" \
        -F spec=@etc/demo/job.json)
    case $status in
    202*) ;;
    *) fail "HTTP status $status: $(cat "$build/job.json")" ;;
    esac
    job=$(field id <"$build/job.json")
    echo "job $job"
}

# The first member of this name in a JSON document, as text.
field() {
    sed -n 's/.*"'"$1"'" *: *"\{0,1\}\([^",}]*\).*/\1/p' | head -n 1
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

show_report() {
    say "report: weights and activations of the same width, the network's input at 8 bits"
    curl -sSf -H 'Accept: text/markdown' "$url/v1/jobs/$job/report" | tee "$build/report.md"
    curl -sSf -H 'Accept: text/csv' -o "$build/report.csv" "$url/v1/jobs/$job/report"
    printf '\nreport: %s, %s; the job: %s/v1/jobs/%s\n' "$build/report.md" "$build/report.csv" "$url" \
        "$job"
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
    echo "the daemon runs on: dashboard at $url/, end it with: kill $daemon"
fi
