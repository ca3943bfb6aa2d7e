#!/bin/sh
# Socket activation: the daemon serves the socket that it is handed, a TCP one or a path, and judges
# it instead of the setting. Skipped without systemd-socket-activate.
#
#   test_activation.sh PTQD
set -u
ptqd=${1:?usage: test_activation.sh PTQD}
command -v systemd-socket-activate >/dev/null || exit 77
folder=$(mktemp -d) || exit 1
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$folder"' EXIT

fail() {
    echo "$1"
    cat "$folder/log"
    exit 1
}

# A port that is free now.
free_port() {
    : >"$folder/log"
    "$ptqd" serve --config /dev/null --data "$folder/probe" --port 0 >"$folder/log" 2>&1 &
    pid=$!
    wait_for 'msg="listening"'
    port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$folder/log")
    kill "$pid" && wait "$pid"
    pid=
}

wait_for() {
    tries=0
    until grep -q "$1" "$folder/log"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] && kill -0 "$pid" 2>/dev/null || fail "the log has no line with $1"
        sleep 0.1
    done
}

# serve SOCKET: the daemon behind a socket, which starts it with the first connection.
serve() {
    : >"$folder/log"
    systemd-socket-activate --listen="$1" "$ptqd" serve --config /dev/null \
        --data "$folder/state" --address 192.0.2.1 --port 1 >"$folder/log" 2>&1 &
    pid=$!
    wait_for 'Listening on'
}

stop() {
    kill "$pid"
    wait "$pid" || fail "the daemon does not stop cleanly"
    pid=
}

# The first connection starts the daemon, and may be answered before it is ready.
wait_ready() {
    tries=0
    until curl -fs --max-time 20 "$@" | grep -q '"ready"'; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "the daemon is not ready"
        sleep 0.1
    done
}

free_port
serve "127.0.0.1:$port"
wait_ready "http://127.0.0.1:$port/readyz"
grep -q "msg=\"listening\" address=127.0.0.1 port=$port tokens=none" "$folder/log" ||
    fail "the socket is not told"
stop

serve "$folder/socket"
wait_ready --unix-socket "$folder/socket" http://localhost/readyz
curl -fsS --max-time 20 --unix-socket "$folder/socket" http://localhost/v1/jobs | grep -q '"items"' ||
    fail "the path does not serve"
grep -q 'msg="listening" address=unix port=0 tokens=none' "$folder/log" || fail "the path is not told"
stop

# The setting says loopback, the socket is for everybody: without a token that is refused.
: >"$folder/log"
systemd-socket-activate --listen="0.0.0.0:$port" "$ptqd" serve --config /dev/null \
    --data "$folder/state" --address 127.0.0.1 >"$folder/log" 2>&1 &
pid=$!
wait_for 'Listening on'
curl -s --max-time 20 "http://127.0.0.1:$port/readyz" >/dev/null
wait "$pid" && fail "a socket for everybody is served without a token"
pid=
grep -q 'no token is configured, so anybody could use 0.0.0.0' "$folder/log" || fail "the reason is missing"

# Two sockets are one too many.
: >"$folder/log"
systemd-socket-activate --listen="127.0.0.1:$port" --listen="$folder/second" "$ptqd" serve \
    --config /dev/null --data "$folder/state" >"$folder/log" 2>&1 &
pid=$!
wait_for 'Listening on'
curl -s --max-time 20 "http://127.0.0.1:$port/readyz" >/dev/null
wait "$pid" && fail "two sockets are served"
pid=
grep -q '2 sockets were handed over; one is served' "$folder/log" || fail "two sockets are taken"

# The soft limit of descriptors is raised to the hard one.
ulimit -S -n 256
"$ptqd" serve --config /dev/null --data "$folder/state" --port 0 >"$folder/log" 2>&1 &
pid=$!
wait_for 'msg="listening"'
port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$folder/log")
wait_ready "http://127.0.0.1:$port/readyz"
limit=$(curl -fsS "http://127.0.0.1:$port/metrics" | sed -n 's/^process_max_fds //p')
[ "${limit:-0}" -gt 256 ] || fail "the limit of descriptors stays at ${limit:-nothing}"
stop
