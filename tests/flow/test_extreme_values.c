/* Runs over a network with channels whose weights are zero, or next to it: what pruning and
 * training leave behind; and over samples in a wrong scale.
 *
 *   x (N, 3, 8, 8) → Conv "stem" → Relu → Conv "next" → GlobalAveragePool */

#include "ptqd/flow/run.h"

#include "method_count.h"
#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;

enum { K = 6, D = 3 * 9, DEAD = 2 };

static void multiply(struct graph *graph, const char *name, int64_t first, int64_t end, float gain)
{
    struct tensor *tensor = &graph->tensors[graph_find_tensor(graph, name)];
    size_t bytes = (size_t)shape_elements(&tensor->shape) * sizeof(float);
    float *values = arena_memdup(arena, tensor->values, bytes, &err);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = first; i < end; i++)
        values[i] *= gain;
    tensor->values = values;
}

static void set_bias(struct graph *graph, float bias)
{
    struct tensor *tensor = &graph->tensors[graph_find_tensor(graph, "stem.bias")];
    float values[K];
    memcpy(values, tensor->values, sizeof(values));
    values[DEAD] = bias;
    tensor->values = arena_memdup(arena, values, sizeof(values), &err);
    ck_assert_ptr_nonnull(tensor->values);
}

/* What differs from an ordinary network. */
struct extremes {
    float row_gain, row_bias; /* of the stem's row DEAD: times this, and this */
    float output_gain;
};

static struct graph *network(const struct extremes *extremes)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    int stem = sketch_conv(&sketch, "stem", x, K, 3, SKETCH(3, 3));
    int relu = sketch_node(&sketch, "Relu", "relu", stem, SKETCH_END);
    int next = sketch_conv(&sketch, "next", relu, SMALL_NETWORK_CLASSES, K, SKETCH(3, 3));
    multiply(sketch.graph, "stem.weight", DEAD * D, (DEAD + 1) * D, extremes->row_gain);
    set_bias(sketch.graph, extremes->row_bias);
    multiply(sketch.graph, "next.weight", 0, SMALL_NETWORK_CLASSES * K * 9, extremes->output_gain);
    multiply(sketch.graph, "next.bias", 0, SMALL_NETWORK_CLASSES, extremes->output_gain);
    return sketch_finish(&sketch, sketch_node(&sketch, "GlobalAveragePool", "y", next, SKETCH_END));
}

static struct graph *with_row(float gain, float bias)
{
    return network(&(struct extremes){gain, bias, 1.0f});
}

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 4;
    pipeline.optimize.iterations = 100;
    pipeline.postprocess.batch = 16;
}

static void teardown(void)
{
    arena_destroy(arena);
}

static bool try_run(struct graph *graph, float scale, struct run_result **out_result)
{
    struct dataset *samples = small_network_data(arena, graph, 48, false, 2);
    samples->scale *= (double)scale;
    struct run_request request = {
        .model = graph,
        .calibration = samples,
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test", .variant = "{}"},
    };
    return run_execute(arena, &request, out_result, &err);
}

static const struct run_result *run(struct graph *graph)
{
    struct run_result *result;
    ck_assert_ok(try_run(graph, 1.0f, &result), &err);
    return result;
}

/* Law: what a channel without weights gives is its bias, at any width and granularity. */
START_TEST(a_channel_without_weights_keeps_its_bias)
{
    pipeline.weights.bits = 2;
    pipeline.postprocess.bias = BIAS_NONE;
    pipeline.optimize.variable = _i;
    const struct quant_layer *layer = &run(with_row(0.0f, 0.0123f))->network->layers[0];
    ck_assert_double_eq_tol((double)layer->bias_values[DEAD], 0.0123, 1e-6);
}
END_TEST

/* Law: what there is next to nothing of can be tuned and corrected all the same. */
START_TEST(a_channel_of_tiny_weights_is_no_failure)
{
    static const float gains[] = {1e-12f, 1e-30f, 1e-42f, 0.0f};
    static const float biases[] = {0.0f, 1e-9f};
    for (size_t i = 0; i < sizeof(gains) / sizeof(gains[0]); i++)
        for (size_t j = 0; j < sizeof(biases) / sizeof(biases[0]); j++) {
            pipeline.postprocess.bias = _i;
            ck_assert_double_gt(run(with_row(gains[i], biases[j]))->output_sqnr_db, 10.0);
        }
}
END_TEST

/* Law: values whose squares float32 could not sum are an error that says so, in or out of a layer.
 */
START_TEST(values_that_are_too_large_are_refused)
{
    struct run_result *result;
    ck_assert_fails(try_run(with_row(1.0f, 0.0f), 1e20f, &result), &err, E_INVALID,
                    "tensor 'x' of the float network reaches");
    ck_assert_fails(try_run(with_row(1e25f, 0.0f), 1.0f, &result), &err, E_INVALID,
                    "tensor 'stem' of the float network reaches");
    ck_assert_ok(try_run(with_row(1.0f, 0.0f), 1e12f, &result), &err);
}
END_TEST

/* Law: tuning does not depend on what the outputs are measured in. */
START_TEST(small_outputs_are_tuned_as_well)
{
    pipeline.optimize.variable = 0;
    double ratio = run(with_row(1.0f, 0.1f))->output_sqnr_db;
    const struct extremes small = {1.0f, 0.1f, 0x1p-20f};
    ck_assert_double_eq_tol(run(network(&small))->output_sqnr_db, ratio, 1e-9);
}
END_TEST

/* Law: a single sample, for which no layer's output varies, can be tuned to as well. */
START_TEST(biases_are_tuned_to_a_single_sample)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 8));
    int weights = sketch_constant(&sketch, "weights", SKETCH(8, SMALL_NETWORK_CLASSES));
    int bias = sketch_constant(&sketch, "bias", SKETCH(SMALL_NETWORK_CLASSES));
    int y = sketch_node(&sketch, "Gemm", "y", x, weights, bias, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    struct dataset *samples = small_network_data(arena, graph, 1, false, 2);
    struct run_request request = {
        .model = graph,
        .calibration = samples,
        .pipeline = &pipeline,
        .origin = {.program_version = "test", .variant = "{}"},
    };
    struct run_result *result;
    pipeline.weights.bits = 2;
    pipeline.optimize.variable = 0;
    pipeline.postprocess.epochs = 2000;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    ck_assert_double_gt(result->output_sqnr_db, 40.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extreme_values");
    TCase *tcase = tcase_create("run");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_channel_without_weights_keeps_its_bias, 0, method_count());
    tcase_add_loop_test(tcase, a_channel_of_tiny_weights_is_no_failure, BIAS_NONE,
                        BIAS_CORRECT + 1);
    tcase_add_test(tcase, values_that_are_too_large_are_refused);
    tcase_add_test(tcase, small_outputs_are_tuned_as_well);
    tcase_add_test(tcase, biases_are_tuned_to_a_single_sample);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
