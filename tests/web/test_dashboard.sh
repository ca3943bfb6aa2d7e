#!/bin/sh
# The dashboard in a headless Chromium, against the daemon. Skipped where a browser, node, or the
# packages that drive the browser are not there.
#
#   test_dashboard.sh PTQD MAKE_MOTION SUITE
#
# $PTQD_WEB_MODULES is a folder node_modules with playwright-core and axe-core, in the versions of
# web/package-lock.json; tests/run.sh makes one.
set -u

skip() {
    echo "1..0 # SKIP $1"
    exit 0
}

command -v node >/dev/null || skip "there is no node"
command -v chromium >/dev/null || skip "there is no chromium"
[ -f "${PTQD_WEB_MODULES-}/playwright-core/package.json" ] || skip "there is no playwright-core"
[ -f "${PTQD_WEB_MODULES-}/axe-core/package.json" ] || skip "there is no axe-core"
exec node "$3" "$1" "$2"
