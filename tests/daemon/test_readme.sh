#!/bin/sh
# Every line of README.md with curl, in order, against the real daemon.
#
#   test_readme.sh PTQD MAKE_MOTION README
#
# Law: each block of the document is a script that ends without an error, and no answer is one. Lines
# that start the daemon, or are for another server, are left out. Skipped without curl and jq.
set -u
ptqd=$1
motion=$2
readme=$3
out=$(mktemp -d)
# shellcheck source=tests/daemon/served.sh
. "$(dirname "$0")/served.sh"

# Blocks of code that call curl, with an echo of where they begin in between. The daemon of this test
# stands in for the one of the document; curl fails for a status from 400.
awk -v url="$url" '
    function flush() {
        if (block ~ /(^|\n|\$\()curl /) {
            printf "where=%d\n%s", first, block
            blocks++
        }
        block = ""
    }
    /^    / {
        if (block == "") first = NR
        line = substr($0, 5)
        if (line ~ /^ptqd serve|^url=/) next
        block = block line "\n"
        next
    }
    { flush() }
    BEGIN { print "url=" url }
    END {
        flush()
        print "echo \"blocks: " blocks "\""
    }' "$readme" >"$out/script"

mkdir "$out/bin"
real=$(command -v curl)
printf '#!/bin/sh\nexec %s -sS --fail-with-body "$@"\n' "$real" >"$out/bin/curl"
chmod +x "$out/bin/curl"
(
    cd "$out/motion" &&
        PATH=$out/bin:$PATH sh -eu -c 'trap "echo \"line \$where of the document\"" EXIT
            . "$1"
            trap - EXIT' sh "$out/script"
) >"$out/answers" 2>&1 || {
    tail -n 5 "$out/answers"
    fail "a line of the document does not work"
}
tail -n 1 "$out/answers"
blocks=$(sed -n 's/^blocks: //p' "$out/answers")
[ "${blocks:-0}" -ge 4 ] || fail "only $blocks blocks were run"
