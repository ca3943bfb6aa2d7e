/* Elementwise operators against their formulas in float64, at both sides of every kink; NaN and
 * infinity; broadcasting against an index loop. Gradients are in tests/conformance. */

#include "ptqd/nn/clip.h"
#include "ptqd/nn/exec.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 24);
    sketch_init(&sketch, arena, 14);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : (x > high ? high : x);
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double leaky_relu(double x)
{
    return x < 0 ? 0.01 * x : x;
}

static double elu(double x)
{
    return x < 0 ? exp(x) - 1 : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double hard_sigmoid(double x)
{
    return clamp(0.2 * x + 0.5, 0, 1);
}

static double hard_swish(double x)
{
    return x * clamp(x / 6 + 0.5, 0, 1);
}

static double same(double x)
{
    return x;
}

struct unary_case {
    const char *op_type;
    double (*formula)(double x);
    double at_infinity, at_minus_infinity; /* limits */
};

static const struct unary_case unary_cases[] = {
    {"Relu", relu, INFINITY, 0},
    {"LeakyRelu", leaky_relu, INFINITY, -INFINITY},
    {"Elu", elu, INFINITY, -1},
    {"Sigmoid", sigmoid, 1, 0},
    {"Tanh", tanh, 1, -1},
    {"HardSigmoid", hard_sigmoid, 1, 0},
    {"HardSwish", hard_swish, INFINITY, NAN}, /* −∞ · 0 */
    {"Clip", same, INFINITY, -INFINITY},
    {"Identity", same, INFINITY, -INFINITY},
    {"Dropout", same, INFINITY, -INFINITY},
};

enum { UNARY_CASES = sizeof(unary_cases) / sizeof(unary_cases[0]) };

START_TEST(values_are_those_of_the_formula)
{
    enum { COUNT = 401 };
    const struct unary_case *c = &unary_cases[_i];
    int x = sketch_input(&sketch, "x", SKETCH(1, COUNT));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, c->op_type, "y", x, SKETCH_END));
    float input[COUNT], expected[COUNT];
    for (int i = 0; i < COUNT; i++) {
        input[i] = (float)(i - COUNT / 2) / 20;
        expected[i] = (float)c->formula((double)input[i]);
    }
    graph_run_compare(graph_run(arena, graph, input, 1), expected, COUNT, 2e-6);
}
END_TEST

START_TEST(nan_stays_nan_and_infinity_has_its_limit)
{
    const struct unary_case *c = &unary_cases[_i];
    int x = sketch_input(&sketch, "x", SKETCH(1, 3));
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, c->op_type, "y", x, SKETCH_END));
    const float input[3] = {NAN, INFINITY, -INFINITY};
    const float *y = graph_run(arena, graph, input, 1);
    ck_assert_msg(isnan(y[0]), "%s(NaN) is %g", c->op_type, (double)y[0]);
    ck_assert_msg((double)y[1] == c->at_infinity, "%s(∞) is %g", c->op_type, (double)y[1]);
    ck_assert_msg(isnan(c->at_minus_infinity) ? isnan(y[2]) : (double)y[2] == c->at_minus_infinity,
                  "%s(−∞) is %g", c->op_type, (double)y[2]);
}
END_TEST

START_TEST(parameters_of_activations_are_used)
{
    const float input[4] = {-2, -0.5F, 0.25F, 3};
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    sketch_real(&sketch, "alpha", 0.25);
    int a = sketch_node(&sketch, "LeakyRelu", "a", x, SKETCH_END);
    sketch_real(&sketch, "alpha", 2);
    int b = sketch_node(&sketch, "Elu", "b", a, SKETCH_END);
    sketch_real(&sketch, "alpha", 0.5);
    sketch_real(&sketch, "beta", 0.75);
    int y = sketch_node(&sketch, "HardSigmoid", "y", b, SKETCH_END);
    float expected[4];
    for (int i = 0; i < 4; i++) {
        double leaky = input[i] < 0 ? 0.25 * (double)input[i] : (double)input[i];
        double curve = leaky < 0 ? 2 * (exp(leaky) - 1) : leaky;
        expected[i] = (float)clamp(0.5 * curve + 0.75, 0, 1);
    }
    graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, 1), expected, 4, 1e-6);
}
END_TEST

/* Bounds as attributes (opset 6), as inputs (11 and later), one of them, low above high, or one
 * that does not cut. */
struct clip_case {
    int64_t opset;
    float low, high; /* NAN: not given */
    float expected[4];
};

static const struct clip_case clip_cases[] = {
    {6, -1, 1, {-1, -0.5F, 0.25F, 1}},     {13, -1, 1, {-1, -0.5F, 0.25F, 1}},
    {6, 0, NAN, {0, 0, 0.25F, 3}},         {13, NAN, 0, {-2, -0.5F, 0, 0}},
    {13, 0, NAN, {0, 0, 0.25F, 3}},        {13, 2, 1, {1, 1, 1, 1}},
    {13, -INFINITY, 0, {-2, -0.5F, 0, 0}},
};

START_TEST(clip_takes_its_bounds_from_attributes_or_inputs)
{
    const struct clip_case *c = &clip_cases[_i];
    sketch_init(&sketch, arena, c->opset);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4)), low = NODE_ABSENT, high = NODE_ABSENT;
    if (c->opset < 11) {
        if (!isnan(c->low))
            sketch_real(&sketch, "min", (double)c->low);
        if (!isnan(c->high))
            sketch_real(&sketch, "max", (double)c->high);
    } else {
        low = isnan(c->low) ? NODE_ABSENT : sketch_scalar(&sketch, "low", c->low);
        high = isnan(c->high) ? NODE_ABSENT : sketch_scalar(&sketch, "high", c->high);
    }
    struct graph *graph =
        sketch_finish(&sketch, sketch_node(&sketch, "Clip", "y", x, low, high, SKETCH_END));
    const float input[4] = {-2, -0.5F, 0.25F, 3};
    graph_run_compare(graph_run(arena, graph, input, 1), c->expected, 4, 0);

    float bottom, top;
    ck_assert(clip_bounds(&graph->nodes[0], &bottom, &top));
    ck_assert(isnan(c->low) ? isinf(bottom) : bottom == c->low);
    ck_assert(isnan(c->high) ? isinf(top) : top == c->high);
}
END_TEST

START_TEST(computed_bounds_are_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    sketch.graph->output = sketch_node(&sketch, "Clip", "y", x, x, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_UNSUPPORTED,
                    "node 'y' (Clip): input 1 'x' (min) is not a constant float32 scalar");
}
END_TEST

START_TEST(an_attribute_of_another_type_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    sketch_int(&sketch, "alpha", 1);
    sketch.graph->output = sketch_node(&sketch, "LeakyRelu", "y", x, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID,
                    "attribute 'alpha' is an integer; it must be a float");
}
END_TEST

START_TEST(dropout_in_training_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int ratio = sketch_scalar(&sketch, "ratio", 0.5F);
    int training = sketch_integers(&sketch, "training", SKETCH(1));
    sketch.graph->output = sketch_node(&sketch, "Dropout", "y", x, ratio, training, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_UNSUPPORTED, "only inference");
}
END_TEST

/* A slope per channel, written as each operator set has it; the file's order and channels-last. */
START_TEST(prelu_has_a_slope_below_zero)
{
    static const struct {
        int64_t opset;
        struct shape slope;
    } forms[] = {{6, {1, {2}}}, {7, {3, {2, 1, 1}}}, {16, {4, {1, 2, 1, 1}}}};
    const float input[8] = {1, -2, -3, 4, -1, 2, 3, -4}, slopes[2] = {0.5F, -0.25F};
    const float expected[8] = {1, -1, -1.5F, 4, 0.25F, 2, 3, 1};
    for (int i = 0; i < 6; i++) {
        sketch_init(&sketch, arena, forms[i / 2].opset);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 2, 2));
        if (i % 2 == 1)
            x = sketch_channels_last(&sketch, "moved", x, 2);
        struct tensor tensor = {.name = "slope", .shape = forms[i / 2].slope, .values = slopes};
        int slope;
        ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &slope, &err), &err);
        struct graph *graph =
            sketch_finish(&sketch, sketch_node(&sketch, "PRelu", "y", x, slope, SKETCH_END));
        graph_run_compare(graph_run(arena, graph, input, 1), expected, 8, 0);
    }
}
END_TEST

START_TEST(a_slope_that_is_computed_or_larger_than_the_input_is_refused)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4));
    sketch.graph->output = sketch_node(&sketch, "PRelu", "y", x, x, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_UNSUPPORTED,
                    "slope 'x' is computed; it must be a constant");
    sketch_init(&sketch, arena, 13);
    x = sketch_input(&sketch, "x", SKETCH(1, 4));
    int slope = sketch_constant(&sketch, "slope", SKETCH(3, 4));
    sketch.graph->output = sketch_node(&sketch, "PRelu", "y", x, slope, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_INVALID,
                    "slope 'slope' is 3x4; it must broadcast to the input's shape 1x4");
}
END_TEST

/* Shapes of b against a = 1x2x3x4, both orders of the operands. */
static const struct shape other_shapes[] = {
    {4, {1, 2, 3, 4}}, {4, {1, 1, 3, 1}}, {3, {2, 1, 4}}, {2, {3, 4}},
    {1, {4}},          {1, {1}},          {0, {0}},       {4, {1, 2, 1, 1}},
};

static double apply(char symbol, double a, double b)
{
    if (symbol == '+')
        return a + b;
    if (symbol == '/')
        return a / b;
    return symbol == '-' ? a - b : a * b;
}

START_TEST(operands_are_broadcast_as_in_numpy)
{
    enum { SAMPLES = 3, COUNT = 24 };
    static const char *const op_types[] = {"Add", "Sub", "Mul", "Div"};
    static const char symbols[] = {'+', '-', '*', '/'};
    struct shape shape = other_shapes[_i];
    struct shape full = SKETCH(1, 1, 1, 1);
    for (int i = 0; i < shape.rank; i++)
        full.dim[4 - shape.rank + i] = shape.dim[i];
    float *input = graph_run_values(arena, SAMPLES * COUNT, 4);

    for (int variant = 0; variant < 8; variant++) {
        bool swapped = variant >= 4;
        sketch_init(&sketch, arena, 13);
        int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3, 4));
        int b = sketch_constant(&sketch, "b", shape);
        const float *other = sketch.graph->tensors[b].values;
        int y = sketch_node(&sketch, op_types[variant % 4], "y", swapped ? b : x, swapped ? x : b,
                            SKETCH_END);
        float expected[SAMPLES * COUNT];
        for (int i = 0; i < SAMPLES * COUNT; i++) {
            int c = i / 12 % 2, h = i / 4 % 3, w = i % 4;
            int64_t at =
                (c % full.dim[1] * full.dim[2] + h % full.dim[2]) * full.dim[3] + w % full.dim[3];
            double left = (double)input[i], right = (double)other[at];
            expected[i] =
                (float)apply(symbols[variant % 4], swapped ? right : left, swapped ? left : right);
        }
        graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, SAMPLES), expected,
                          SAMPLES * COUNT, 0);
    }
}
END_TEST

/* Both operands are computed, and the second has extents of 1 that are repeated: a gate per
 * channel. */
START_TEST(computed_operands_are_broadcast_per_sample)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    sketch_ints(&sketch, "axes", SKETCH(2));
    int mean = sketch_node(&sketch, "ReduceMean", "mean", x, SKETCH_END);
    int y = sketch_node(&sketch, "Sub", "y", x, mean, SKETCH_END);
    const float input[12] = {1, 2, 3, 4, 5, 6, 10, 20, 30, 0, 0, 3};
    const float expected[12] = {-1, 0, 1, -1, 0, 1, -10, 0, 10, -1, -1, 2};
    graph_run_compare(graph_run(arena, sketch_finish(&sketch, y), input, 2), expected, 12, 1e-6);
}
END_TEST

START_TEST(broadcasting_of_middle_axes_before_opset_7_is_refused)
{
    sketch_init(&sketch, arena, 6);
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 3));
    int b = sketch_constant(&sketch, "b", SKETCH(2));
    sketch_int(&sketch, "broadcast", 1);
    sketch_int(&sketch, "axis", 1);
    sketch.graph->output = sketch_node(&sketch, "Add", "y", x, b, SKETCH_END);
    ck_assert_fails(graph_finish(sketch.graph, &err), &err, E_UNSUPPORTED,
                    "axis is 1 (opset 6 and before)");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_elementwise");
    TCase *tcase = tcase_create("values");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, values_are_those_of_the_formula, 0, UNARY_CASES);
    tcase_add_loop_test(tcase, nan_stays_nan_and_infinity_has_its_limit, 0, UNARY_CASES);
    tcase_add_test(tcase, parameters_of_activations_are_used);
    tcase_add_loop_test(tcase, clip_takes_its_bounds_from_attributes_or_inputs, 0,
                        sizeof(clip_cases) / sizeof(clip_cases[0]));
    tcase_add_test(tcase, computed_bounds_are_refused);
    tcase_add_test(tcase, an_attribute_of_another_type_is_refused);
    tcase_add_test(tcase, dropout_in_training_is_refused);
    tcase_add_test(tcase, prelu_has_a_slope_below_zero);
    tcase_add_test(tcase, a_slope_that_is_computed_or_larger_than_the_input_is_refused);
    tcase_add_loop_test(tcase, operands_are_broadcast_as_in_numpy, 0,
                        sizeof(other_shapes) / sizeof(other_shapes[0]));
    tcase_add_test(tcase, computed_operands_are_broadcast_per_sample);
    tcase_add_test(tcase, broadcasting_of_middle_axes_before_opset_7_is_refused);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
