# Records of the benchmarks (measure.h) to tables in Markdown.
#
#   awk -v part=all|readme -f bench.awk RECORDS
#
# Records that come several times are those of several rounds: the best counts. Each program's head
# says what its records hold.
BEGIN {
    FS = "\t"
    batch = 32
    note("passes", "forward") # first layers have no "to data", which belongs behind it
    note("passes", "to data")
}

# The first time that `key` comes in `list`, which keeps the order.
function note(list, key) {
    if ((list, key) in noted)
        return
    noted[list, key] = 1
    order[list, ++length_of[list]] = key
}

function least(values, key, value) {
    if (!(key in values) || value + 0 < values[key])
        values[key] = value + 0
}

$1 == "peak" && $2 > peak { peak = $2 }

$1 == "kernel" {
    layer = $2 FS $3
    note("kernel networks", $2)
    note("layers " $2, layer)
    note("passes", $7)
    size[layer] = $4
    kind[layer] = $5
    channels[layer] = $6
    operations[layer, $7] = $8
    least(seconds, layer SUBSEP $7, $9)
}

$1 == "run" {
    note("run networks", $2)
    note("variants", $3)
    note("steps", $4)
    least(run, $2 FS $3 FS $4, $5)
}

$1 == "peer" {
    note("peer networks", $2)
    note("works", $3)
    least(peer, $2 FS $3 FS $4, $5)
}

$1 == "growth" {
    note("series", $2 FS $3)
    note("values " $2 FS $3, $4)
    growth[$2 FS $3 FS $4] = $5
}

$1 == "exponent" {
    note("exponents " $2 FS $3, $4)
    fitted[$2 FS $3 FS $4] = $5
    final[$2 FS $3 FS $4] = $6
}

$1 == "plot" { plots = plots $2 "\n" }

function heading(text) {
    print "\n### " text "\n"
}

function rule(columns,    i, line) {
    line = "|---|"
    for (i = 1; i <= columns; i++)
        line = line "---:|"
    return line
}

# Three digits, however small.
function figure(value) {
    return value >= 100 ? sprintf("%.0f", value) : value >= 10 ? sprintf("%.1f", value) : \
           value >= 0.095 ? sprintf("%.2f", value) : sprintf("%.2g", value)
}

# ---- kernels ----

function is_flops(pass) {
    return pass !~ /quantize|its/
}

# Speed of some operations in some time: GFLOP/s and the share of the peak, or values a nanosecond.
function speed(count, time, pass) {
    if (time <= 0)
        return ""
    if (!is_flops(pass))
        return figure(1e-9 * count / time)
    return sprintf("%.0f (%.0f %%)", 1e-9 * count / time, 1e-7 * count / time / peak)
}

function kernel_head(first,    i, line) {
    line = "| " first " |"
    for (i = 1; i <= length_of["passes"]; i++)
        line = line " " order["passes", i] " |"
    print line
    print rule(length_of["passes"])
}

function kernel_layers(network,    i, j, layer, line, pass) {
    kernel_head("layer")
    for (i = 1; i <= length_of["layers " network]; i++) {
        layer = order["layers " network, i]
        line = "| " substr(layer, length(network) + 2) " " kind[layer] " " size[layer] " |"
        for (j = 1; j <= length_of["passes"]; j++) {
            pass = order["passes", j]
            line = line " " speed(operations[layer, pass], seconds[layer, pass], pass) " |"
        }
        print line
    }
}

# One row for each network and kind of layer.
function kernel_kinds(    n, i, j, k, kinds, network, layer, line, pass, count, time, any) {
    split("full pointwise depthwise dense", kinds, " ")
    kernel_head("layers")
    for (n = 1; n <= length_of["kernel networks"]; n++) {
        network = order["kernel networks", n]
        for (k = 1; k in kinds; k++) {
            line = "| " network ", " kinds[k] " |"
            any = 0
            for (j = 1; j <= length_of["passes"]; j++) {
                pass = order["passes", j]
                count = time = 0
                for (i = 1; i <= length_of["layers " network]; i++) {
                    layer = order["layers " network, i]
                    if (kind[layer] == kinds[k] && (layer, pass) in seconds) {
                        count += operations[layer, pass]
                        time += seconds[layer, pass]
                        any = 1
                    }
                }
                line = line " " speed(count, time, pass) " |"
            }
            if (any)
                print line
        }
    }
}

function kernels(    n) {
    printf "Register-only multiply-adds reach %.0f GFLOP/s: the peak. GFLOP/s (share of the peak) of %d " \
           "samples;\nquantizers in values per nanosecond. Padding counts, and is skipped; of a Gram " \
           "matrix those products count that\nthe symmetric shift structure needs. Codes have integer " \
           "products, and dense 3 x 3\nfilters are Winograd's in training, a quarter of the products: " \
          "both can be more than the peak.\n", peak, batch
    for (n = 1; part == "all" && n <= length_of["kernel networks"]; n++) {
        heading("Kernels: " order["kernel networks", n])
        kernel_layers(order["kernel networks", n])
    }
    if (part == "all")
        heading("Kernels: by kind of layer")
    else
        print ""
    kernel_kinds()
}

# ---- runs ----

# Seconds of a step and its share of the run; what no step accounts for is "other".
function run_row(network, variant,    i, step, line, total, rest, value) {
    total = rest = run[network FS variant FS "all"]
    line = "| " network ", " variant " | " figure(total) " |"
    for (i = 1; i <= length_of["steps"]; i++) {
        step = order["steps", i]
        if (step == "all")
            continue
        value = run[network FS variant FS step]
        rest -= value
        line = line (value > 0 ? sprintf(" %s (%.0f %%) |", figure(value), 100 * value / total) : " |")
    }
    print line sprintf(" %s (%.0f %%) |", figure(rest > 0 ? rest : 0), 100 * rest / total)
}

function runs(    i, n, v, line) {
    line = "| run | all |"
    for (i = 1; i <= length_of["steps"]; i++)
        if (order["steps", i] != "all")
            line = line " " order["steps", i] " |"
    print line " other |"
    print rule(length_of["steps"] + 1)
    for (n = 1; n <= length_of["run networks"]; n++)
        for (v = 1; v <= length_of["variants"]; v++)
            if ((order["run networks", n] FS order["variants", v] FS "all") in run)
                run_row(order["run networks", n], order["variants", v])
}

# Only the totals: a column for each network.
function run_totals(    n, v, line, variant) {
    print "Whole runs, weights and activations of 4 bits, in CPU seconds. Of blocks (2000 steps each) " \
          "and of the\nnetwork (2560) some steps are run, and the others added at their price.\n"
    line = "| run |"
    for (n = 1; n <= length_of["run networks"]; n++)
        line = line " " order["run networks", n] " |"
    print line
    print rule(length_of["run networks"])
    for (v = 1; v <= length_of["variants"]; v++) {
        variant = order["variants", v]
        line = "| " variant " |"
        for (n = 1; n <= length_of["run networks"]; n++)
            line = line " " figure(run[order["run networks", n] FS variant FS "all"]) " |"
        print line
    }
}

# ---- beside PyTorch ----

function ratio(network, work,    key) {
    key = network FS work FS
    return peer[key "ptqd"] > 0 ? peer[key "torch"] / peer[key "ptqd"] : 0
}

# "ours / theirs: ratio" of each network.
function peers(    n, w, line, network, work, key) {
    printf "CPU seconds of ptqd, of PyTorch, and their ratio: for a batch of %d, a training step of that " \
           "batch (of\nevery block, and of the network with its teacher), and the layer-wise " \
           "reconstruction of all layers.\n\n", batch
    line = "| work |"
    for (n = 1; n <= length_of["peer networks"]; n++)
        line = line " " order["peer networks", n] " |"
    print line
    print rule(length_of["peer networks"])
    for (w = 1; w <= length_of["works"]; w++) {
        work = order["works", w]
        line = "| " work " |"
        for (n = 1; n <= length_of["peer networks"]; n++) {
            network = order["peer networks", n]
            key = network FS work FS
            line = line " " figure(peer[key "ptqd"])
            if ((key "torch") in peer)
                line = line ", " figure(peer[key "torch"]) ": **" figure(ratio(network, work)) "**"
            line = line " |"
        }
        print line
    }
}

# ---- growth ----

function axis(series) {
    return substr(series, index(series, FS) + 1)
}

function title(series) {
    return substr(series, 1, index(series, FS) - 1) ", by " axis(series)
}

function growths(    s, i, series, line, step) {
    for (s = 1; s <= length_of["series"]; s++) {
        series = order["series", s]
        line = title(series) ":"
        for (i = 1; i <= length_of["values " series]; i++)
            line = line sprintf(" %s: %s s;", order["values " series, i], \
                                figure(growth[series FS order["values " series, i]]))
        print line "\n"
        line = "exponent (between the last two):"
        for (i = 1; i <= length_of["exponents " series]; i++) {
            step = order["exponents " series, i]
            line = line sprintf(" %s %s (%s);", step, fitted[series FS step], final[series FS step])
        }
        print line "\n"
    }
    printf "```\n%s```\n", plots
}

# One sentence.
function exponents(    s, series, line) {
    line = "A layer-wise run grows with the exponent (between the two largest sizes)"
    for (s = 1; s <= length_of["series"]; s++) {
        series = order["series", s]
        line = line sprintf("%s\n%s (%s) for %s of %s", s > 1 ? "," : "", \
                            fitted[series FS "all"], final[series FS "all"], \
                            axis(series) == "side" ? "the pixels" : "the " axis(series), \
                            substr(series, 1, index(series, FS) - 1))
    }
    print line "."
}

# ---- goals ----

function goal(what, wanted, reached, met) {
    printf "| %s | %s | %s | %s |\n", what, wanted, reached, met ? "yes" : "**no**"
}

function goal_ratio(network, work, least_ratio) {
    if ((network FS work FS "torch") in peer)
        goal(network ": " work ", times PyTorch", "≥ " least_ratio, figure(ratio(network, work)), \
             ratio(network, work) >= least_ratio)
}

# Layers of 64 channels and more, depthwise ones aside.
function goal_peak(    n, i, network, layer, share, lowest, where, below, all) {
    lowest = 1e9
    for (n = 1; n <= length_of["kernel networks"]; n++) {
        network = order["kernel networks", n]
        for (i = 1; i <= length_of["layers " network]; i++) {
            layer = order["layers " network, i]
            if (channels[layer] < 64 || kind[layer] == "depthwise" || kind[layer] == "grouped")
                continue
            share = 1e-7 * operations[layer, "forward"] / seconds[layer, "forward"] / peak
            all++
            below += share < 50
            if (share < lowest) {
                lowest = share
                where = network " " size[layer]
            }
        }
    }
    if (all > 0)
        goal("forward, " all " layers of 64 channels and more, share of the peak", "≥ 50 %", \
             sprintf("%.0f %% at least (%s); %d below", lowest, where, below), below == 0)
}

# Steps that end steeper than linear, by more than noise.
function steep_steps(series,    i, step, line) {
    for (i = 1; i <= length_of["exponents " series]; i++) {
        step = order["exponents " series, i]
        if (step != "all" && final[series FS step] > 1.1)
            line = line (line == "" ? "" : ", ") step " " final[series FS step]
    }
    return line == "" ? "" : "; steps that end steeper: " line
}

function goal_growth(    s, series, all) {
    for (s = 1; s <= length_of["series"]; s++) {
        series = order["series", s]
        all = series FS "all"
        if (axis(series) != "width")
            goal(title(series) ", exponent (end)", "≤ 1", \
                 fitted[all] " (" final[all] ")" steep_steps(series), \
                 fitted[all] < 1.05 && final[all] < 1.05)
    }
}

function goals(    n, network, limit, reached) {
    print "| goal | wanted | reached | met |\n|---|---|---|---|"
    goal_ratio("ResNet-8", "layer-wise, W4", 100)
    goal_ratio("ResNet-8", "layer-wise, W2", 100)
    goal_ratio("DS-CNN", "layer-wise, W4", 100)
    goal_ratio("DS-CNN", "layer-wise, W2", 100)
    goal_ratio("ResNet-8", "block training", 2.5)
    goal_ratio("ResNet-8", "network training", 2.5)
    goal_ratio("DS-CNN", "block training", 4)
    goal_ratio("DS-CNN", "network training", 4)
    goal_ratio("MobileNetV1", "block training", 4)
    goal_ratio("MobileNetV1", "network training", 4)
    for (n = 1; n <= length_of["peer networks"]; n++)
        goal_ratio(order["peer networks", n], "float inference", 1.5)
    goal_peak()
    if (peak > 0 && ("ResNet-8" FS "layer-wise, W4" FS "ptqd") in peer) {
        limit = 4 * 240 / peak
        reached = peer["ResNet-8" FS "layer-wise, W4" FS "ptqd"]
        goal("ResNet-8: layer-wise grid run, W4A4", "≤ 4 s · 240 / " sprintf("%.0f", peak) " = " \
             figure(limit) " s", figure(reached) " s", reached <= limit)
    }
    goal_growth()
}

END {
    if (part == "readme") {
        peers()
        print ""
        run_totals()
        print ""
        kernels()
        print ""
        exponents()
        print ""
        goals()
        exit
    }
    kernels()
    heading("Runs: CPU seconds (share), weights and activations of 4 bits")
    runs()
    heading("Beside PyTorch, batches of " batch)
    peers()
    heading("Growth of a layer-wise run")
    growths()
    heading("Goals")
    goals()
}
