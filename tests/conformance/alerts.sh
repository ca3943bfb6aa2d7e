#!/bin/sh
# The alerts of etc/prometheus fire when they should, and only then (alerts.yml).
#
#   alerts.sh CASES
#
# promtool is of Debian's package prometheus; without it the test is skipped (77).
set -eu
command -v promtool >/dev/null || exit 77
exec promtool test rules "$1"
