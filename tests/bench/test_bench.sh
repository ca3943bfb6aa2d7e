#!/bin/sh
# bench.sh in its short form: it runs, and what it prints and puts into a README are whole tables.
#
#   test_bench.sh SOURCE_ROOT BUILD_ROOT
#
# Laws: every row of a table has as many cells as its head; each kind of table has rows, those beside
# PyTorch have both numbers and their ratio; a README keeps all that is not between its markers, and
# making it again changes nothing. Returns 77 without the networks or torch.
set -u
root=$1
build=$2
/usr/bin/python3 -c 'import torch' 2>/dev/null || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
failed=0

check() {
    what=$1
    shift
    "$@" && return
    echo "not so: $what"
    failed=1
}

# A table is a row of names, the row of dashes, and at least one more; all with as many cells.
whole_tables() {
    awk '
        /^\|/ { cells = gsub(/\|/, "|"); rows++ }
        /^\|/ && rows == 1 { wanted = cells }
        /^\|/ && rows == 2 && !/^\|---/ { bad++ }
        /^\|/ && cells != wanted { bad++ }
        !/^\|/ && rows { bad += rows < 3; tables++; rows = 0 }
        END { exit bad > 0 || tables + (rows > 0) < '"$2"' }' "$1"
}

has() {
    grep -Eq "$2" "$1"
}

records=$dir/records
"$root/tests/bench/bench.sh" --short --build "$build" --records "$records" >"$dir/all.md"
status=$?
[ $status -eq 77 ] && exit 77
check "bench.sh succeeds" [ $status -eq 0 ]
check "its tables are whole" whole_tables "$dir/all.md" 5
number='[0-9.e-]+'
check "kernels have a share of the peak" has "$dir/all.md" "^\| DS-CNN, pointwise \| $number \($number %\)"
check "runs have steps" has "$dir/all.md" "^\| DS-CNN, grid \| $number \| $number \($number %\)"
check "a run that trains is there" has "$dir/all.md" '^\| DS-CNN, weights, network \|'
for work in 'float inference' 'block training' 'network training' 'layer-wise, W4'; do
    check "$work has a ratio" has "$dir/all.md" "^\| $work \| $number, $number: \*\*$number\*\* \|"
done
check "growth has an exponent" has "$dir/all.md" '^exponent .* all -?[0-9.]+'
check "growth has a plot" has "$dir/all.md" '^ .*\*$|\*'
check "goals say what is reached" has "$dir/all.md" '^\| DS-CNN: float inference, .*(yes|no)'

# On a tree of its own: the script finds the README from where it is.
mkdir -p "$dir/tree/tests"
cp -R "$root/tests/bench" "$dir/tree/tests/"
printf 'before\n<!-- speed begins: by bench.sh -->\nold\n<!-- speed ends -->\nafter\n' \
    >"$dir/tree/README.md"
"$dir/tree/tests/bench/bench.sh" --readme --records "$records" >/dev/null
check "the README's tables are whole" whole_tables "$dir/tree/README.md" 4
check "what was between the markers is gone" [ "$(grep -c '^old$' "$dir/tree/README.md")" = 0 ]
check "the rest stays" [ "$(sed -n '1p;$p' "$dir/tree/README.md" | tr '\n' ' ')" = "before after " ]
cp "$dir/tree/README.md" "$dir/once.md"
"$dir/tree/tests/bench/bench.sh" --readme --records "$records" >/dev/null
check "the same again" cmp -s "$dir/once.md" "$dir/tree/README.md"
exit $failed
