#!/bin/sh
# Runs a judge; skipped where there is no node.
#
#   judge.sh JUDGE.mjs [argument…]
set -u
command -v node >/dev/null || exit 77
judge=$1
shift
exec node "$(dirname "$0")/$judge" "$@"
