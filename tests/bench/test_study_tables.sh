#!/bin/sh
# The tables and orderings of the study (study.awk), on cells made up for it.
#
#   test_study_tables.sh SOURCE_ROOT
#
# Laws: a loss is compared with the study's at the same widths, variable and network where the
# pipeline is that of Table 2, and with the study's best for our best; an ordering comes out when the
# difference is larger than its standard error, does not when it is as large on the other side, and
# is level in between; a tie does not hurt.
set -u
root=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# Spaces are tabs in the file, and "HAR_CNN" is "HAR CNN".
sed 's/ /\t/g; s/HAR_CNN/HAR CNN/' >"$dir/cells.tsv" <<'CELLS'
study network weight_bits activation_bits equalize weights_init activations_init variable granularity bias seeds float mean std bops peak_bytes
best HAR_CNN 2 2 none mse mse weights network tune 5 90.50 90.00 0.20 9673728 13992
fig4 DS-CNN 3 3 cle minmax minmax none layer none 1 92.00 20.00 0 1 1
fig4 DS-CNN 3 3 cle mse mse none layer none 1 92.00 50.00 0 1 1
fig4 DS-CNN 8 8 cle minmax minmax none layer none 1 92.00 92.00 0 1 1
fig4 DS-CNN 8 8 cle mse mse none layer none 1 92.00 91.00 0 1 1
fig6 DS-CNN 2 2 cle mse mse round layer none 4 92.00 12.00 2.00 1 1
fig6 DS-CNN 2 2 cle mse mse round block none 4 92.00 13.00 2.00 1 1
fig7 DS-CNN 4 4 cle mse mse round layer none 4 92.00 88.00 0.20 1 1
fig7 DS-CNN 4 4 cle mse mse round layer tune 4 92.00 88.00 0.20 1 1
fig7 DS-CNN 4 4 cle mse mse bits layer none 4 92.00 88.00 0.20 1 1
fig7 DS-CNN 4 4 cle mse mse bits layer tune 4 92.00 87.00 0.20 1 1
table2 DS-CNN 3 3 cle mse mse qparam layer tune 5 92.00 60.00 1.00 1 1
table2 DS-CNN 3 3 cle mse mse round layer tune 5 92.00 80.00 1.00 1 1
table2 DS-CNN 3 3 cle mse mse weights layer tune 5 92.00 50.00 1.00 1 1
CELLS
awk -f "$root/tests/bench/study.awk" FS=, "$root/etc/studies/table2.csv" FS='\t' \
    "$dir/cells.tsv" >"$dir/tables" || exit 1

failed=0
expect() {
    if ! sed 's/  */ /g' "$dir/tables" | grep -qF -- "$1"; then
        echo "this line is not there: $1"
        failed=1
    fi
}

# Loss 0.50 beside 90.36 − 90.46; loss 12.00 beside 93.03 − 75.22.
expect '2/2 weights HAR CNN 90.50 90.00 0.20 0.50 -0.10 +0.60 9.674 13992'
expect '3/3 round DS-CNN 92.00 80.00 1.00 12.00 17.81 -5.81'
expect '4/4 round, bias tune DS-CNN 92.00 88.00 0.20 4.00 4.70 -0.70'
expect '2/2 round, block DS-CNN 92.00 13.00 2.00 79.00'
expect 'MSE ranges beat min-max at 4 bits and below: 1 come out, 0 do not, 0 level'
expect 'qparam is the weakest variable at 3 bits and below: 0 come out, 1 do not, 0 level'
expect 'does not table2 DS-CNN 3 bits weights 50.00, qparam 60.00: -10.00'
expect 'blocks beat layers for round at 2 and 3 bits: 0 come out, 0 do not, 1 level'
expect 'bias tuning does not hurt: 1 come out, 1 do not, 0 level'
[ "$failed" -eq 0 ] || cat "$dir/tables"
exit "$failed"
