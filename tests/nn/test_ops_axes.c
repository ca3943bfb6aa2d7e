/* Operators that work along axes or change them: shapes and values against small examples worked
 * out by hand or by an index loop, differences of the operator sets, and what is refused. */

#include "ptqd/nn/graph.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void check_shape(const struct graph *graph, struct shape expected)
{
    char text[128], wanted[128];
    shape_print(&graph->tensors[graph->output].shape, text, sizeof(text));
    shape_print(&expected, wanted, sizeof(wanted));
    ck_assert_str_eq(text, wanted);
}

static void finish_fails(int output, enum error_code code, const char *message)
{
    sketch.graph->output = output;
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, code, message);
}

/* 0, 1, 2 … */
static float *counting(int64_t count)
{
    float *values = ARENA_ARRAY(arena, float, count, &err);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)i;
    return values;
}

struct flatten_case {
    int64_t axis;
    struct shape expected;
};

static const struct flatten_case flatten_cases[] = {
    {0, {2, {1, 24}}}, {1, {2, {1, 24}}}, {2, {2, {2, 12}}},
    {3, {2, {6, 4}}},  {4, {2, {24, 1}}}, {-1, {2, {6, 4}}},
};

START_TEST(flatten_makes_two_axes)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
    sketch_int(&sketch, "axis", flatten_cases[_i].axis);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Flatten", "y", x, SKETCH_END));
    check_shape(graph, flatten_cases[_i].expected);
    graph_run_compare(graph_run(arena, graph, counting(24), 1), counting(24), 24, 0);
}
END_TEST

struct reshape_case {
    struct shape wanted; /* the list of extents */
    struct shape expected;
    const char *message; /* of the refusal, or NULL */
    int64_t allow_zero;
};

static const struct reshape_case reshape_cases[] = {
    {.wanted = {2, {1, 24}}, .expected = {2, {1, 24}}},
    {.wanted = {2, {0, -1}}, .expected = {2, {1, 24}}},
    {.wanted = {3, {-1, 0, 12}}, .expected = {3, {1, 2, 12}}},
    {.wanted = {5, {1, 1, 2, 3, 4}}, .expected = {5, {1, 1, 2, 3, 4}}},
    {.wanted = {2, {-1, -1}}, .message = "shape[0] and shape[1] are -1"},
    {.wanted = {2, {5, -1}}, .message = "1x2x3x4 has 24 elements, 5x1 takes a multiple of 5"},
    {.wanted = {2, {5, 5}}, .message = "1x2x3x4 has 24 elements, 5x5 has 25"},
    {.wanted = {2, {1, -2}}, .message = "shape[1] is -2; extents start at 1"},
    {.wanted = {5, {1, 2, 3, 4, 0}}, .message = "shape[4] is 0; the input has only 4 axes"},
    {.wanted = {2, {0, 24}}, .message = "shape[0] is 0; extents start at 1", .allow_zero = 1},
};

START_TEST(reshape_keeps_the_elements)
{
    const struct reshape_case *c = &reshape_cases[_i];
    for (int as_attribute = 0; as_attribute < 2; as_attribute++) {
        sketch_init(&sketch, arena, 14);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4)), list = NODE_ABSENT;
        if (as_attribute)
            sketch_ints(&sketch, "shape", c->wanted);
        else
            list = sketch_integers(&sketch, "list", c->wanted);
        if (c->allow_zero)
            sketch_int(&sketch, "allowzero", 1);
        int y = sketch_node(&sketch, "Reshape", "y", x, list, SKETCH_END);
        if (c->message != NULL) {
            finish_fails(y, E_INVALID, c->message);
            continue;
        }
        struct graph *graph = sketch_finish(&sketch, y);
        check_shape(graph, c->expected);
        graph_run_compare(graph_run(arena, graph, counting(24), 1), counting(24), 24, 0);
    }
}
END_TEST

START_TEST(a_computed_shape_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int y = sketch_node(&sketch, "Reshape", "y", x, x, SKETCH_END);
    finish_fails(y, E_UNSUPPORTED, "input 1 'x' (shape) is computed or not int64");
}
END_TEST

START_TEST(squeeze_and_unsqueeze_take_axes_as_attribute_or_input)
{
    for (int as_attribute = 0; as_attribute < 2; as_attribute++) {
        sketch_init(&sketch, arena, as_attribute ? 11 : 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 1, 3, 1)), a, b;
        if (as_attribute) {
            sketch_ints(&sketch, "axes", SKETCH(1, -1));
            a = sketch_node(&sketch, "Squeeze", "a", x, SKETCH_END);
            sketch_ints(&sketch, "axes", SKETCH(2, -4));
            b = sketch_node(&sketch, "Unsqueeze", "b", a, SKETCH_END);
        } else {
            int out = sketch_integers(&sketch, "out", SKETCH(1, -1));
            int in = sketch_integers(&sketch, "in", SKETCH(2, -4));
            a = sketch_node(&sketch, "Squeeze", "a", x, out, SKETCH_END);
            b = sketch_node(&sketch, "Unsqueeze", "b", a, in, SKETCH_END);
        }
        struct graph *graph = sketch_finish(&sketch, b);
        check_shape(graph, SKETCH(1, 1, 1, 3));
        graph_run_compare(graph_run(arena, graph, counting(6), 2), counting(6), 6, 0);
    }
}
END_TEST

START_TEST(squeeze_without_axes_keeps_the_axis_of_the_samples)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 1, 3, 1));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Squeeze", "y", x, SKETCH_END));
    check_shape(graph, SKETCH(1, 3));
    ck_assert(graph->batchable);
}
END_TEST

START_TEST(axes_that_do_not_fit_are_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    int axes = sketch_integers(&sketch, "axes", SKETCH(2));
    finish_fails(sketch_node(&sketch, "Squeeze", "y", x, axes, SKETCH_END), E_INVALID,
                 "axis 2 of 'x' has extent 3; only 1 can be removed");
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    axes = sketch_integers(&sketch, "axes", SKETCH(1, 1));
    finish_fails(sketch_node(&sketch, "Unsqueeze", "y", x, axes, SKETCH_END), E_INVALID,
                 "axis 1 is inserted twice");
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    sketch_ints(&sketch, "axes", SKETCH(3));
    finish_fails(sketch_node(&sketch, "ReduceMean", "y", x, SKETCH_END), E_INVALID,
                 "axis is 3; -3 to 2 are possible for 3 axes");
}
END_TEST

START_TEST(transpose_moves_axes)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
    sketch_ints(&sketch, "perm", SKETCH(0, 3, 1, 2));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Transpose", "y", x, SKETCH_END));
    check_shape(graph, SKETCH(1, 4, 2, 3));
    float expected[2 * 24];
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 24; i++) /* i = (a, b, c) of the input */
            expected[n * 24 + i % 4 * 6 + i / 4] = (float)(n * 24 + i);
    graph_run_compare(graph_run(arena, graph, counting(48), 2), expected, 48, 0);
}
END_TEST

START_TEST(transpose_without_permutation_reverses)
{
    int x = sketch_input(&sketch, "x", SKETCH(2, 3, 4));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Transpose", "y", x, SKETCH_END));
    check_shape(graph, SKETCH(4, 3, 2));
    const float *y = graph_run(arena, graph, counting(24), 1);
    for (int i = 0; i < 24; i++)
        ck_assert(y[i % 4 * 6 + i / 4 % 3 * 2 + i / 12] == (float)i);
}
END_TEST

START_TEST(a_permutation_with_a_repeated_axis_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 2));
    finish_fails(sketch_node(&sketch, "Transpose", "y", x, SKETCH_END), E_INVALID,
                 "perm[2] is 2; it must have 0 to 2 once each");
}
END_TEST

START_TEST(concat_joins_along_an_axis)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2));
    int w = sketch_constant(&sketch, "w", SKETCH(1, 2, 1));
    const float *of_w = sketch.graph->tensors[w].values;
    sketch_int(&sketch, "axis", -1);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Concat", "y", x, w, x, SKETCH_END));
    check_shape(graph, SKETCH(1, 2, 5));
    const float expected[20] = {0, 1, of_w[0], 0, 1, 2, 3, of_w[1], 2, 3,
                                4, 5, of_w[0], 4, 5, 6, 7, of_w[1], 6, 7};
    graph_run_compare(graph_run(arena, graph, counting(8), 2), expected, 20, 0);
}
END_TEST

START_TEST(concat_of_other_extents_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2));
    int w = sketch_constant(&sketch, "w", SKETCH(1, 3, 1));
    sketch_int(&sketch, "axis", 2);
    finish_fails(sketch_node(&sketch, "Concat", "y", x, w, SKETCH_END), E_INVALID,
                 "input 0 'x' is 1x2x2, input 1 'w' is 1x3x1; only axis 2 may differ");
}
END_TEST

/* x = 0 1 2 3, two before and one after. */
struct pad_case {
    const char *mode;
    int64_t opset;
    double value;
    float expected[7];
};

static const struct pad_case pad_cases[] = {
    {"constant", 13, 0, {0, 0, 0, 1, 2, 3, 0}}, {"constant", 13, 7, {7, 7, 0, 1, 2, 3, 7}},
    {"constant", 10, 7, {7, 7, 0, 1, 2, 3, 7}}, {"constant", 1, 7, {7, 7, 0, 1, 2, 3, 7}},
    {"edge", 13, 0, {0, 0, 0, 1, 2, 3, 3}},     {"edge", 10, 0, {0, 0, 0, 1, 2, 3, 3}},
    {"reflect", 13, 0, {2, 1, 0, 1, 2, 3, 2}},
};

START_TEST(pad_puts_elements_around)
{
    const struct pad_case *c = &pad_cases[_i];
    sketch_init(&sketch, arena, c->opset);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4)), pads = NODE_ABSENT, value = NODE_ABSENT;
    if (c->opset < 11) {
        sketch_ints(&sketch, c->opset == 1 ? "paddings" : "pads", SKETCH(0, 2, 0, 1));
        sketch_real(&sketch, "value", c->value);
    } else {
        pads = sketch_integers(&sketch, "pads", SKETCH(0, 2, 0, 1));
        value = sketch_scalar(&sketch, "value", (float)c->value);
    }
    sketch_text(&sketch, "mode", c->mode);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Pad", "y", x, pads, value, SKETCH_END));
    check_shape(graph, SKETCH(1, 7));
    graph_run_compare(graph_run(arena, graph, counting(4), 1), c->expected, 7, 0);
}
END_TEST

START_TEST(pad_in_two_axes_fills_the_corners)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2));
    int pads = sketch_integers(&sketch, "pads", SKETCH(0, 1, 1, 0, 0, 0));
    sketch_text(&sketch, "mode", "edge");
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Pad", "y", x, pads, SKETCH_END));
    const float expected[18] = {0, 0, 1, 0, 0, 1, 2, 2, 3, 4, 4, 5, 4, 4, 5, 6, 6, 7};
    graph_run_compare(graph_run(arena, graph, counting(8), 2), expected, 18, 0);
}
END_TEST

struct bad_pad_case {
    const char *mode;
    struct shape pads;
    enum error_code code;
    const char *message;
};

static const struct bad_pad_case bad_pad_cases[] = {
    {"constant",
     {4, {0, -1, 0, 0}},
     E_UNSUPPORTED,
     "pads of axis 1 are -1 and 0; negative ones (cropping) are not supported"},
    {"reflect", {4, {0, 4, 0, 0}}, E_INVALID, "reflect needs fewer than its extent 4"},
    {"wrap", {4, {0, 1, 0, 0}}, E_UNSUPPORTED, "mode is 'wrap'"},
    {"constant", {3, {0, 1, 0}}, E_INVALID, "3 pads for 2 axes; there must be 4"},
    {"constant", {4, {0, INT64_MAX, 0, 0}}, E_INVALID, "at most 16777216"},
};

START_TEST(pads_that_make_no_sense_are_refused)
{
    const struct bad_pad_case *c = &bad_pad_cases[_i];
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int pads = sketch_integers(&sketch, "pads", c->pads);
    sketch_text(&sketch, "mode", c->mode);
    finish_fails(sketch_node(&sketch, "Pad", "y", x, pads, SKETCH_END), c->code, c->message);
}
END_TEST

struct mean_case {
    struct shape axes; /* rank 0: not given */
    int64_t keep_axes;
    struct shape expected_shape;
    float expected[12]; /* of x = 0 … 23 as 1x2x3x4 */
};

static const struct mean_case mean_cases[] = {
    {{2, {2, 3}}, 1, {4, {1, 2, 1, 1}}, {5.5F, 17.5F}},
    {{2, {2, 3}}, 0, {2, {1, 2}}, {5.5F, 17.5F}},
    {{1, {1}}, 0, {3, {1, 3, 4}}, {6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}},
    {{1, {-1}}, 1, {4, {1, 2, 3, 1}}, {1.5F, 5.5F, 9.5F, 13.5F, 17.5F, 21.5F}},
    {{2, {1, 3}}, 0, {2, {1, 3}}, {7.5F, 11.5F, 15.5F}},
    {{0, {0}}, 1, {4, {1, 1, 1, 1}}, {11.5F}},
    {{0, {0}}, 0, {0, {0}}, {11.5F}},
};

START_TEST(means_are_over_the_axes_given_or_all)
{
    const struct mean_case *c = &mean_cases[_i];
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
    if (c->axes.rank > 0)
        sketch_ints(&sketch, "axes", c->axes);
    sketch_int(&sketch, "keepdims", c->keep_axes);
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "ReduceMean", "y", x, SKETCH_END));
    check_shape(graph, c->expected_shape);
    graph_run_compare(graph_run(arena, graph, counting(24), 1), c->expected,
                      shape_elements(&c->expected_shape), 0);
}
END_TEST

/* softmax of a line of n elements `step` apart */
static void plain_softmax(const float *x, int n, int step, bool logarithm, float *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i * step]);
    for (int i = 0; i < n; i++)
        y[i * step] =
            (float)(logarithm ? (double)x[i * step] - log(sum) : exp((double)x[i * step]) / sum);
}

/* Opset 11: axis and all after it are one line. Opset 13: the axis alone. */
START_TEST(softmax_is_along_one_axis_or_before_opset_13_along_all_the_rest)
{
    const float *input = graph_run_values(arena, 24, 8);
    for (int variant = 0; variant < 4; variant++) {
        bool logarithm = variant % 2 == 1, old = variant < 2;
        sketch_init(&sketch, arena, old ? 11 : 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
        sketch_int(&sketch, "axis", 2);
        int y = sketch_node(&sketch, logarithm ? "LogSoftmax" : "Softmax", "y", x, SKETCH_END);
        float expected[24];
        for (int c = 0; c < 2; c++)
            for (int w = 0; w < (old ? 1 : 4); w++)
                plain_softmax(input + c * 12 + w, old ? 12 : 3, old ? 1 : 4, logarithm,
                              expected + c * 12 + w);
        graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, 1), expected, 24,
                          1e-6);
    }
}
END_TEST

START_TEST(the_default_axis_of_softmax_changed_with_opset_13)
{
    const float *input = graph_run_values(arena, 6, 8);
    for (int old = 0; old < 2; old++) {
        sketch_init(&sketch, arena, old ? 11 : 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
        int y = sketch_node(&sketch, "Softmax", "y", x, SKETCH_END);
        float expected[6];
        for (int i = 0; i < (old ? 1 : 2); i++)
            plain_softmax(input + 3 * i, old ? 6 : 3, 1, false, expected + 3 * i);
        graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, 1), expected, 6, 1e-6);
    }
}
END_TEST

START_TEST(softmax_of_large_numbers_does_not_overflow)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3));
    int y = sketch_node(&sketch, "Softmax", "y", x, SKETCH_END);
    const float input[3] = {1000, 1000, -1000}, expected[3] = {0.5F, 0.5F, 0};
    graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, 1), expected, 3, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_axes");
    TCase *tcase = tcase_create("values");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, flatten_makes_two_axes, 0,
                        sizeof(flatten_cases) / sizeof(flatten_cases[0]));
    tcase_add_loop_test(tcase, reshape_keeps_the_elements, 0,
                        sizeof(reshape_cases) / sizeof(reshape_cases[0]));
    tcase_add_test(tcase, a_computed_shape_is_refused);
    tcase_add_test(tcase, squeeze_and_unsqueeze_take_axes_as_attribute_or_input);
    tcase_add_test(tcase, squeeze_without_axes_keeps_the_axis_of_the_samples);
    tcase_add_test(tcase, axes_that_do_not_fit_are_refused);
    tcase_add_test(tcase, transpose_moves_axes);
    tcase_add_test(tcase, transpose_without_permutation_reverses);
    tcase_add_test(tcase, a_permutation_with_a_repeated_axis_is_refused);
    tcase_add_test(tcase, concat_joins_along_an_axis);
    tcase_add_test(tcase, concat_of_other_extents_is_refused);
    tcase_add_loop_test(tcase, pad_puts_elements_around, 0,
                        sizeof(pad_cases) / sizeof(pad_cases[0]));
    tcase_add_test(tcase, pad_in_two_axes_fills_the_corners);
    tcase_add_loop_test(tcase, pads_that_make_no_sense_are_refused, 0,
                        sizeof(bad_pad_cases) / sizeof(bad_pad_cases[0]));
    tcase_add_loop_test(tcase, means_are_over_the_axes_given_or_all, 0,
                        sizeof(mean_cases) / sizeof(mean_cases[0]));
    tcase_add_test(tcase, softmax_is_along_one_axis_or_before_opset_13_along_all_the_rest);
    tcase_add_test(tcase, the_default_axis_of_softmax_changed_with_opset_13);
    tcase_add_test(tcase, softmax_of_large_numbers_does_not_overflow);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
