/* Runs over a network with channels whose weights are zero, or next to it: what pruning and
 * training leave behind; and over samples in a wrong scale.
 *
 *   x (N, 3, 8, 8) → Conv "stem" → Relu → Conv "next" → GlobalAveragePool */

#include "ptqd/flow/run.h"
#include "ptqd/recon/method.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;

enum { K = 6, D = 3 * 9, DEAD = 2 };

/* Row DEAD of the stem's weights is times `gain`, its bias is `bias`. */
static struct graph *network(float gain, float bias)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 8, 8));
    int stem = sketch_conv(&sketch, "stem", x, K, 3, SKETCH(3, 3));
    int relu = sketch_node(&sketch, "Relu", "relu", stem, SKETCH_END);
    int next = sketch_conv(&sketch, "next", relu, SMALL_NETWORK_CLASSES, K, SKETCH(3, 3));
    float weights[K * D], biases[K];
    struct graph *graph = sketch.graph;
    struct tensor *weight = &graph->tensors[graph_find_tensor(graph, "stem.weight")];
    struct tensor *vector = &graph->tensors[graph_find_tensor(graph, "stem.bias")];
    memcpy(weights, weight->values, sizeof(weights));
    memcpy(biases, vector->values, sizeof(biases));
    for (int i = DEAD * D; i < (DEAD + 1) * D; i++)
        weights[i] *= gain;
    biases[DEAD] = bias;
    weight->values = arena_memdup(arena, weights, sizeof(weights), &err);
    vector->values = arena_memdup(arena, biases, sizeof(biases), &err);
    return sketch_finish(&sketch, sketch_node(&sketch, "GlobalAveragePool", "y", next, SKETCH_END));
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
    const struct quant_layer *layer = &run(network(0.0f, 0.0123f))->network->layers[0];
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
            ck_assert_double_gt(run(network(gains[i], biases[j]))->output_sqnr_db, 10.0);
        }
}
END_TEST

/* Law: values whose squares float32 could not sum are an error that says so, in or out of a layer.
 */
START_TEST(values_that_are_too_large_are_refused)
{
    struct run_result *result;
    ck_assert_fails(try_run(network(1.0f, 0.0f), 1e20f, &result), &err, E_INVALID,
                    "tensor 'x' of the float network reaches");
    ck_assert_fails(try_run(network(1e25f, 0.0f), 1.0f, &result), &err, E_INVALID,
                    "tensor 'stem' of the float network reaches");
    ck_assert_ok(try_run(network(1.0f, 0.0f), 1e12f, &result), &err);
}
END_TEST

static int method_count(void)
{
    int count = 0;
    while (method_table()[count])
        count++;
    return count;
}

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
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
