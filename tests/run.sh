#!/bin/sh
# Installs what is missing, builds in every flavour, runs every test.
#
#   sh tests/run.sh
#
# On Debian 12, as root or with sudo. May be run again; what is built stays in build-*/. The last line
# is "N passed, N failed", with ", N skipped" when there are any; the exit status is 0 when nothing
# failed. Each build counts as one check, and so does each case of each test.
set -u
exec </dev/null
cd "$(dirname "$0")/.." || exit 1
root=$PWD

passed=0
failed=0
skipped=0

# What builds and runs it, and what tests need beyond that.
packages="$(cat etc/packages.txt)
    build-essential chromium clang libclang-rt-14-dev clang-format debhelper e2fsprogs jq
    libonnx-testdata python3-onnx systemd"

say() {
    printf '\n== %s\n' "$*"
}

finish() {
    printf '\n%d passed, %d failed' "$passed" "$failed"
    [ "$skipped" -gt 0 ] && printf ', %d skipped' "$skipped"
    printf '\n'
    [ "$failed" -eq 0 ]
    exit
}

# One check: runs a command, shows its output only when it fails.
check() {
    what=$1
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $what"
        rm -f "$log"
        return 0
    fi
    failed=$((failed + 1))
    tail -n 200 "$log" | sed 's|[a-z]*://[^ ]*|(address)|g'
    echo "FAILED: $what"
    rm -f "$log"
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

install_packages() {
    as_root apt-get update -qq &&
        as_root apt-get install -y -qq --no-install-recommends "$@"
}

prepare_machine() {
    missing=
    for package in $packages; do
        # A command of the name will do: npm, for one, need not come from Debian.
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            command -v "$package" >/dev/null || missing="$missing $package"
    done
    command -v node >/dev/null || missing="$missing nodejs"
    [ -z "$missing" ] && return
    say "installing$missing"
    # shellcheck disable=SC2086  # a list of words
    check "packages" install_packages $missing || finish
}

# onnxruntime judges the exported models; without --ignore-scripts it would fetch more than it needs.
prepare_onnxruntime() {
    version=1.30.0
    [ -f build-node/node_modules/onnxruntime-node/package.json ] &&
        grep -q "\"version\": \"$version\"" build-node/node_modules/onnxruntime-node/package.json &&
        return
    say "installing onnxruntime-node"
    mkdir -p build-node
    check "onnxruntime-node" npm install --prefix build-node --ignore-scripts --no-audit --no-fund \
        --loglevel=error "onnxruntime-node@$version"
}

fetch_promtool() {
    rm -f prometheus_*.deb
    { apt-get download -qq prometheus || { as_root apt-get update -qq &&
        apt-get download -qq prometheus; }; } && dpkg -x prometheus_*.deb .
}

# promtool judges the alerts. Its package is unpacked only: installed, it would start a server.
prepare_promtool() {
    command -v promtool >/dev/null && return
    say "fetching promtool"
    mkdir -p build-promtool
    cd build-promtool || finish
    check "promtool" fetch_promtool
    cd "$root" || finish
}

# What the dashboard is built from, once for all builds, and what drives a browser in its tests.
prepare_web() {
    cmp -s web/package-lock.json build-web/done && return
    say "installing the dashboard's packages"
    mkdir -p build-web
    cp web/package.json web/package-lock.json build-web
    check "the dashboard's packages" npm ci --prefix build-web --ignore-scripts --no-audit \
        --no-fund --loglevel=error && cp web/package-lock.json build-web/done
}

# build NAME COMPILER [meson option…]
build() {
    name=$1
    compiler=$2
    shift 2
    say "build with $name"
    if [ ! -f "build-$name/build.ninja" ]; then
        rm -rf "build-$name"
        check "configuration with $name" env CC="$compiler" meson setup "build-$name" "$@" || return
    fi
    check "build with $name" ninja --quiet -k 0 -C "build-$name"
}

# run NAME [meson test option…]: tests of a build, counted from meson's log
run() {
    name=$1
    shift
    say "tests with $name"
    log=build-$name/meson-logs/testlog.json
    rm -f "$log"
    # shellcheck disable=SC2086  # a command before the command, or nothing
    $fixed_layout meson test -C "build-$name" --no-rebuild --print-errorlogs --quiet \
        --num-processes "$processes" "$@"
    if [ ! -s "$log" ]; then
        echo "FAILED: no tests ran with $name"
        failed=$((failed + 1))
        return
    fi
    counts=$(mktemp)
    awk -v counts="$counts" -f tests/count.awk "$log"
    read -r p f s <"$counts"
    rm -f "$counts"
    echo "$name: $p passed, $f failed, $s skipped"
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
}

prepare_machine
prepare_onnxruntime
PATH=$PATH:$root/build-promtool/usr/bin
prepare_promtool
prepare_web

# The sanitizers of gcc 12 don't know the address layouts of newer kernels; without randomisation the
# layout is the one they know.
fixed_layout=
setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null &&
    fixed_layout="setarch $(uname -m) --addr-no-randomize"
# Some tests wait, for a disk, a browser or a deadline: one more than there are cores at a time.
processes=$(($(nproc) + 1))
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$root/tests/thread.supp
export PTQD_NODE_MODULES="$root/build-node/node_modules"
export PTQD_WEB_MODULES="$root/build-web/node_modules"

build gcc gcc && run gcc

# From here on heavy tests take their shortened form or, where that is still slow, are left out, and
# limits of time are wider.
export PTQD_TEST_SHORT=1
export CK_TIMEOUT_MULTIPLIER=10

build clang clang && run clang --no-suite lint --no-suite slow

# A sanitizer sees every access whatever the optimisation. With little of it, and no more of debugging
# than lines, a build takes a third of the time.
sanitized="-Doptimization=1 -Dc_args=-g1"

# shellcheck disable=SC2086  # a list of words
build address gcc -Db_sanitize=address,undefined $sanitized &&
    run address --no-suite lint --no-suite slow --timeout-multiplier 10

# shellcheck disable=SC2086  # likewise
build thread gcc -Db_sanitize=thread $sanitized &&
    run thread --timeout-multiplier 10 --suite base --suite store --suite jobs --suite http \
        --suite api --suite daemon --suite threads

finish
