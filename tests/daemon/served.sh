# shellcheck shell=sh disable=SC2154,SC2034  # set and used by who sources this
# For tests that talk to the daemon from a shell: sourced with $ptqd, $motion (the maker of the
# example) and $out (a directory of the test's own) set.
#
# Afterwards the daemon listens at $url, with the example in $out/motion, and is ended with the test.

command -v curl >/dev/null && command -v jq >/dev/null || exit 77

"$motion" "$out/motion" >"$out/motion.log" || exit 1
# It is read before the daemon has written it.
: >"$out/daemon.log"
"$ptqd" serve --config /dev/null --data "$out/state" --port 0 2>"$out/daemon.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

fail() {
    echo "$*"
    tail -n 20 "$out/daemon.log"
    exit 1
}

tries=0
until port=$(sed -n 's/.*msg="\{0,1\}listening.* port=\([0-9]*\).*/\1/p' "$out/daemon.log") &&
    [ -n "$port" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$daemon" 2>/dev/null; then
        fail "the daemon does not start"
    fi
    sleep 0.1
done
url=http://127.0.0.1:$port
