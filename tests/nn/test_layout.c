/* The change to channels-last. The law: a graph computes what its file says, in the file's order at
 * both ends; here against plain loops over (N, C, H, W). */

#include "ptqd/base/rng.h"
#include "ptqd/nn/graph.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sums of at most 27 products of numbers below 1, in another order. */
static const double sum_tolerance = 1e-5;

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 24);
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* A map in the file's order. */
struct map {
    int C, H, W;
    float *at; /* [C][H][W] */
};

static struct map map_new(int C, int H, int W)
{
    struct map map = {.C = C, .H = H, .W = W, .at = ARENA_ARRAY(arena, float, C *H *W, &err)};
    ck_assert_ptr_nonnull(map.at);
    return map;
}

static float map_get(struct map map, int c, int h, int w)
{
    bool inside = h >= 0 && h < map.H && w >= 0 && w < map.W;
    return inside ? map.at[(c * map.H + h) * map.W + w] : 0;
}

/* Stride 1, padding that keeps the size; weights [K][C][R][S]. */
static struct map plain_conv(struct map x, const float *weights, const float *bias, int K, int R,
                             int S)
{
    struct map y = map_new(K, x.H, x.W);
    for (int k = 0; k < K; k++)
        for (int h = 0; h < x.H; h++)
            for (int w = 0; w < x.W; w++) {
                double sum = (double)bias[k];
                for (int c = 0; c < x.C; c++)
                    for (int r = 0; r < R; r++)
                        for (int s = 0; s < S; s++)
                            sum += (double)map_get(x, c, h + r - (R - 1) / 2, w + s - (S - 1) / 2) *
                                   (double)weights[((k * x.C + c) * R + r) * S + s];
                y.at[(k * y.H + h) * y.W + w] = (float)sum;
            }
    return y;
}

/* What sketch_conv makes; to be called before the graph is finished, which moves the constants. */
static struct map expect_conv(struct map x, const char *name, int K, int R, int S)
{
    char tensor[64];
    (void)snprintf(tensor, sizeof(tensor), "%s.weight", name);
    const float *weights = sketch.graph->tensors[graph_find_tensor(sketch.graph, tensor)].values;
    (void)snprintf(tensor, sizeof(tensor), "%s.bias", name);
    const float *bias = sketch.graph->tensors[graph_find_tensor(sketch.graph, tensor)].values;
    return plain_conv(x, weights, bias, K, R, S);
}

static void map_relu(struct map map)
{
    for (int i = 0; i < map.C * map.H * map.W; i++)
        map.at[i] = map.at[i] > 0 ? map.at[i] : 0;
}

static struct map input_map(int C, int H, int W)
{
    struct map map = {.C = C, .H = H, .W = W, .at = graph_run_values(arena, C * H * W, 3)};
    return map;
}

static void check_output(const struct graph *graph, struct map input, const float *expected)
{
    const struct tensor *output = &graph->tensors[graph->output];
    graph_run_compare(graph_run(arena, graph, input.at, 1), expected,
                      shape_elements(&output->shape), sum_tolerance);
}

/* Transposes that move something, which views don't. */
static int count_moves(const struct graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++)
        count += strcmp(graph->nodes[i].op_type, "Transpose") == 0 && !graph->nodes[i].op->view;
    return count;
}

START_TEST(a_chain_of_spatial_operators_is_moved_once)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 4, 3, SKETCH(3, 3));
    int b = sketch_node(&sketch, "Relu", "b", a, SKETCH_END);
    int c = sketch_conv(&sketch, "c", b, 2, 4, SKETCH(1, 1));
    struct map input = input_map(3, 5, 4);
    struct map expected = expect_conv(input, "a", 4, 3, 3);
    map_relu(expected);
    expected = expect_conv(expected, "c", 2, 1, 1);

    struct graph *graph = sketch_finish(&sketch, c);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 2);
    ck_assert_str_eq(graph->tensors[graph->output].name, "c");
    ck_assert_int_eq(graph->tensors[graph->output].shape.dim[1], 2);
    ck_assert(!graph->tensors[graph->output].channels_last);
    ck_assert(graph->tensors[graph_find_tensor(graph, "b")].channels_last);
    ck_assert_int_eq(graph->tensors[graph_find_tensor(graph, "b")].shape.dim[3], 4);
    ck_assert_int_ge(graph_find_tensor(graph, "c:nhwc"), 0);
    check_output(graph, input, expected.at);
}
END_TEST

START_TEST(maps_of_one_axis_are_moved_too)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 9));
    int a = sketch_conv(&sketch, "a", x, 4, 3, SKETCH(3));
    int y = sketch_node(&sketch, "Flatten", "y", a, SKETCH_END);
    struct map input = input_map(3, 1, 9);
    struct map expected = expect_conv(input, "a", 4, 1, 3);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_ge(graph_find_tensor(graph, "x:nwc"), 0);
    ck_assert_int_ge(graph_find_tensor(graph, "a:ncw"), 0);
    check_output(graph, input, expected.at);
}
END_TEST

START_TEST(moves_of_axes_with_one_element_are_views)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 4, 1, SKETCH(3, 3));
    int b = sketch_node(&sketch, "GlobalAveragePool", "b", a, SKETCH_END);
    int y = sketch_node(&sketch, "Flatten", "y", b, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 2);
    ck_assert_int_eq(count_moves(graph), 0);
}
END_TEST

START_TEST(one_moved_copy_serves_all_readers)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 2, 3, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", x, 2, 3, SKETCH(1, 1));
    int y = sketch_node(&sketch, "Add", "y", a, b, SKETCH_END);
    struct map input = input_map(3, 5, 4);
    struct map expected = expect_conv(input, "a", 2, 3, 3);
    struct map other = expect_conv(input, "b", 2, 1, 1);
    for (int i = 0; i < 2 * 5 * 4; i++)
        expected.at[i] += other.at[i];
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 2);
    check_output(graph, input, expected.at);
}
END_TEST

/* Constants of a broadcast: per channel, per position, one for all; with all axes or without the
 * leading ones. */
static const struct shape addends[] = {{4, {1, 2, 1, 1}}, {3, {2, 1, 1}}, {2, {5, 4}}, {1, {4}},
                                       {4, {1, 1, 5, 1}}, {0, {0}},       {1, {1}}};

START_TEST(constants_of_a_broadcast_are_moved_with_the_activations)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 2, 3, SKETCH(3, 3));
    int w = sketch_constant(&sketch, "w", addends[_i]);
    int y = sketch_node(&sketch, "Add", "y", w, a, SKETCH_END);
    struct map input = input_map(3, 5, 4);
    struct map expected = expect_conv(input, "a", 2, 3, 3);

    struct shape full = SKETCH(1, 1, 1, 1);
    for (int i = 0; i < addends[_i].rank; i++)
        full.dim[4 - addends[_i].rank + i] = addends[_i].dim[i];
    const float *values = sketch.graph->tensors[w].values;
    for (int k = 0; k < 2; k++)
        for (int h = 0; h < 5; h++)
            for (int v = 0; v < 4; v++)
                expected.at[(k * 5 + h) * 4 + v] +=
                    values[(k % full.dim[1] * full.dim[2] + h % full.dim[2]) * full.dim[3] +
                           v % full.dim[3]];
    check_output(sketch_finish(&sketch, y), input, expected.at);
}
END_TEST

START_TEST(a_constant_with_other_readers_is_copied)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2, 3));
    int w = sketch_constant(&sketch, "w", SKETCH(2, 1, 1));
    int before = sketch_node(&sketch, "Add", "before", x, w, SKETCH_END);
    int a = sketch_conv(&sketch, "a", before, 2, 2, SKETCH(1, 1));
    int y = sketch_node(&sketch, "Mul", "y", a, w, SKETCH_END);
    struct map input = input_map(2, 2, 3);
    struct map sum = map_new(2, 2, 3);
    const float *values = sketch.graph->tensors[w].values;
    for (int i = 0; i < 12; i++)
        sum.at[i] = input.at[i] + values[i / 6];
    struct map expected = expect_conv(sum, "a", 2, 1, 1);
    for (int i = 0; i < 12; i++)
        expected.at[i] *= values[i / 6];
    check_output(sketch_finish(&sketch, y), input, expected.at);
}
END_TEST

START_TEST(shared_weights_are_moved_once)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int a = sketch_conv(&sketch, "a", x, 2, 2, SKETCH(3, 3));
    int weights = graph_find_tensor(sketch.graph, "a.weight");
    sketch_ints(&sketch, "pads", SKETCH(1, 1, 1, 1));
    int y = sketch_node(&sketch, "Conv", "y", a, weights, SKETCH_END);
    struct map input = input_map(2, 4, 4);
    const float no_bias[2] = {0, 0};
    struct map expected = plain_conv(expect_conv(input, "a", 2, 3, 3),
                                     sketch.graph->tensors[weights].values, no_bias, 2, 3, 3);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph->nodes[1].inputs[1], graph->nodes[2].inputs[1]);
    check_output(graph, input, expected.at);
}
END_TEST

/* y = mean over W of pad(concat(conv, conv) along C) along W, flattened. */
START_TEST(axes_of_concat_pad_and_mean_follow)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 2, 3, SKETCH(3, 3));
    int b = sketch_conv(&sketch, "b", x, 1, 3, SKETCH(1, 1));
    sketch_int(&sketch, "axis", 1);
    int joined = sketch_node(&sketch, "Concat", "joined", a, b, SKETCH_END);
    sketch_ints(&sketch, "pads", SKETCH(0, 1, 0, 0, 0, 0, 2, 1));
    int padded = sketch_node(&sketch, "Pad", "padded", joined, SKETCH_END);
    sketch_ints(&sketch, "axes", SKETCH(3));
    int mean = sketch_node(&sketch, "ReduceMean", "mean", padded, SKETCH_END);
    int y = sketch_node(&sketch, "Flatten", "y", mean, SKETCH_END);

    struct map input = input_map(3, 5, 4);
    struct map of_a = expect_conv(input, "a", 2, 3, 3), of_b = expect_conv(input, "b", 1, 1, 1);
    float expected[4 * 7] = {0}; /* channel 0 and rows 5 and 6 are padding */
    for (int k = 0; k < 3; k++)
        for (int h = 0; h < 5; h++)
            for (int w = 0; w < 4; w++)
                expected[(k + 1) * 7 + h] +=
                    (k < 2 ? map_get(of_a, k, h, w) : map_get(of_b, 0, h, w)) / 5;
    sketch.graph->opset = 10; /* pads as an attribute */
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert(graph->tensors[graph_find_tensor(graph, "mean")].channels_last);
    check_output(graph, input, expected);
}
END_TEST

START_TEST(a_mean_that_drops_axes_reads_the_order_of_the_file)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_conv(&sketch, "a", x, 2, 3, SKETCH(3, 3));
    sketch_ints(&sketch, "axes", SKETCH(2, 3));
    sketch_int(&sketch, "keepdims", 0);
    int y = sketch_node(&sketch, "ReduceMean", "y", a, SKETCH_END);
    struct map input = input_map(3, 5, 4), of_a = expect_conv(input, "a", 2, 3, 3);
    float expected[2] = {0};
    for (int i = 0; i < 40; i++)
        expected[i / 20] += of_a.at[i] / 20;
    check_output(sketch_finish(&sketch, y), input, expected);
}
END_TEST

static int to_channels_first(int x, const char *name)
{
    sketch_ints(&sketch, "perm", SKETCH(0, 3, 1, 2));
    return sketch_node(&sketch, "Transpose", name, x, SKETCH_END);
}

static int to_channels_last(int x, const char *name)
{
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 3, 1));
    return sketch_node(&sketch, "Transpose", name, x, SKETCH_END);
}

/* A file that is channels-last itself, as an importer brings it into ONNX's vocabulary: a residual
 * block, then a shape that needs the file's order. */
START_TEST(a_channels_last_file_needs_no_moves)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 5, 4, 3));
    int a = to_channels_last(
        sketch_conv(&sketch, "a:nchw", to_channels_first(x, "x:nchw"), 4, 3, SKETCH(3, 3)), "a");
    int b = sketch_node(&sketch, "Relu", "b", a, SKETCH_END);
    int c = to_channels_last(
        sketch_conv(&sketch, "c:nchw", to_channels_first(b, "b:nchw"), 4, 4, SKETCH(1, 1)), "c");
    int d = sketch_node(&sketch, "Add", "d", b, c, SKETCH_END);
    int e = sketch_node(&sketch, "Relu", "e", d, SKETCH_END);
    int y = sketch_node(&sketch, "Flatten", "y", e, SKETCH_END);

    struct map input = input_map(3, 5, 4);
    float moved[3 * 5 * 4];
    for (int i = 0; i < 3 * 5 * 4; i++)
        moved[i % 20 * 3 + i / 20] = input.at[i];
    struct map of_a = expect_conv(input, "a:nchw", 4, 3, 3);
    map_relu(of_a);
    struct map of_c = expect_conv(of_a, "c:nchw", 4, 1, 1);
    float expected[4 * 5 * 4];
    for (int i = 0; i < 80; i++) {
        float sum = of_a.at[i] + of_c.at[i];
        expected[i % 20 * 4 + i / 20] = sum > 0 ? sum : 0;
    }

    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(count_moves(graph), 0);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 2);
    const struct node *relu = &graph->nodes[graph_find_node(graph, "b")];
    ck_assert_str_eq(graph->tensors[relu->inputs[0]].name, "a");
    ck_assert_str_eq(graph->nodes[graph->tensors[relu->inputs[0]].producer].op_type, "Conv");
    graph_run_compare(graph_run(arena, graph, moved, 1), expected, 80, sum_tolerance);
}
END_TEST

START_TEST(a_channels_last_file_may_end_in_a_map)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 5, 4, 3));
    int a = to_channels_last(
        sketch_conv(&sketch, "a:nchw", to_channels_first(x, "x:nchw"), 2, 3, SKETCH(3, 3)), "a");
    int y = sketch_node(&sketch, "Relu", "y", a, SKETCH_END);
    struct map input = input_map(3, 5, 4);
    float moved[3 * 5 * 4], expected[2 * 5 * 4];
    for (int i = 0; i < 60; i++)
        moved[i % 20 * 3 + i / 20] = input.at[i];
    struct map of_a = expect_conv(input, "a:nchw", 2, 3, 3);
    map_relu(of_a);
    for (int i = 0; i < 40; i++)
        expected[i % 20 * 2 + i / 20] = of_a.at[i];
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_str_eq(graph->tensors[graph->output].name, "y");
    ck_assert_int_eq(graph->tensors[graph->output].shape.dim[3], 2);
    ck_assert_int_eq(count_moves(graph), 0);
    graph_run_compare(graph_run(arena, graph, moved, 1), expected, 40, sum_tolerance);
}
END_TEST

START_TEST(transposes_of_transposes_become_one)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 1, 3));
    int a = sketch_node(&sketch, "Transpose", "a", x, SKETCH_END);
    sketch_ints(&sketch, "perm", SKETCH(0, 1, 3, 2));
    int b = sketch_node(&sketch, "Transpose", "b", a, SKETCH_END);
    sketch_ints(&sketch, "perm", SKETCH(0, 3, 1, 2));
    int c = sketch_node(&sketch, "Transpose", "c", b, SKETCH_END);
    int y = sketch_node(&sketch, "Relu", "y", c, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    /* (0,2,1,3), then (0,1,3,2), then (0,3,1,2) is the identity. */
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 0);
    ck_assert_int_eq(graph->nodes[0].inputs[0], graph->input);
}
END_TEST

START_TEST(an_elementwise_network_keeps_the_order_of_the_file)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 5, 4));
    int a = sketch_node(&sketch, "Relu", "a", x, SKETCH_END);
    int w = sketch_constant(&sketch, "w", SKETCH(3, 1, 1));
    int y = sketch_node(&sketch, "Mul", "y", a, w, SKETCH_END);
    struct graph *graph = sketch_finish(&sketch, y);
    ck_assert_int_eq(graph_run_count(graph, "Transpose"), 0);
    ck_assert_int_eq(graph->tensors[w].shape.rank, 3);
}
END_TEST

/* Where element `place` of the output is in the input. */
static int64_t source_of(int64_t place, const struct shape *in, const int *perm)
{
    int64_t index[SHAPE_RANK_MAX], source = 0;
    for (int i = in->rank - 1; i >= 0; i--) {
        index[perm[i]] = place % in->dim[perm[i]];
        place /= in->dim[perm[i]];
    }
    for (int i = 0; i < in->rank; i++)
        source = source * in->dim[i] + index[i];
    return source;
}

/* Random shapes, axes of one element among them, and orders of up to five axes. */
START_TEST(a_permutation_moves_every_element_to_its_place)
{
    enum { CASES = 2000, RANK_MOST = 5, EXTENT_MOST = 6 };
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int n = 0; n < CASES; n++) {
        struct shape shape = {.rank = (int)rng_below(&rng, RANK_MOST + 1)};
        int perm[SHAPE_RANK_MAX];
        for (int i = 0; i < shape.rank; i++) {
            int other = (int)rng_below(&rng, (uint64_t)i + 1);
            shape.dim[i] = 1 + (int64_t)rng_below(&rng, EXTENT_MOST);
            perm[i] = i;
            perm[i] = perm[other];
            perm[other] = i;
        }
        float in[EXTENT_MOST * EXTENT_MOST * EXTENT_MOST * EXTENT_MOST * EXTENT_MOST];
        float out[sizeof(in) / sizeof(in[0])];
        int64_t count = shape_elements(&shape);
        for (int64_t i = 0; i < count; i++)
            in[i] = (float)i;
        permute_f32(in, &shape, perm, out);
        for (int64_t i = 0; i < count; i++)
            ck_assert_int_eq((int)out[i], (int)source_of(i, &shape, perm));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layout");
    TCase *tcase = tcase_create("channels-last");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_chain_of_spatial_operators_is_moved_once);
    tcase_add_test(tcase, maps_of_one_axis_are_moved_too);
    tcase_add_test(tcase, moves_of_axes_with_one_element_are_views);
    tcase_add_test(tcase, one_moved_copy_serves_all_readers);
    tcase_add_loop_test(tcase, constants_of_a_broadcast_are_moved_with_the_activations, 0,
                        sizeof(addends) / sizeof(addends[0]));
    tcase_add_test(tcase, a_constant_with_other_readers_is_copied);
    tcase_add_test(tcase, shared_weights_are_moved_once);
    tcase_add_test(tcase, axes_of_concat_pad_and_mean_follow);
    tcase_add_test(tcase, a_mean_that_drops_axes_reads_the_order_of_the_file);
    tcase_add_test(tcase, a_channels_last_file_needs_no_moves);
    tcase_add_test(tcase, a_channels_last_file_may_end_in_a_map);
    tcase_add_test(tcase, transposes_of_transposes_become_one);
    tcase_add_test(tcase, an_elementwise_network_keeps_the_order_of_the_file);
    tcase_add_test(tcase, a_permutation_moves_every_element_to_its_place);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
