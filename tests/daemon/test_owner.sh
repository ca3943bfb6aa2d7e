#!/bin/sh
# Commands that root calls on the state of the daemon's own user.
#
#   test_owner.sh PTQD
#
# Law: what `token`, `restore`, `migrate` and `check --repair` leave in the directory belongs to the
# owner of the directory, who can start the daemon with it. Skipped where nobody else can be.
set -u
ptqd=$1
[ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null || exit 77
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
chmod 755 "$out"
group=$(id -gn nobody)
export PTQD_CONFIG=/dev/null

fail() {
    echo "$*"
    exit 1
}

make_state() {
    install -d -o nobody -g "$group" -m 750 "$1"
}

# Everything is nobody's, and nobody may start from it. The program is where others may not look.
served() {
    others=$(find "$1" ! -user nobody -o ! -group "$group")
    [ -z "$others" ] || fail "others own $others"
    : >"$out/log"
    setpriv --reuid nobody --regid "$group" --clear-groups \
        /proc/self/fd/9 serve --data "$1" --port 0 2>"$out/log" &
    daemon=$!
    tries=0
    until grep -q 'msg="listening"' "$out/log"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] && kill -0 "$daemon" 2>/dev/null || fail "no start: $(cat "$out/log")"
        sleep 0.1
    done
    kill "$daemon"
    wait "$daemon" || fail "the daemon does not stop cleanly"
}
exec 9<"$ptqd"

make_state "$out/state"
"$ptqd" token add ada admin --data "$out/state" >"$out/token" 2>&1 || fail "$(cat "$out/token")"
served "$out/state"
"$ptqd" migrate --data "$out/state" >"$out/said" 2>&1 || fail "$(cat "$out/said")"
"$ptqd" check --repair --data "$out/state" >"$out/said" 2>&1 || fail "$(cat "$out/said")"
served "$out/state"

"$ptqd" backup "$out/copy" --data "$out/state" >"$out/said" 2>&1 || fail "$(cat "$out/said")"
make_state "$out/restored"
"$ptqd" restore "$out/copy" --data "$out/restored" >"$out/said" 2>&1 || fail "$(cat "$out/said")"
served "$out/restored"

# A name with a slip in it makes nothing.
for call in 'token list' 'token revoke ada' 'token change ada read' migrate check; do
    # shellcheck disable=SC2086  # words
    "$ptqd" $call --data "$out/none" >"$out/said" 2>&1 && fail "$call does not mind"
    grep -q "$out/none/ptqd.db': No such file" "$out/said" || fail "$call: $(cat "$out/said")"
    [ -e "$out/none" ] && fail "$call makes a directory"
done
echo "the owner has everything"
