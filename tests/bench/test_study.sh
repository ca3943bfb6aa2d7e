#!/bin/sh
# The study in small (one network, two widths, one variable, one seed), killed in the middle.
#
#   test_study.sh PTQD SOURCE_ROOT
#
# Laws: a call after the kill finds the job that was submitted and submits none twice; it prints
# the study's numbers beside the cells; a call when everything is done prints the same tables. Skipped
# without curl, jq or the real networks.
set -u
ptqd=$1
root=$2
data=${PTQD_TEST_DATA:-$root/../shared/data}
command -v curl >/dev/null && command -v jq >/dev/null && [ -d "$data/har" ] || exit 77

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

fail() {
    echo "$*"
    for file in first second third daemon.log; do
        echo "--- $file"
        tail -n 30 "$out/$file"
    done 2>/dev/null
    exit 1
}

study() {
    exec "$root/tests/bench/study.sh" --ptqd "$ptqd" --data "$data" --out "$out" --only table2 \
        --networks "HAR CNN" --widths 4,2 --variables round --seeds 1
}

: >"$out/first"
study >"$out/first" 2>&1 &
first=$!
tries=0
until grep -q '^jobs: 1$' "$out/first"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$first" 2>/dev/null; then
        fail "the first call does not submit its job"
    fi
    sleep 0.1
done
kill -9 "$first" || fail "the first call ended before it was killed"
wait "$first" 2>/dev/null

(study) >"$out/second" 2>&1 || fail "the second call fails"
# Jobs are numbered: j2 would be one that was submitted again.
grep -q '^j1 succeeded, 1 of 1 jobs$' "$out/second" || fail "the job is not j1"

# Width, float, accuracy, deviation, loss, the study's loss, difference: 90.36 - 89.63 at 2 bits.
awk '/^table2/ { inside = 1 } inside && /^2\/2 / && $NF - ($(NF - 2) - 0.73) < 0.011 &&
    ($(NF - 2) - 0.73) - $NF < 0.011 && $(NF - 1) == "0.73" { found = 1 } END { exit !found }' \
    "$out/second" || fail "the cell at 2 bits is not beside the study's"

(study) >"$out/third" 2>&1 || fail "the third call fails"
sed 1d "$out/second" >"$out/second.tables" # without the daemon's port
sed 1d "$out/third" | cmp - "$out/second.tables" || fail "the tables differ"
echo "the study continues"
