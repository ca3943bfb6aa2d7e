#!/bin/sh
# Every header compiles alone.
#
#   headers.sh ROOT COMPILER…      prints what the compiler says; exit status 1 on any error
set -u
root=${1:?usage: headers.sh ROOT COMPILER}
shift
status=0
cd "$root/include" || exit 1
for header in $(find ptqd -name '*.h' | LC_ALL=C sort); do
    echo "#include \"$header\"" |
        "$@" -x c -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only - || {
        echo "$header: does not compile alone"
        status=1
    }
done
exit $status
