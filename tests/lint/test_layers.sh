#!/bin/sh
# Law: layers.sh finds each kind of violation, and nothing in a tree that has none.
set -u
here=$(dirname "$0")
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
failures=0

clean_tree() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/src/nn/ops" "$tree/src/quant" "$tree/src/jobs" "$tree/include/ptqd/nn"
    cat >"$tree/src/nn/model.c" <<'END'
#include "ptqd/nn/model.h"
#include "ptqd/kern/conv.h"
/* strcpy(a, b) in a comment, even in
 * its second line: malloc(1) */
struct model *model_create(void)
{
    print("atoi(x)"); // gets(y)
    return malloc(8);
}
END
    echo '#pragma once' >"$tree/include/ptqd/nn/model.h"
    echo "files('model.c', 'ops/conv.c')" >"$tree/src/nn/meson.build"
    echo "files('pack.c')" >"$tree/src/quant/meson.build"
    echo "files('worker.c')" >"$tree/src/jobs/meson.build"
    echo '#include "ptqd/nn/model.h"' >"$tree/src/quant/pack.c"
    echo '#include "ptqd/flow/pipeline.h"' >"$tree/src/jobs/worker.c"
    : >"$tree/src/nn/ops/conv.c"
}

expect_clean() {
    sh "$here/layers.sh" "$tree" || {
        echo "not ok: $1"
        failures=$((failures + 1))
    }
}

# Appends the line $2 to the file $1 of a clean tree and expects a message with $3.
expect() {
    printf '%s\n' "$2" >>"$tree/$1"
    output=$(sh "$here/layers.sh" "$tree")
    if [ $? -ne 1 ] || ! printf '%s\n' "$output" | grep -q -- "^$1.*$3"; then
        echo "not ok: '$2' in $1: expected '$3', got: $output"
        failures=$((failures + 1))
    fi
    clean_tree
}

clean_tree
expect_clean "a tree without violations"

expect src/nn/model.c '#include "ptqd/json/value.h"' "room 'nn' may not include"
expect src/nn/model.c '#include "ptqd/flow/pipeline.h"' "room 'nn' may not include"
expect src/jobs/worker.c '#include "ptqd/flow/run.h"' "room 'jobs' may not include"
expect include/ptqd/nn/model.h '#include "ptqd/quant/pack.h"' "room 'nn' may not include"
expect src/nn/model.c '#include <oneapi/dnnl/dnnl.h>' "only: kern"
expect src/nn/model.c '#include <sqlite3.h>' "only: store"
expect src/jobs/worker.c '#include <cjson/cJSON.h>' "only: json"
expect src/jobs/worker.c '#include <microhttpd.h>' "only: http"
expect src/nn/model.c '#include <gnutls/crypto.h>' "only: base http"
expect src/nn/model.c '#include "../quant/pack.h"' "an include with"
expect src/nn/model.c '    strcpy(a, "b");' "a banned function"
expect src/nn/model.c '    x = atoi(argument);' "a banned function"
expect src/quant/pack.c '    x = malloc(8);' "allocates"
expect src/quant/pack.c '    x = strdup("a");' "allocates"
expect src/nn/model.c '#if 0' "switched off"
expect src/nn/model.c '/* TODO: later */' "do it"

mkdir -p "$tree/src/nowhere"
expect src/nowhere/a.c ';' "'nowhere' is not a room"
echo ';' >"$tree/src/quant/extra.c"
expect src/quant/extra.c ';' "in no meson.build"
mkdir -p "$tree/include/ptqd/quant"
expect include/ptqd/quant/bare.h 'struct bare;' "no #pragma once"
seq 700 | sed 's/.*/;/' >"$tree/src/nn/model.c"
expect src/nn/model.c ';' "701 lines"
echo "files('pack.c', 'model.c')" >"$tree/src/quant/meson.build"
echo ';' >"$tree/src/quant/model.c"
expect model.c ';' "more than one file"

[ $failures -eq 0 ]
