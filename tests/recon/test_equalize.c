#include "ptqd/recon/equalize.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "golden/equalized_chain.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct graph *folded;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    struct graph *graph = small_network_create(arena, 1);
    ck_assert_ok(graph_fold(graph, arena, &folded, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static void run(const struct graph *graph, const float *input, float *output)
{
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    memcpy(output, exec_values(exec, graph->output), SMALL_NETWORK_CLASSES * sizeof(float));
    exec_destroy(exec);
}

static const struct tensor *constant(const struct graph *graph, const char *node, int input)
{
    return &graph->tensors[graph->nodes[graph_find_node(graph, node)].inputs[input]];
}

/* Law: the function stays the same (float32 rounding of some hundred products). */
START_TEST(the_function_stays_the_same)
{
    float input[SMALL_NETWORK_INPUTS], before[SMALL_NETWORK_CLASSES], after[SMALL_NETWORK_CLASSES];
    struct graph *graph;
    struct dataset *data = small_network_data(arena, folded, 4, false, 2);
    ck_assert_ok(equalize_graph(arena, folded, &graph, NULL, &err), &err);
    for (int64_t i = 0; i < data->samples; i++) {
        dataset_read(data, i, input);
        run(folded, input, before);
        run(graph, input, after);
        for (int class = 0; class < SMALL_NETWORK_CLASSES; class ++)
            ck_assert_double_le(fabs((double)(before[class] - after[class])), 1e-5);
    }
}
END_TEST

/* Law: for a pair, what channel i is divided by and multiplied by is in balance: r1 = r2. */
START_TEST(ranges_of_a_pair_are_equal)
{
    struct graph *graph;
    int pairs;
    ck_assert_ok(equalize_graph(arena, folded, &graph, &pairs, &err), &err);
    ck_assert_int_eq(pairs, 1); /* stem has two readers, pointwise ends in Add */
    const float *first = constant(graph, "depthwise", 1)->values;
    const float *second = constant(graph, "pointwise", 1)->values;
    for (int channel = 0; channel < 8; channel++) {
        float r1 = 0.0f, r2 = 0.0f;
        for (int tap = 0; tap < 9; tap++)
            r1 = fmaxf(r1, fabsf(first[channel * 9 + tap]));
        for (int k = 0; k < 8; k++)
            r2 = fmaxf(r2, fabsf(second[k * 8 + channel]));
        ck_assert_double_le(fabs((double)(r1 / r2) - 1.0), 0.01);
    }
}
END_TEST

START_TEST(the_given_graph_is_left_alone)
{
    const struct tensor *weights = constant(folded, "depthwise", 1);
    float before[8 * 9];
    memcpy(before, weights->values, sizeof(before));
    struct graph *graph;
    ck_assert_ok(equalize_graph(arena, folded, &graph, NULL, &err), &err);
    ck_assert_mem_eq(before, constant(folded, "depthwise", 1)->values, sizeof(before));
}
END_TEST

/* Channels that change places between two layers are not scaled for each other. */
START_TEST(layers_with_moved_channels_between_are_no_pair)
{
    struct sketch sketch;
    struct graph *graph, *equalized;
    int pairs;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "x", SKETCH(1, 6));
    int first = sketch_constant(&sketch, "first", SKETCH(6, 6));
    int second = sketch_constant(&sketch, "second", SKETCH(6, 3));
    int a = sketch_node(&sketch, "MatMul", "a", x, first, SKETCH_END);
    int last = sketch_integers(&sketch, "last", SKETCH(-1));
    int end = sketch_integers(&sketch, "end", SKETCH(-100));
    int axis = sketch_integers(&sketch, "axis", SKETCH(1));
    int step = sketch_integers(&sketch, "step", SKETCH(-1));
    int b = sketch_node(&sketch, "Slice", "reversed", a, last, end, axis, step, SKETCH_END);
    int y = sketch_node(&sketch, "MatMul", "y", b, second, SKETCH_END);
    ck_assert_ok(graph_fold(sketch_finish(&sketch, y), arena, &graph, &err), &err);
    ck_assert_ok(equalize_graph(arena, graph, &equalized, &pairs, &err), &err);
    ck_assert_int_eq(pairs, 0);
}
END_TEST

static int golden_conv(struct sketch *sketch, const char *name, int input, struct shape weights,
                       const float *values, const float *bias)
{
    struct tensor tensors[] = {
        {.name = name, .shape = weights, .values = values, .producer = -1},
        {.name = name, .shape = SKETCH(weights.dim[0]), .values = bias, .producer = -1},
    };
    int constants[2];
    for (int i = 0; i < 2; i++)
        ck_assert_ok(graph_add_tensor(sketch->graph, &tensors[i], true, &constants[i], &err), &err);
    int64_t pad = weights.dim[2] / 2;
    sketch_ints(sketch, "pads", SKETCH(pad, pad, pad, pad));
    return sketch_node(sketch, "Conv", name, input, constants[0], constants[1], SKETCH_END);
}

static const struct graph *golden_chain(void)
{
    struct sketch s;
    struct graph *graph;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "x", SKETCH(1, 3, 4, 4));
    int first = golden_conv(&s, "0", x, SKETCH(4, 3, 1, 1), golden_first, golden_bias_0);
    int relu_0 = sketch_node(&s, "Relu", "relu_0", first, SKETCH_END);
    sketch_int(&s, "group", 4);
    int depthwise =
        golden_conv(&s, "1", relu_0, SKETCH(4, 1, 3, 3), golden_depthwise, golden_bias_1);
    int relu_1 = sketch_node(&s, "Relu", "relu_1", depthwise, SKETCH_END);
    int third = golden_conv(&s, "2", relu_1, SKETCH(5, 4, 1, 1), golden_third, golden_bias_2);
    int relu_2 = sketch_node(&s, "Relu", "relu_2", third, SKETCH_END);
    int last = golden_conv(&s, "3", relu_2, SKETCH(3, 5, 1, 1), golden_last, golden_bias_3);
    ck_assert_ok(graph_fold(sketch_finish(&s, last), arena, &graph, &err), &err);
    return graph;
}

/* Law: ranges and biases are those that numpy converges to (0.5 %: here every factor is below 0.1 %
 * at the end). */
START_TEST(a_chain_converges_to_what_numpy_finds)
{
    const double tolerance = 0.005;
    const double *const ranges[] = {golden_range_0, golden_range_1, golden_range_2};
    const float *const biases[] = {golden_equalized_bias_0, golden_equalized_bias_1,
                                   golden_equalized_bias_2};
    static const char *const nodes[] = {"0", "1", "2"};
    struct graph *graph;
    int pairs;
    ck_assert_ok(equalize_graph(arena, golden_chain(), &graph, &pairs, &err), &err);
    ck_assert_int_eq(pairs, 3);
    for (int i = 0; i < 3; i++) {
        const struct tensor *weights = constant(graph, nodes[i], 1);
        const float *bias = constant(graph, nodes[i], 2)->values;
        int64_t K = weights->shape.dim[0], D = shape_elements(&weights->shape) / K;
        for (int64_t k = 0; k < K; k++) {
            double range = 0.0;
            for (int64_t d = 0; d < D; d++)
                range = fmax(range, fabs((double)weights->values[k * D + d]));
            ck_assert_msg(fabs(range / ranges[i][k] - 1.0) <= tolerance,
                          "layer %d, channel %d: %g, not %g", i, (int)k, range, ranges[i][k]);
            ck_assert_msg(fabs((double)(bias[k] / biases[i][k]) - 1.0) <= tolerance,
                          "bias %d of layer %d", (int)k, i);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("equalize");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_function_stays_the_same);
    tcase_add_test(tcase, ranges_of_a_pair_are_equal);
    tcase_add_test(tcase, a_chain_converges_to_what_numpy_finds);
    tcase_add_test(tcase, the_given_graph_is_left_alone);
    tcase_add_test(tcase, layers_with_moved_channels_between_are_no_pair);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
