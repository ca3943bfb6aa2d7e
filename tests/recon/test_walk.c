#include "ptqd/recon/walk.h"

#include "random_data.h"
#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/nn/fold.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = WALK_BATCH + 7 };

static struct arena *arena;
static struct error err;
static char directory[64];
static struct quant_network *network;
static struct dataset *data;
static struct samples samples;
static struct walk *walk;
static const struct recon_monitor nobody;

static struct walk_options options_with(size_t memory_bytes)
{
    return (
        struct walk_options){.samples = &samples, .count = SAMPLES, .memory_bytes = memory_bytes};
}

static void setup(void)
{
    struct quant_options format = {.weights = {.bits = 4, .symmetric = true},
                                   .activations = {.bits = 4},
                                   .input_bits = 8,
                                   .per_channel = true};
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *graph = small_network_create(arena, 1), *folded;
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -3.0, 3.0, &err),
                     &err);
    data = small_network_data(arena, graph, SAMPLES, false, 2);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &samples, &err), &err);
    struct walk_options options = options_with(SIZE_MAX);
    ck_assert_ok(walk_create(network, &options, &walk, &err), &err);
}

static void teardown(void)
{
    walk_destroy(walk);
    arena_destroy(arena);
}

static void walk_all(void)
{
    for (int node = 0; node < network->graph->node_count; node++) {
        ck_assert_ok(walk_node_float(walk, node, &nobody, &err), &err);
        ck_assert_ok(walk_node_quantized(walk, node, &nobody, &err), &err);
    }
}

/* Largest difference between a walk's output and that of executing the graph by itself. */
static double difference(const struct graph *graph, const float *walked)
{
    struct exec *exec;
    struct exec_options options = {.batch = WALK_BATCH};
    float *input = ARENA_ARRAY(arena, float, SMALL_NETWORK_INPUTS, &err);
    double largest = 0.0;
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    for (int64_t i = 0; i < SAMPLES; i++) {
        dataset_read(data, i, input);
        ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
        const float *output = exec_values(exec, graph->output);
        for (int class = 0; class < SMALL_NETWORK_CLASSES; class ++)
            largest =
                fmax(largest,
                     fabs((double)(output[class] - walked[i * SMALL_NETWORK_CLASSES + class])));
    }
    exec_destroy(exec);
    return largest;
}

/* Law: walking node by node gives what executing each network gives (1e-5: the library may pick
 * another kernel for another batch; on the quantized side that may move a code, so most must
 * agree). */
START_TEST(both_networks_give_what_they_give_by_themselves)
{
    int output = network->graph->output;
    walk_keep(walk, output);
    walk_all();
    ck_assert_double_le(difference(network->folded, walk_float(walk, output)->values), 1e-5);
    ck_assert_double_le(difference(network->graph, walk_quantized(walk, output)->values), 0.05);
    ck_assert_mem_ne(walk_float(walk, output)->values, walk_quantized(walk, output)->values,
                     SAMPLES * SMALL_NETWORK_CLASSES * sizeof(float));
}
END_TEST

START_TEST(values_live_from_their_node_to_their_last_reader)
{
    int kept = network->activations[2].input; /* behind the depthwise convolution */
    ck_assert_ptr_null(walk_float(walk, kept));
    walk_keep(walk, kept);
    walk_all();
    ck_assert_ptr_nonnull(walk_float(walk, kept));
    ck_assert_ptr_nonnull(walk_quantized(walk, kept));
    ck_assert_ptr_null(walk_float(walk, network->activations[1].input));
    walk_release(walk, kept);
    ck_assert_ptr_null(walk_float(walk, kept));
}
END_TEST

/* Law: a tried node computes with the weights as they are, and may be tried again. */
START_TEST(a_node_may_be_tried_with_other_weights)
{
    struct quant_layer *layer = &network->layers[0];
    int output = network->graph->nodes[layer->node].outputs[0];
    for (int node = 0; node < layer->node; node++) {
        ck_assert_ok(walk_node_float(walk, node, &nobody, &err), &err);
        ck_assert_ok(walk_node_quantized(walk, node, &nobody, &err), &err);
    }
    ck_assert_ok(walk_node_try(walk, layer->node, &nobody, &err), &err);
    float first = walk_quantized(walk, output)->values[0], bias = layer->bias_values[0];
    layer->bias_values[0] = bias + 1.0f;
    ck_assert_ok(walk_node_try(walk, layer->node, &nobody, &err), &err);
    ck_assert_double_le(fabs((double)(walk_quantized(walk, output)->values[0] - first) - 1.0),
                        1e-5);
}
END_TEST

/* Walks all nodes under a ceiling; false when they do not fit. */
static bool walk_within(const struct walk_options *options)
{
    walk_destroy(walk);
    walk = NULL;
    bool fits = walk_create(network, options, &walk, &err);
    if (fits)
        walk_keep(walk, network->graph->output);
    for (int node = 0; fits && node < network->graph->node_count; node++)
        fits = walk_node_float(walk, node, &nobody, &err) &&
               walk_node_quantized(walk, node, &nobody, &err);
    return fits;
}

/* Law: under every ceiling a walk without a spill directory ends well, or with E_MEMORY and the
 * numbers. */
START_TEST(a_ceiling_is_held_and_named)
{
    bool failed = false, ended = false;
    for (size_t limit = 1 << 10; limit <= (size_t)1 << 22; limit *= 4) {
        struct walk_options options = options_with(limit);
        bool fits = walk_within(&options);
        if (!fits) {
            ck_assert_int_eq(err.code, E_MEMORY);
            ck_assert(support_contains(err.message, "39 calibration samples"));
        }
        failed |= !fits;
        ended |= fits;
        ck_assert(fits || !ended);
    }
    ck_assert(failed && ended);
}
END_TEST

/* Law: under every ceiling a walk with one gives the same bits, holds the ceiling but for the
 * chunks of a node's operands, and takes what a walk that only counts says it would. */
START_TEST(what_does_not_fit_is_spilled_and_nothing_changes)
{
    enum { COUNT = SAMPLES * SMALL_NETWORK_CLASSES };
    int output = network->graph->output;
    float real[COUNT], quantized[COUNT], again[COUNT];
    struct walk_options options = options_with(SIZE_MAX);
    ck_assert(walk_within(&options));
    ck_assert_ok(captured_copy(walk_float(walk, output), real, &err), &err);
    ck_assert_ok(captured_copy(walk_quantized(walk, output), quantized, &err), &err);
    ck_assert_uint_eq(walk_memory(walk).spilled_bytes, 0);
    size_t whole = walk_memory(walk).peak_bytes, most_spilled = 0;
    options.spill_directory = support_make_directory(directory, sizeof(directory));
    for (options.memory_bytes = 0; options.memory_bytes < whole;
         options.memory_bytes += whole / 5) {
        ck_assert(walk_within(&options));
        ck_assert_ok(captured_copy(walk_float(walk, output), again, &err), &err);
        ck_assert_mem_eq(again, real, sizeof(again));
        ck_assert_ok(captured_copy(walk_quantized(walk, output), again, &err), &err);
        ck_assert_mem_eq(again, quantized, sizeof(again));
        struct walk_memory memory = walk_memory(walk);
        ck_assert_uint_gt(memory.spilled_bytes, 0);
        if (memory.spilled_bytes > most_spilled)
            most_spilled = memory.spilled_bytes;
        struct walk_options counts = options;
        counts.counts_only = true;
        ck_assert(walk_within(&counts));
        ck_assert_uint_eq(walk_memory(walk).peak_bytes, memory.peak_bytes);
        ck_assert_uint_eq(walk_memory(walk).spilled_bytes, memory.spilled_bytes);
    }
    ck_assert_uint_gt(most_spilled, whole); /* all of both networks */
    support_remove_tree(directory);
}
END_TEST

/* Law: the data set is read, whatever works in place; the values are those of the node. */
START_TEST(a_first_node_that_works_in_place_leaves_the_data_set_alone)
{
    enum { INPUTS = 2 * 4 * 4, COUNT = 5 };
    struct quant_options format = {.weights = {.bits = 4, .symmetric = true},
                                   .activations = {.bits = 4},
                                   .input_bits = 8};
    struct sketch sketch;
    struct graph *folded;
    sketch_init(&sketch, arena, 3);
    int input = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int positive = sketch_node(&sketch, "Relu", "positive", input, SKETCH_END);
    struct graph *graph =
        sketch_finish(&sketch, sketch_conv(&sketch, "y", positive, 3, 2, SKETCH(1, 1)));
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
    ck_assert_ok(quant_network_create(arena, folded, &format, &network, &err), &err);
    data = random_data_create(arena, graph, COUNT, 4);
    ck_assert_ok(samples_draw(arena, data, 0, NULL, &samples, &err), &err);
    struct walk_options options = options_with(SIZE_MAX);
    options.count = COUNT;
    walk_destroy(walk);
    ck_assert_ok(walk_create(network, &options, &walk, &err), &err);
    int first = 0;
    while (strcmp(network->graph->nodes[first].op_type, "Relu") != 0)
        first++;
    int relu = network->graph->nodes[first].outputs[0];
    walk_keep(walk, relu);
    for (int node = 0; !walk_float(walk, relu); node++) {
        ck_assert_ok(walk_node_float(walk, node, &nobody, &err), &err);
        ck_assert_ok(walk_node_quantized(walk, node, &nobody, &err), &err);
    }
    float sample[INPUTS], values[COUNT * INPUTS], sum = 0.0f, walked = 0.0f;
    ck_assert_ok(captured_copy(walk_float(walk, relu), values, &err), &err);
    for (int64_t i = 0; i < COUNT; i++) {
        dataset_read(data, i, sample);
        for (int j = 0; j < INPUTS; j++) {
            sum += sample[j] > 0.0f ? sample[j] : 0.0f;
            walked += values[i * INPUTS + j];
        }
    }
    ck_assert_double_le(fabs((double)(sum - walked)), 1e-3);
}
END_TEST

START_TEST(a_spill_directory_that_is_not_there_is_named)
{
    struct walk_options options = options_with(0);
    options.spill_directory = "/nowhere/at/all";
    ck_assert(!walk_within(&options));
    ck_assert_int_eq(err.code, E_NOT_FOUND);
    ck_assert(support_contains(err.message, "/nowhere/at/all"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("walk");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, both_networks_give_what_they_give_by_themselves);
    tcase_add_test(tcase, values_live_from_their_node_to_their_last_reader);
    tcase_add_test(tcase, a_ceiling_is_held_and_named);
    tcase_add_test(tcase, what_does_not_fit_is_spilled_and_nothing_changes);
    tcase_add_test(tcase, a_first_node_that_works_in_place_leaves_the_data_set_alone);
    tcase_add_test(tcase, a_spill_directory_that_is_not_there_is_named);
    tcase_add_test(tcase, a_node_may_be_tried_with_other_weights);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
