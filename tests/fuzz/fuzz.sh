#!/bin/sh
# Fuzzes one target with libFuzzer under the address and undefined sanitizers.
#
#   sh tests/fuzz/fuzz.sh TARGET SECONDS [libFuzzer option…]
#
# Starts from tests/fuzz/corpus/TARGET; new inputs and crashes stay in build-fuzz/found/TARGET. An input
# that found a bug belongs into the corpus, with the fix.
set -eu
target=${1:?usage: fuzz.sh TARGET SECONDS [option…]}
seconds=${2:?usage: fuzz.sh TARGET SECONDS [option…]}
shift 2
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build-fuzz

[ -f "$build/build.ninja" ] ||
    CC=clang meson setup "$build" "$root" -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link
ninja -C "$build" "tests/fuzz/fuzz_$target"

found=$build/found/$target
mkdir -p "$found"
cd "$found"
exec env UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 "$@" "$found" "$root/tests/fuzz/corpus/$target"
