/* Layer rules: which layers they are about, what they change, what they cost. */

#include "ptqd/flow/layer_formats.h"

#include "small_network.h"
#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/model.h"
#include "ptqd/quant/cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEM, DEPTHWISE, POINTWISE, DENSE, LAYERS, RULES_MAX = 8 };

static struct arena *arena;
static struct error err;
static struct graph *folded;
static struct pipeline pipeline;
static struct layer_rule rules[RULES_MAX];

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    memset(rules, 0, sizeof(rules));
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    ck_assert_ok(graph_fold(small_network_create(arena, 1), arena, &folded, &err), &err);
    pipeline.weights.bits = 4;
    pipeline.rules = rules;
    pipeline.rule_count = 0;
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Begins a rule; say() adds to the last one. */
static void about(const char *match)
{
    rules[pipeline.rule_count++].match = match;
}

static void say(const char *name, const char *text)
{
    const struct param_table *table = layer_rule_table();
    const struct param *row = param_find(table, name);
    struct layer_rule *rule = &rules[pipeline.rule_count - 1];
    struct param_value value;
    ck_assert_ptr_nonnull(row);
    ck_assert_ok(param_parse(row, text, arena, &value, &err), &err);
    param_store(row, &value, rule);
    rule->given |= UINT64_C(1) << (row - table->rows);
}

static struct quant_options resolve(void)
{
    struct quant_options options;
    ck_assert_ok(layer_formats_options(arena, &pipeline, folded, &options, &err), &err);
    return options;
}

/* Law: a rule's field is called as the pipeline's, and takes the same values. */
START_TEST(fields_are_those_of_the_pipeline)
{
    const struct param_table *table = layer_rule_table();
    for (size_t i = 0; i < table->count; i++) {
        const struct param *row = &table->rows[i];
        const struct param *general = param_find(pipeline_table(), row->name);
        ck_assert_msg(row->help && row->unit && !row->sweep && !row->default_text, "%s", row->name);
        if (!general) {
            ck_assert_msg(!strcmp(row->name, "match") || !strcmp(row->name, "skip"), "%s",
                          row->name);
            continue;
        }
        ck_assert_int_eq(row->type, general->type);
        ck_assert(row->min == general->min && row->max == general->max);
        ck_assert_int_eq(row->also, general->also);
        ck_assert_ptr_eq(row->choices, general->choices);
        ck_assert(!row->special == !general->special);
    }
}
END_TEST

START_TEST(without_rules_all_layers_are_as_the_pipeline_says)
{
    pipeline.weights.scheme = SCHEME_ASYMMETRIC;
    pipeline.weights.granularity = WEIGHTS_PER_TENSOR;
    pipeline.weights.percentile = 99.0;
    pipeline.activations.bits = 3;
    struct quant_options options = resolve();
    ck_assert_int_eq(options.activations.bits, 3);
    for (int i = 0; i < LAYERS; i++) {
        const struct quant_layer_format *layer = &options.layers[i];
        ck_assert_int_eq(layer->weights.bits, 4);
        ck_assert(!layer->weights.symmetric && !layer->per_channel);
        ck_assert_ptr_eq(layer->weight_range.observer, observer_find("mse"));
        ck_assert_double_eq(layer->weight_range.options.percentile, 99.0);
        ck_assert_int_eq(layer->input.bits, QUANT_BITS_OF_TENSOR);
        ck_assert(!layer->input.symmetric);
    }
}
END_TEST

START_TEST(a_rule_is_about_the_layers_that_it_matches)
{
    static const struct {
        const char *match;
        bool about[LAYERS];
    } cases[] = {
        {"stem", {[STEM] = true}},
        {"first", {[STEM] = true}},
        {"last", {[DENSE] = true}},
        {"*wise", {[DEPTHWISE] = true, [POINTWISE] = true}},
        {"*", {true, true, true, true}},
        {"?e*", {[DEPTHWISE] = true, [DENSE] = true}},
        {"[ps]*", {[STEM] = true, [POINTWISE] = true}},
        {"[!ps]*", {[DEPTHWISE] = true, [DENSE] = true}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(rules, 0, sizeof(rules));
        pipeline.rule_count = 0;
        about(cases[i].match);
        say("weights.bits", "7");
        struct quant_options options = resolve();
        for (int layer = 0; layer < LAYERS; layer++)
            ck_assert_msg((options.layers[layer].weights.bits == 7) == cases[i].about[layer],
                          "%s: layer %d", cases[i].match, layer);
    }
}
END_TEST

/* Law: later rules change what earlier ones said, and nothing else. */
START_TEST(later_rules_win_field_by_field)
{
    about("*");
    say("weights.bits", "2");
    say("weights.init", "minmax");
    say("activations.bits", "5");
    say("skip", "true");
    about("*wise");
    say("weights.bits", "6");
    say("skip", "false");
    about("last");
    say("skip", "false");
    say("activations.bits", "same");
    struct quant_options options = resolve();
    ck_assert_int_eq(options.layers[STEM].weights.bits, 32);
    ck_assert_int_eq(options.layers[STEM].input.bits, 32);
    ck_assert_int_eq(options.layers[POINTWISE].weights.bits, 6);
    ck_assert_int_eq(options.layers[POINTWISE].input.bits, 5);
    ck_assert_int_eq(options.layers[DENSE].weights.bits, 2);
    ck_assert_int_eq(options.layers[DENSE].input.bits, 2); /* as the weights of this layer */
    for (int i = 0; i < LAYERS; i++)
        ck_assert_ptr_eq(options.layers[i].weight_range.observer, observer_find("minmax"));
}
END_TEST

START_TEST(every_field_reaches_the_format)
{
    about("depthwise");
    say("weights.bits", "3");
    say("weights.scheme", "symmetric");
    say("weights.narrow", "true");
    say("weights.granularity", "tensor");
    say("weights.init", "output");
    say("activations.bits", "32");
    say("activations.scheme", "symmetric");
    say("activations.init", "percentile");
    say("activations.percentile", "97");
    struct quant_options options = resolve();
    const struct quant_layer_format *layer = &options.layers[DEPTHWISE];
    ck_assert_int_eq(layer->weights.bits, 3);
    ck_assert(layer->weights.symmetric && layer->weights.narrow && !layer->per_channel);
    ck_assert_ptr_null(layer->weight_range.observer);
    ck_assert_int_eq(layer->input.bits, 32);
    ck_assert(layer->input.symmetric);
    ck_assert_ptr_eq(layer->input_range.observer, observer_find("percentile"));
    ck_assert_double_eq(layer->input_range.options.percentile, 97.0);
    ck_assert_int_eq(options.layers[STEM].weights.bits, 4);
}
END_TEST

START_TEST(a_rule_about_no_layer_names_pattern_and_layers)
{
    struct quant_options options;
    about("stem");
    about("conv*");
    ck_assert_fails(layer_formats_options(arena, &pipeline, folded, &options, &err), &err,
                    E_INVALID,
                    "no layer is called 'conv*', or fits it as a pattern; there are stem, "
                    "depthwise, pointwise, dense");
    ck_assert_str_eq(err.pointer, "/layers/1/match");
}
END_TEST

/* Law: however many layers there are, the message ends in a whole name or in "...". */
START_TEST(a_long_list_of_layers_is_cut)
{
    enum { MANY = 300 };
    static char texts[MANY][32];
    const char *names[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "block_%03d/convolution", i);
        names[i] = texts[i];
    }
    about("dense");
    for (int count = 1; count <= MANY; count++) {
        ck_assert_fails(layer_formats_check(&pipeline, names, count, &err), &err, E_INVALID,
                        "there are block_000/convolution");
        size_t length = strlen(err.message);
        bool cut = strcmp(err.message + length - 5, ", ...") == 0;
        ck_assert(cut ||
                  strcmp(err.message + length - strlen(names[count - 1]), names[count - 1]) == 0);
        ck_assert(count < MANY || cut);
        ck_assert(count > 20 || !cut);
    }
    ck_assert_fails(layer_formats_check(&pipeline, names, 0, &err), &err, E_INVALID,
                    "there are no layers");
}
END_TEST

/* Law: what is refused of all layers is refused of one, whoever says what of it, with the pointer
 * of the rule that said the last; a rule that takes it back, or skips the layer, puts it right. */
START_TEST(narrow_and_asymmetric_from_different_rules_are_refused)
{
    struct quant_options options;
    about("*");
    say("weights.narrow", "true");
    about("dense");
    say("weights.scheme", "asymmetric");
    ck_assert_ok(pipeline_check(&pipeline, &err), &err);
    ck_assert_fails(layer_formats_options(arena, &pipeline, folded, &options, &err), &err,
                    E_INVALID, "weights.scheme \"asymmetric\" for the layer 'dense'");
    ck_assert_str_eq(err.pointer, "/layers/1/weights/scheme");
    about("last");
    say("weights.narrow", "false");
    ck_assert_ok(layer_formats_options(arena, &pipeline, folded, &options, &err), &err);
    say("weights.narrow", "true");
    err = (struct error){.message = ""};
    ck_assert_fails(layer_formats_options(arena, &pipeline, folded, &options, &err), &err,
                    E_INVALID, "for the layer 'dense'");
    ck_assert_str_eq(err.pointer, "/layers/2/weights/narrow");
    say("skip", "true");
    ck_assert_ok(layer_formats_options(arena, &pipeline, folded, &options, &err), &err);
}
END_TEST

START_TEST(a_rule_may_not_make_narrow_weights_asymmetric)
{
    struct quant_options options;
    pipeline.weights.narrow = true;
    about("dense");
    say("weights.scheme", "asymmetric");
    ck_assert_fails(layer_formats_options(arena, &pipeline, folded, &options, &err), &err,
                    E_INVALID, "for the layer 'dense'");
    ck_assert_str_eq(err.pointer, "/layers/0/weights/scheme");
    say("weights.narrow", "false");
    ck_assert_ok(layer_formats_options(arena, &pipeline, folded, &options, &err), &err);
}
END_TEST

static bool resolve_in(struct arena *failing, void *context, struct error *error)
{
    struct quant_options options;
    (void)context;
    return layer_formats_options(failing, &pipeline, folded, &options, error);
}

START_TEST(running_out_of_memory_is_reported)
{
    about("*");
    ck_assert_uint_gt(support_fail_each_allocation(resolve_in, NULL), 0);
}
END_TEST

/* MBOP at W4A4 with 8-bit first and last layers, computed from the model code of MLPerf Tiny
 * (mlcommons/tiny, benchmark/training). */
static const struct {
    const char *model;
    double mega_bops;
} references[] = {
    {"cifar10/model.onnx", 221.29},
    {"kws/model.onnx", 57.91},
    {"vww/model.onnx", 143.75},
};
enum { REFERENCES = sizeof(references) / sizeof(references[0]) };

START_TEST(first_and_last_at_8_bits_cost_what_the_reference_says)
{
    enum { MODEL_BYTES_MAX = 64 << 20 };
    char path[512], *bytes;
    size_t size;
    struct graph *graph;
    struct quant_network *network;
    struct cost cost;
    ck_assert_ptr_nonnull(support_data_path(references[_i].model, path, sizeof(path)));
    ck_assert_ok(file_read(arena, path, MODEL_BYTES_MAX, &bytes, &size, &err), &err);
    ck_assert_ok(model_import(arena, (const uint8_t *)bytes, size, &graph, NULL, &err), &err);
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    static const char *const ends[] = {"first", "last"};
    for (int i = 0; i < 2; i++) {
        about(ends[i]);
        say("weights.bits", "8");
        say("activations.bits", "8");
    }
    struct quant_options options = resolve();
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    ck_assert_ok(cost_of_network(arena, network, &cost, &err), &err);
    ck_assert_double_eq_tol(cost.bops / 1e6, references[_i].mega_bops, 0.005 + 1e-9);
    int last = cost.layer_count - 1;
    ck_assert_int_eq(cost.layers[0].weight_bits, 8);
    ck_assert_int_eq(cost.layers[1].weight_bits, 4);
    ck_assert_int_eq(cost.layers[1].input_bits, 4);
    ck_assert_int_eq(cost.layers[last].input_bits, 8);
}
END_TEST

int main(void)
{
    char path[512];
    bool have_networks = true;
    for (int i = 0; i < REFERENCES; i++)
        have_networks &= support_data_path(references[i].model, path, sizeof(path)) != NULL;
    Suite *suite = suite_create("layer formats");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, fields_are_those_of_the_pipeline);
    tcase_add_test(tcase, without_rules_all_layers_are_as_the_pipeline_says);
    tcase_add_test(tcase, a_rule_is_about_the_layers_that_it_matches);
    tcase_add_test(tcase, later_rules_win_field_by_field);
    tcase_add_test(tcase, every_field_reaches_the_format);
    tcase_add_test(tcase, a_rule_about_no_layer_names_pattern_and_layers);
    tcase_add_test(tcase, a_long_list_of_layers_is_cut);
    tcase_add_test(tcase, narrow_and_asymmetric_from_different_rules_are_refused);
    tcase_add_test(tcase, a_rule_may_not_make_narrow_weights_asymmetric);
    tcase_add_test(tcase, running_out_of_memory_is_reported);
    if (have_networks)
        tcase_add_loop_test(tcase, first_and_last_at_8_bits_cost_what_the_reference_says, 0,
                            REFERENCES);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
