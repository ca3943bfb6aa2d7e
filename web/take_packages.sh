#!/bin/sh
# What the dashboard has from npm: uPlot, which draws its charts, and the typeface Inter, in the
# versions of package-lock.json.
#
#   take_packages.sh WORK LOCK PACKAGE MODULE STYLE FONT
#
# From $PTQD_WEB_MODULES where that is set (a folder node_modules that has them: for builds without a
# network), else by npm into WORK. No script of a package is run.
set -eu
work=$1
lock=$2
package=$3
module=$4
style=$5
font=$6

fail() {
    echo "packages of the dashboard: $*" >&2
    exit 1
}

# The version of a package in the lock file.
wanted() {
    sed -n "\|\"node_modules/$1\"|,/}/s/^ *\"version\": \"\(.*\)\".*/\1/p" "$lock"
}

# The version of a package in $modules; nothing when it is not there.
found() {
    [ -f "$modules/$1/package.json" ] &&
        sed -n 's/^ *"version": "\(.*\)".*/\1/p' "$modules/$1/package.json" | head -n 1
}

# 0 when $modules has both in the versions wanted.
is_there() {
    for name in uplot @fontsource-variable/inter; do
        [ -n "$(wanted $name)" ] || fail "$lock does not name $name"
        [ "$(found $name)" = "$(wanted $name)" ] || return 1
    done
}

modules=${PTQD_WEB_MODULES-}
if [ -z "$modules" ]; then
    modules=$work/node_modules
    if ! is_there; then
        command -v npm >/dev/null || fail "npm is missing; install it, or set PTQD_WEB_MODULES" \
            "to a folder node_modules with $(sed -n 's/^ *"\(.*\)": "\([0-9].*\)".*/\1@\2/p' \
                "$package" | head -n 2 | tr '\n' ' ')"
        mkdir -p "$work"
        cp "$package" "$lock" "$work"
        npm ci --prefix "$work" --omit=dev --ignore-scripts --no-audit --no-fund \
            --loglevel=error >&2 || fail "npm does not get them"
    fi
fi
is_there || fail "$modules does not have uplot $(wanted uplot) and" \
    "@fontsource-variable/inter $(wanted @fontsource-variable/inter)"

# The small form of uPlot is a script that makes one variable. With an export it is a module, of half
# the size of the one in the package.
{
    cat "$modules/uplot/dist/uPlot.iife.min.js"
    echo 'export default uPlot;'
} >"$module"
cp "$modules/uplot/dist/uPlot.min.css" "$style"
cp "$modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2" "$font"
