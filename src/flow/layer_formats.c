/* Layer rules and the formats that follow from them. */

#include "ptqd/flow/layer_formats.h"

#include "ptqd/nn/op.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* ---- which layers a rule is about ---- */

static bool is_about(const struct layer_rule *rule, const char *const *names, int count, int layer)
{
    if (strcmp(rule->match, "first") == 0)
        return layer == 0;
    if (strcmp(rule->match, "last") == 0)
        return layer == count - 1;
    return strcmp(rule->match, names[layer]) == 0 || fnmatch(rule->match, names[layer], 0) == 0;
}

static bool is_about_any(const struct layer_rule *rule, const char *const *names, int count)
{
    for (int layer = 0; layer < count; layer++)
        if (is_about(rule, names, count, layer))
            return true;
    return false;
}

/* "a, b, c", or as many as fit and "...". */
static void list_names(const char *const *names, int count, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *separator = i > 0 ? ", " : "";
        if (used + strlen(separator) + strlen(names[i]) + sizeof(", ...") > size) {
            (void)snprintf(out + used, size - used, "%s...", separator); /* there is room for it */
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", separator, names[i]);
    }
}

static bool check_matches(const struct pipeline *pipeline, const char *const *names, int count,
                          struct error *err)
{
    char list[ERROR_MESSAGE_BYTES - LAYER_MATCH_MAX - 100];
    for (size_t i = 0; i < pipeline->rule_count; i++) {
        if (is_about_any(&pipeline->rules[i], names, count))
            continue;
        list_names(names, count, list, sizeof(list));
        (void)FAIL(err, E_INVALID, "no layer is called '%s', or fits it as a pattern; there are %s",
                   pipeline->rules[i].match, count > 0 ? list : "no layers");
        return error_at(err, "/layers/%zu/match", i);
    }
    return true;
}

/* ---- what follows for a layer ---- */

/* A rule that says of a layer what the pipeline says of all. Nothing in it counts as given. */
static struct layer_rule rule_of_pipeline(const struct pipeline *pipeline)
{
    struct layer_rule rule = {.match = ""};
    const struct param_table *table = layer_rule_table();
    for (size_t i = 0; i < table->count; i++) {
        const struct param *general = param_find(pipeline_table(), table->rows[i].name);
        if (!general)
            continue;
        struct param_value value = param_load(general, pipeline);
        param_store(&table->rows[i], &value, &rule);
    }
    return rule;
}

/* Makes `rule` say what `later` says, where that says something. */
static void apply(const struct layer_rule *later, struct layer_rule *rule)
{
    const struct param_table *table = layer_rule_table();
    for (size_t i = 0; i < table->count; i++) {
        if (!(later->given >> i & 1))
            continue;
        struct param_value value = param_load(&table->rows[i], later);
        param_store(&table->rows[i], &value, rule);
    }
    rule->given |= later->given;
}

/* What is said of a layer in the end. */
static struct layer_rule rule_of_layer(const struct pipeline *pipeline,
                                       const struct layer_rule *general, const char *const *names,
                                       int count, int layer)
{
    struct layer_rule rule = *general;
    for (size_t i = 0; i < pipeline->rule_count; i++)
        if (is_about(&pipeline->rules[i], names, count, layer))
            apply(&pipeline->rules[i], &rule);
    return rule;
}

/* ---- whether that is possible ---- */

/* The rule that had the last word on the layer's `narrow` or `scheme`: pipeline_check has found
 * nothing wrong with the pipeline's own, so there is one. */
static bool fail_narrow(const struct pipeline *pipeline, const char *const *names, int count,
                        int layer, struct error *err)
{
    size_t last = pipeline->rule_count;
    bool schemes = false;
    for (size_t i = 0; i < pipeline->rule_count; i++) {
        const struct layer_rule *rule = &pipeline->rules[i];
        bool scheme = layer_rule_gives(rule, "weights.scheme");
        if (!is_about(rule, names, count, layer) ||
            !(scheme || layer_rule_gives(rule, "weights.narrow")))
            continue;
        last = i;
        schemes = scheme;
    }
    (void)FAIL(
        err, E_INVALID,
        "weights.narrow is true with weights.scheme \"asymmetric\" for the layer '%s'; it "
        "makes a symmetric range reach as far down as up, an asymmetric one is as it is found",
        names[layer]);
    return last == pipeline->rule_count
               ? error_at(err, "/weights/narrow")
               : error_at(err, "/layers/%zu/weights/%s", last, schemes ? "scheme" : "narrow");
}

/* Most pipelines need no look at all rules for all layers. */
static bool may_conflict(const struct pipeline *pipeline)
{
    bool narrow = pipeline->weights.narrow;
    bool asymmetric = pipeline->weights.scheme == SCHEME_ASYMMETRIC;
    for (size_t i = 0; i < pipeline->rule_count; i++) {
        narrow = narrow || pipeline->rules[i].weights.narrow; /* what is not given is 0 */
        asymmetric = asymmetric || pipeline->rules[i].weights.scheme == SCHEME_ASYMMETRIC;
    }
    return narrow && asymmetric;
}

bool layer_formats_check(const struct pipeline *pipeline, const char *const *names, int count,
                         struct error *err)
{
    const struct layer_rule general = rule_of_pipeline(pipeline);
    if (!check_matches(pipeline, names, count, err))
        return false;
    for (int layer = 0; may_conflict(pipeline) && layer < count; layer++) {
        struct layer_rule rule = rule_of_layer(pipeline, &general, names, count, layer);
        if (!rule.skip && rule.weights.narrow && rule.weights.scheme == SCHEME_ASYMMETRIC)
            return fail_narrow(pipeline, names, count, layer, err);
    }
    return true;
}

/* ---- formats ---- */

static struct range_choice range_of(int init, double percentile)
{
    return (struct range_choice){
        .observer = observer_table()[init], /* the one after the last is NULL: by the output */
        .options = {.percentile = percentile},
    };
}

static struct quant_layer_format format_of(const struct layer_rule *rule)
{
    struct quant_layer_format format = {
        .weights = {.bits = (int)rule->weights.bits,
                    .symmetric = rule->weights.scheme == SCHEME_SYMMETRIC,
                    .narrow = rule->weights.narrow},
        .per_channel = rule->weights.granularity == WEIGHTS_PER_CHANNEL,
        .weight_range = range_of(rule->weights.init, rule->weights.percentile),
        .input = {.bits = QUANT_BITS_OF_TENSOR,
                  .symmetric = rule->activations.scheme == SCHEME_SYMMETRIC},
        .input_range = range_of(rule->activations.init, rule->activations.percentile),
    };
    if (layer_rule_gives(rule, "activations.bits"))
        format.input.bits =
            (int)(rule->activations.bits ? rule->activations.bits : rule->weights.bits);
    if (rule->skip)
        format.weights.bits = format.input.bits = QUANTIZER_BITS_FLOAT;
    return format;
}

static bool list_layers(struct arena *arena, const struct graph *folded, const char ***out_names,
                        int *out_count, struct error *err)
{
    const char **names = ARENA_ARRAY(arena, const char *, folded->node_count, err);
    int count = 0;
    if (!names)
        return false;
    for (int n = 0; n < folded->node_count; n++)
        if (folded->nodes[n].op->mac)
            names[count++] = folded->nodes[n].name;
    *out_names = names;
    *out_count = count;
    return true;
}

bool layer_formats_options(struct arena *arena, const struct pipeline *pipeline,
                           const struct graph *folded, struct quant_options *out_options,
                           struct error *err)
{
    const char **names;
    int count;
    if (!list_layers(arena, folded, &names, &count, err) ||
        !layer_formats_check(pipeline, names, count, err))
        return false;
    struct quant_layer_format *layers = ARENA_ARRAY(arena, struct quant_layer_format, count, err);
    if (!layers)
        return false;
    const struct layer_rule general = rule_of_pipeline(pipeline);
    for (int layer = 0; layer < count; layer++) {
        struct layer_rule rule = rule_of_layer(pipeline, &general, names, count, layer);
        layers[layer] = format_of(&rule);
    }
    struct quant_layer_format usual = format_of(&general);
    *out_options = (struct quant_options){
        .weights = usual.weights,
        .activations = usual.input,
        .weight_range = usual.weight_range,
        .activation_range = usual.input_range,
        .input_bits = (int)pipeline->activations.input_bits,
        .sum_bits = (int)pipeline->activations.sum_bits,
        .per_channel = usual.per_channel,
        .layers = layers,
    };
    out_options->activations.bits = pipeline_activation_bits(pipeline);
    return true;
}
