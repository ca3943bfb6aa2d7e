#include "ptqd/recon/split_channels.h"

#include "sketch.h"
#include "small_network.h"
#include "support.h"

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"

#include <math.h>
#include <stdio.h>

static struct arena *arena;
static struct error err;
static const struct quant_options formats = {.weights = {.bits = 4, .symmetric = true},
                                             .per_channel = true};
static const struct split_options quarter = {.expand_ratio = 0.25, .formats = &formats};

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct graph *fold(struct sketch *sketch, int output)
{
    struct graph *folded;
    ck_assert_ok(graph_fold(sketch_finish(sketch, output), arena, &folded, &err), &err);
    return folded;
}

static int dense(struct sketch *s, const char *name, int input, int64_t K, int64_t C)
{
    char weight[32], bias[32];
    (void)snprintf(weight, sizeof(weight), "%s.weight", name);
    (void)snprintf(bias, sizeof(bias), "%s.bias", name);
    int weights = sketch_constant(s, weight, SKETCH(K, C));
    int biases = sketch_constant(s, bias, SKETCH(K));
    sketch_int(s, "transB", 1);
    return sketch_node(s, "Gemm", name, input, weights, biases, SKETCH_END);
}

/* One of everything that a channel passes: pointwise functions, a depthwise Conv, pooling, a view.
 */
static const struct graph *long_chain(void)
{
    struct sketch s;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "x", SKETCH(1, 3, 8, 8));
    int stem = sketch_conv(&s, "stem", x, 8, 3, SKETCH(3, 3));
    int low = sketch_scalar(&s, "low", 0.0f), high = sketch_scalar(&s, "high", 6.0f);
    int clipped = sketch_node(&s, "Clip", "clip", stem, low, high, SKETCH_END);
    sketch_int(&s, "group", 8);
    int depthwise = sketch_conv(&s, "depthwise", clipped, 8, 1, SKETCH(3, 3));
    int curved = sketch_node(&s, "HardSwish", "swish", depthwise, SKETCH_END);
    int pointwise = sketch_conv(&s, "pointwise", curved, 12, 8, SKETCH(1, 1));
    int rectified = sketch_node(&s, "Relu", "relu", pointwise, SKETCH_END);
    int pooled = sketch_node(&s, "GlobalAveragePool", "pool", rectified, SKETCH_END);
    int flat = sketch_node(&s, "Flatten", "flatten", pooled, SKETCH_END);
    return fold(&s, dense(&s, "dense", flat, 5, 12));
}

static float *outputs_of(const struct graph *graph)
{
    struct rng rng;
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    int64_t inputs = tensor_elements(&graph->tensors[graph->input], 1);
    int64_t outputs = tensor_elements(&graph->tensors[graph->output], 1);
    float *input = ARENA_ARRAY(arena, float, inputs, &err);
    rng_init(&rng, 3, 0);
    for (int64_t i = 0; i < inputs; i++)
        input[i] = (float)rng_normal(&rng);
    ck_assert_ok(exec_create(graph, &options, &exec, &err), &err);
    ck_assert_ok(exec_forward(exec, input, 1, &err), &err);
    float *copy = arena_memdup(arena, exec_values(exec, graph->output),
                               (size_t)outputs * sizeof(float), &err);
    exec_destroy(exec);
    return copy;
}

/* Largest difference, relative to the largest output. */
static double difference(const struct graph *a, const struct graph *b)
{
    const float *x = outputs_of(a), *y = outputs_of(b);
    double largest = 0.0, unit = 0.0;
    int64_t outputs = tensor_elements(&a->tensors[a->output], 1);
    for (int64_t i = 0; i < outputs; i++) {
        largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
        unit = fmax(unit, fabs((double)x[i]));
    }
    return largest / unit;
}

static const struct graph *split(const struct graph *folded, const struct split_options *options,
                                 int *added)
{
    struct graph *graph;
    ck_assert_ok(split_channels(arena, folded, options, &graph, added, &err), &err);
    return graph;
}

static const struct tensor *weights_of(const struct graph *graph, const char *node)
{
    return &graph->tensors[graph->nodes[graph_find_node(graph, node)].inputs[1]];
}

static double range_of(const struct tensor *weights)
{
    double range = 0.0;
    for (int64_t i = 0; i < shape_elements(&weights->shape); i++)
        range = fmax(range, fabs((double)weights->values[i]));
    return range;
}

/* Law: the function stays the same at every ratio and width (1e-5 for sums in another order). */
START_TEST(the_function_stays_the_same)
{
    const struct graph *folded = long_chain();
    for (double ratio = 0.0; ratio <= 1.0; ratio += 0.2)
        for (int bits = 2; bits <= 8; bits += 2)
            for (int per_channel = 0; per_channel < 2; per_channel++) {
                struct quant_options wanted = {.weights = {.bits = bits, .symmetric = true},
                                               .per_channel = per_channel};
                struct split_options options = {.expand_ratio = ratio, .formats = &wanted};
                const struct graph *graph = split(folded, &options, NULL);
                double found = difference(folded, graph);
                ck_assert_msg(found <= 1e-5, "ratio %g, %d bits: %g", ratio, bits, found);
            }
}
END_TEST

/* Law: a layer with C inputs gets ⌈ratio · C⌉ more, and everything on the way to them as well. */
START_TEST(the_share_that_was_asked_for_is_added)
{
    int added;
    const struct graph *graph = split(long_chain(), &quarter, &added);
    ck_assert_int_eq(added, 2 + 3); /* pointwise: a quarter of 8; dense: of 12 */
    ck_assert_int_eq(weights_of(graph, "stem")->shape.dim[0], 10);
    ck_assert_int_eq(weights_of(graph, "depthwise")->shape.dim[0], 10);
    ck_assert_int_eq(weights_of(graph, "pointwise")->shape.dim[0], 15);
    ck_assert_int_eq(weights_of(graph, "pointwise")->shape.dim[3], 10);
    ck_assert_int_eq(weights_of(graph, "dense")->shape.dim[1], 15);
    struct split_options little = quarter;
    little.expand_ratio = 0.01;
    (void)split(long_chain(), &little, &added); /* only the count is looked at */
    ck_assert_int_eq(added, 2);
}
END_TEST

/* Law: the range of the weights that are split falls, the more the more channels are added. */
START_TEST(ranges_of_weights_fall)
{
    const struct graph *folded = long_chain();
    static const char *const layers[] = {"pointwise", "dense"};
    for (int i = 0; i < 2; i++) {
        double last = range_of(weights_of(folded, layers[i]));
        for (double ratio = 0.1; ratio < 1.0; ratio += 0.4) {
            struct split_options options = quarter;
            options.expand_ratio = ratio;
            double range = range_of(weights_of(split(folded, &options, NULL), layers[i]));
            ck_assert_double_lt(range, last);
            last = range;
        }
    }
}
END_TEST

/* Law (section 3.3): rounded to the step, the two halves add up to the rounded weight. */
START_TEST(rounded_halves_add_up)
{
    enum { WIDTH = 16, HIGHEST = 7 };
    struct sketch s;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "x", SKETCH(1, 4));
    int first = dense(&s, "first", x, WIDTH, 4);
    const struct graph *folded = fold(&s, dense(&s, "second", first, 1, WIDTH));
    struct split_options options = quarter;
    options.expand_ratio = 0.01; /* one channel */
    const float *before = weights_of(folded, "second")->values;
    const float *after = weights_of(split(folded, &options, NULL), "second")->values;
    int widest = 0;
    for (int c = 1; c < WIDTH; c++)
        widest = fabsf(before[c]) > fabsf(before[widest]) ? c : widest;
    float left = 0.5f * fabsf(before[widest]);
    for (int c = 0; c < WIDTH; c++)
        left = c == widest ? left : fmaxf(left, fabsf(before[c]));
    float step = left / HIGHEST;
    float sum = rintf(after[widest] / step) + rintf(after[WIDTH] / step);
    ck_assert_double_eq((double)sum, (double)rintf(before[widest] / step));
    ck_assert_double_le(fabs((double)(after[widest] + after[WIDTH] - before[widest])), 1e-6);
    ck_assert_double_le(fabs((double)(after[WIDTH] - after[widest] - 0.5f * step)), 1e-6);
}
END_TEST

static int added_to(struct sketch *sketch, int output)
{
    int added;
    const struct graph *folded = fold(sketch, output), *graph = split(folded, &quarter, &added);
    ck_assert_double_le(difference(folded, graph), 1e-5);
    return added;
}

START_TEST(what_mixes_or_names_channels_ends_the_search)
{
    struct sketch s;
    sketch_init(&s, arena, 13); /* a map that is flattened: a channel is many columns */
    int x = sketch_input(&s, "x", SKETCH(1, 3, 4, 4));
    int a = sketch_conv(&s, "a", x, 8, 3, SKETCH(3, 3));
    int flat = sketch_node(&s, "Flatten", "flat", a, SKETCH_END);
    ck_assert_int_eq(added_to(&s, dense(&s, "y", flat, 5, 8 * 16)), 0);

    sketch_init(&s, arena, 13); /* a shape that says how many channels there are */
    x = sketch_input(&s, "x", SKETCH(1, 6));
    a = dense(&s, "a", x, 8, 6);
    int shape = sketch_integers(&s, "shape", SKETCH(1, 8));
    int b = sketch_node(&s, "Reshape", "b", a, shape, SKETCH_END);
    ck_assert_int_eq(added_to(&s, dense(&s, "y", b, 5, 8)), 0);

    sketch_init(&s, arena, 13); /* slopes channel by channel */
    x = sketch_input(&s, "x", SKETCH(1, 6));
    a = dense(&s, "a", x, 8, 6);
    int slopes = sketch_constant(&s, "slopes", SKETCH(8));
    b = sketch_node(&s, "PRelu", "b", a, slopes, SKETCH_END);
    ck_assert_int_eq(added_to(&s, dense(&s, "y", b, 5, 8)), 0);

    sketch_init(&s, arena, 13); /* groups of two */
    x = sketch_input(&s, "x", SKETCH(1, 4, 4, 4));
    sketch_int(&s, "group", 4);
    a = sketch_conv(&s, "a", x, 8, 1, SKETCH(3, 3));
    ck_assert_int_eq(added_to(&s, sketch_conv(&s, "y", a, 5, 8, SKETCH(1, 1))), 0);

    sketch_init(&s, arena, 13); /* a second reader */
    x = sketch_input(&s, "x", SKETCH(1, 4, 4, 4));
    a = sketch_conv(&s, "a", x, 8, 4, SKETCH(3, 3));
    b = sketch_conv(&s, "b", a, 8, 8, SKETCH(3, 3));
    ck_assert_int_eq(added_to(&s, sketch_node(&s, "Add", "y", a, b, SKETCH_END)), 0);
}
END_TEST

/* Every layer of it is behind a sum, or has a source with a second reader. */
START_TEST(a_network_of_sums_stays_as_it_is)
{
    int added;
    struct graph *folded;
    ck_assert_ok(graph_fold(small_network_create(arena, 1), arena, &folded, &err), &err);
    ck_assert_double_eq(difference(folded, split(folded, &quarter, &added)), 0.0);
    ck_assert_int_eq(added, 0);
}
END_TEST

static bool split_again(struct arena *memory, void *context, struct error *failure)
{
    const struct graph *const *folded = context;
    struct graph *graph;
    return split_channels(memory, *folded, &quarter, &graph, NULL, failure);
}

START_TEST(every_failing_allocation_is_reported)
{
    const struct graph *folded = long_chain();
    ck_assert_uint_gt(support_fail_each_allocation(split_again, &folded), 10);
}
END_TEST

START_TEST(the_given_graph_is_left_alone)
{
    const struct graph *folded = long_chain();
    const float *before = outputs_of(folded);
    int64_t dim = weights_of(folded, "pointwise")->shape.dim[3];
    (void)split(folded, &quarter, NULL); /* only what it does to the other graph counts */
    ck_assert_int_eq(weights_of(folded, "pointwise")->shape.dim[3], dim);
    ck_assert_mem_eq(before, outputs_of(folded), 5 * sizeof(float));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split_channels");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_function_stays_the_same);
    tcase_add_test(tcase, the_share_that_was_asked_for_is_added);
    tcase_add_test(tcase, ranges_of_weights_fall);
    tcase_add_test(tcase, rounded_halves_add_up);
    tcase_add_test(tcase, what_mixes_or_names_channels_ends_the_search);
    tcase_add_test(tcase, a_network_of_sums_stays_as_it_is);
    tcase_add_test(tcase, every_failing_allocation_is_reported);
    tcase_add_test(tcase, the_given_graph_is_left_alone);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
