#!/bin/sh
# Runs the benchmarks of kernels, runs and growth, and the same work in PyTorch where Debian's
# python3-torch is installed; prints tables in Markdown.
#
#   bench.sh [--short] [--readme] [--build DIR] [--records FILE] [--rounds N]
#
#   --short     little of everything: shows that it works, not how fast
#   --readme    also puts a summary between the two markers of README.md
#   --build     where meson has built (build)
#   --records   keeps the records there, or, when the file is there, makes the tables of it alone
#   --rounds    of what is compared with PyTorch, in turn with it; the best counts (3)
#
# The networks are looked for in PTQD_TEST_DATA, or ../shared/data; without them the status is 77.
# The whole takes half an hour.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/bench
build=$root/build
readme=false
records=
rounds=3
python=${PTQD_BENCH_PYTHON:-/usr/bin/python3}

fail() {
    echo "bench: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --short)
        export PTQD_TEST_SHORT=1
        rounds=1
        ;;
    --readme) readme=true ;;
    --build | --records | --rounds)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --build) build=$2 ;;
        --records) records=$2 ;;
        --rounds) rounds=$2 ;;
        esac
        shift
        ;;
    *) fail "$1 is not an option; the head of $0 has them" ;;
    esac
    shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A benchmark that can't run here ends this with its status. What it prints is kept when it is whole.
measure() {
    status=0
    "$@" >"$work/part" || status=$?
    [ "$status" -eq 0 ] || exit "$status"
    cat "$work/part" >>"$work/records"
}

with_torch() {
    "$python" -c 'import torch' 2>/dev/null
}

run_all() {
    programs=$build/tests/bench
    [ -x "$programs/bench_kernels" ] || fail "$programs/bench_kernels is not there: build it first"
    measure "$programs/bench_kernels"
    for round in $(seq "$rounds"); do
        measure "$programs/bench_peer"
        if with_torch; then
            measure "$python" "$here/peer.py"
        elif [ "$round" = 1 ]; then
            echo "bench: no torch for $python: nothing is compared with it" >&2
        fi
    done
    measure "$programs/bench_run"
    measure "$programs/bench_growth"
}

# The text between the two markers of README.md.
write_readme() {
    awk -v part=readme -f "$here/bench.awk" "$work/records" >"$work/summary"
    awk -v summary="$work/summary" '
        /^<!-- speed ends -->$/ { inside = 0 }
        !inside { print }
        /^<!-- speed begins/ {
            inside = 1
            print ""
            while ((getline line < summary) > 0)
                print line
            print ""
        }' "$root/README.md" >"$work/readme"
    cat "$work/readme" >"$root/README.md"
}

if [ -n "$records" ] && [ -s "$records" ]; then
    cat "$records" >"$work/records"
else
    run_all
    [ -z "$records" ] || cat "$work/records" >"$records"
fi
awk -v part=all -f "$here/bench.awk" "$work/records"
if $readme; then
    write_readme
fi
