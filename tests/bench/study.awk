# Tables of the study's cells (study.jq) beside the study's own numbers, and its orderings.
#
#   awk -f study.awk FS=, table2.csv FS='\t' cells.tsv
#
# Losses are in points of accuracy, float minus quantized, each against the float network that was
# quantized. The study gives numbers for the pipelines of Table 2 only; those of "best" stand beside
# the best of the study's four at that width. An ordering comes out when the difference is larger
# than its standard error over the seeds, and does not when it is as large on the other side.

FNR == 1 {
    file++
}

file == 1 && !/^#/ && $3 == "float" {
    study_float[$4] = $5
}

file == 1 && /^[0-9]/ && $3 != "float" {
    key = $1 SUBSEP $2 SUBSEP $4
    study_loss[key, $3] = study_float[$4] - $5
    if (!(key in study_best) || study_loss[key, $3] < study_best[key])
        study_best[key] = study_loss[key, $3]
}

file == 2 && FNR == 1 {
    for (i = 1; i <= NF; i++)
        column[$i] = i
}

function is(name, value) {
    return $column[name] == value
}

# Loss that the study gives for a cell; "" when it gives none.
function loss_of_study(    network, key) {
    network = $column["network"]
    sub(/,.*/, "", network)
    key = $column["weight_bits"] SUBSEP $column["activation_bits"] SUBSEP network
    if (is("study", "best"))
        return study_best[key]
    if (is("equalize", "cle") && is("weights_init", "mse") && is("activations_init", "mse") &&
        is("granularity", "layer") && is("bias", "tune"))
        return study_loss[key, $column["variable"]]
    return ""
}

# What differs between the cells of a study, beside network and widths.
function choice() {
    if (is("study", "fig4"))
        return $column["equalize"] ", weights " $column["weights_init"] ", activations " \
               $column["activations_init"]
    if (is("study", "fig6"))
        return $column["variable"] ", " $column["granularity"]
    if (is("study", "fig7"))
        return $column["variable"] ", bias " $column["bias"]
    return $column["variable"]
}

function has_costs() {
    return is("study", "fig8") || is("study", "best")
}

function head() {
    printf "\n%s\n%-6s%-44s%-19s%8s%12s%7s%8s%8s%8s", $column["study"], "W/A", "", "network",
        "float %", "accuracy %", "std", "loss", "study", "diff"
    if (has_costs())
        printf "%12s%12s", "mega BOPs", "peak bytes"
    printf "\n"
}

function print_cell(    loss, theirs) {
    loss = $column["float"] - $column["mean"]
    theirs = loss_of_study()
    printf "%-6s%-44s%-19s%8.2f%12.2f%7.2f%8.2f%8s%8s", $column["weight_bits"] "/" \
        $column["activation_bits"], choice(), $column["network"], $column["float"],
        $column["mean"], $column["std"], loss, theirs == "" ? "" : sprintf("%.2f", theirs),
        theirs == "" ? "" : sprintf("%+.2f", loss - theirs)
    if (has_costs())
        printf "%12.3f%12d", $column["bops"] / 1e6, $column["peak_bytes"]
    printf "\n"
}

# For the orderings: mean and squared standard error of a cell at its place.
function keep_cell(    place) {
    place = study SUBSEP $column["network"] SUBSEP $column["weight_bits"]
    if (!(place in seen))
        places[++place_count] = place
    seen[place] = 1
    mean[place, choice()] = $column["mean"]
    error[place, choice()] = $column["std"] ^ 2 / $column["seeds"]
}

file == 2 && FNR > 1 {
    if (!is("study", study))
        head()
    study = $column["study"]
    print_cell()
    keep_cell()
}

# Is `high` more accurate than `low` at this place? `tie` is what it is called when neither is.
function compare(law, place, high, low, tie,    part, difference, se, verdict) {
    if (!((place, high) in mean) || !((place, low) in mean))
        return
    split(place, part, SUBSEP)
    difference = mean[place, high] - mean[place, low]
    se = sqrt(error[place, high] + error[place, low])
    verdict = difference > se ? "comes out" : difference < -se ? "does not" : tie
    if (!(law in lines))
        laws[++law_count] = law
    count[law, verdict]++
    lines[law] = lines[law] sprintf("  %-10s%-8s%-19s%d bits  %s %.2f, %s %.2f: %+.2f\n", verdict,
        part[1], part[2], part[3], high, mean[place, high], low, mean[place, low], difference)
}

function compare_ranges(place, equalize) {
    compare("MSE ranges beat min-max at 4 bits and below", place,
        equalize ", weights mse, activations mse", equalize ", weights minmax, activations minmax",
        "level")
}

# Against the weakest of the other variables.
function compare_qparam(place,    others, i, low) {
    split("weights,bits,round", others, ",")
    for (i = 1; i <= 3; i++)
        if ((place, others[i]) in mean &&
            (low == "" || mean[place, others[i]] < mean[place, low]))
            low = others[i]
    compare("qparam is the weakest variable at 3 bits and below", place, low, "qparam", "level")
}

function compare_bias(place,    variables, i) {
    split("qparam,weights,bits,round", variables, ",")
    for (i = 1; i <= 4; i++)
        compare("bias tuning does not hurt", place, variables[i] ", bias tune",
            variables[i] ", bias none", "comes out")
}

END {
    for (p = 1; p <= place_count; p++) {
        place = places[p]
        split(place, part, SUBSEP)
        if (part[1] == "fig4" && part[3] <= 4) {
            compare_ranges(place, "none")
            compare_ranges(place, "cle")
        }
        if ((part[1] == "table2" || part[1] == "fig5") && part[3] <= 3)
            compare_qparam(place)
        if (part[1] == "fig6" && part[3] <= 3 && part[2] ~ /^(ResNet-8|DS-CNN)/)
            compare("blocks beat layers for round at 2 and 3 bits", place, "round, block",
                "round, layer", "level")
        if (part[1] == "fig7")
            compare_bias(place)
    }
    for (i = 1; i <= law_count; i++)
        printf "\n%s: %d come out, %d do not, %d level\n%s", laws[i], count[laws[i], "comes out"],
            count[laws[i], "does not"], count[laws[i], "level"], lines[laws[i]]
}
