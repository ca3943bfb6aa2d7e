#!/bin/sh
# Every C file is as clang-format leaves it. Skipped when clang-format is not there.
#
#   format.sh ROOT
set -u
root=${1:?usage: format.sh ROOT}
command -v clang-format >/dev/null || exit 77
cd "$root" || exit 1
find src include tests etc -name '*.[ch]' -type f -print0 | LC_ALL=C sort -z |
    xargs -0 -r clang-format --dry-run -Werror
