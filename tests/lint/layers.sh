#!/bin/sh
# The rules of the house that a compiler doesn't know: who may include whom, unique file names, file
# sizes, banned functions, allocation, #pragma once, and that every source is in its room's list.
#
#   layers.sh ROOT      prints each violation; exit status 1 when there is one
set -u
root=${1:?usage: layers.sh ROOT}
here=$(dirname "$0")
largest=600 # lines

# Files that may allocate in other functions: the text that grows.
allocators="src/base/text.c"

found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT

sources() {
    for folder in src include tests etc; do
        [ -d "$root/$folder" ] && find "$root/$folder" -name '*.[ch]' -type f
    done | LC_ALL=C sort
}

violation() {
    printf '%s\n' "$1" >>"$found"
}

sources | tr '\n' '\0' |
    LC_ALL=C xargs -0 -r awk -v root="$root" -v allocators="$allocators" \
        -f "$here/layers.awk" >>"$found"

# Names are unique; files of a registry folder (src/room/registry/) are named by their row.
sources | sed "s|^$root/||" |
    grep -Ev '^(src|tests)/[^/]+/[^/]+/|^include/ptqd/[^/]+/[^/]+/' |
    sed 's|.*/||' | LC_ALL=C sort | uniq -d |
    sed 's|$|: more than one file has this name|' >>"$found"

for file in $(sources); do
    name=${file#"$root"/}
    lines=$(wc -l <"$file")
    [ "$lines" -gt $largest ] && violation "$name: $lines lines; at most $largest"
    case $name in
    *.h)
        grep -q '^#pragma once$' "$file" || violation "$name: no #pragma once"
        ;;
    src/*.c)
        room=${name#src/}
        room=${room%%/*}
        within=${name#src/"$room"/}
        cat "$root/src/$room/meson.build" "${file%/*}/meson.build" 2>/dev/null |
            grep -Eq "'($within|${name##*/})'" || violation "$name: in no meson.build of its room"
        ;;
    esac
done

if [ -s "$found" ]; then
    cat "$found"
    echo "$(wc -l <"$found") violations"
    exit 1
fi
