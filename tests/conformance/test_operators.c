/* Every operator, against differences.
 *
 * Law: for L = Σ weights · outputs, the derivative that exec_backward gives for every input and
 * every constant x[i] equals (L(x[i] + h) − L(x[i] − h)) / 2h up to its error: h²/6 · L''' from the
 * formula and the rounding of the outputs, ε · Σ |weights · outputs| / 2h.
 *
 * Inputs lie on a grid whose values are all different and none nearer than 2h to zero, to each
 * other or to the bounds that the cases use, so that no difference straddles a kink.
 *
 * A case per operator and variant; every operator of the table has at least one, but for those that
 * are listed as having no gradient. All float32 constants of a case are checked. */

#include "ptqd/base/rng.h"
#include "ptqd/nn/exec.h"
#include "ptqd/nn/op.h"

#include "graph_run.h"
#include "sketch.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double step = 0.005, grid = 0.037;
static const double tolerance = 2e-3; /* of 1 + |derivative|: ε · 100 / 2h, and room */
static const double warn_tolerance = 5e-4;

static struct error err;
static struct arena *arena;
static struct sketch sketch;

static void setup(void)
{
    arena = arena_create(1 << 26);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static int positive(const char *name, int64_t count)
{
    int index = -1;
    float values[16];
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.4F + 0.3F * (float)i;
    struct tensor tensor = {.name = name, .shape = SKETCH(count), .values = values};
    ck_assert_ok(graph_add_tensor(sketch.graph, &tensor, true, &index, &err), &err);
    return index;
}

/* Builders: the operator on x; constants that are to have gradients are the node's inputs. */

static int unary(int x, const char *op_type)
{
    return sketch_node(&sketch, op_type, "y", x, SKETCH_END);
}

static int with_constant(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(3, 1, 4));
    return sketch_node(&sketch, op_type, "y", x, w, SKETCH_END);
}

static int with_itself(int x, const char *op_type)
{
    return sketch_node(&sketch, op_type, "y", x, x, SKETCH_END);
}

static int constant_first(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(1, 3, 5, 4));
    return sketch_node(&sketch, op_type, "y", w, x, SKETCH_END);
}

static int with_scalar(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", (struct shape){.rank = 0});
    return sketch_node(&sketch, op_type, "y", x, w, SKETCH_END);
}

static int clip(int x, const char *op_type)
{
    sketch_real(&sketch, "min", -10 * grid);
    sketch_real(&sketch, "max", 12 * grid);
    return unary(x, op_type);
}

static int steep_hard_sigmoid(int x, const char *op_type)
{
    sketch_real(&sketch, "alpha", 0.5 / (6 * grid)); /* cuts at 6 · grid */
    sketch_real(&sketch, "beta", 0.5);
    return unary(x, op_type);
}

static int along_axis_1(int x, const char *op_type)
{
    sketch_int(&sketch, "axis", 1);
    return unary(x, op_type);
}

static int concat(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(1, 2, 5, 4));
    sketch_int(&sketch, "axis", 1);
    return sketch_node(&sketch, op_type, "y", x, w, x, SKETCH_END);
}

static int mean_over_some_axes(int x, const char *op_type)
{
    sketch_ints(&sketch, "axes", SKETCH(1, -1));
    return unary(x, op_type);
}

static int mean_without_axes(int x, const char *op_type)
{
    sketch_ints(&sketch, "axes", SKETCH(2, 3));
    sketch_int(&sketch, "keepdims", 0);
    return unary(x, op_type);
}

static int pad(int x, const char *op_type, const char *mode)
{
    int pads = sketch_integers(&sketch, "pads", SKETCH(0, 1, 2, 0, 0, 0, 1, 3));
    sketch_text(&sketch, "mode", mode);
    return sketch_node(&sketch, op_type, "y", x, pads, SKETCH_END);
}

static int pad_constant(int x, const char *op_type)
{
    return pad(x, op_type, "constant");
}

static int pad_edge(int x, const char *op_type)
{
    return pad(x, op_type, "edge");
}

static int pad_reflect(int x, const char *op_type)
{
    return pad(x, op_type, "reflect");
}

static int reshape(int x, const char *op_type)
{
    int shape = sketch_integers(&sketch, "shape", SKETCH(0, 4, -1));
    return sketch_node(&sketch, op_type, "y", x, shape, SKETCH_END);
}

static int squeeze(int x, const char *op_type)
{
    int axes = sketch_integers(&sketch, "axes", SKETCH(1));
    return sketch_node(&sketch, op_type, "y", x, axes, SKETCH_END);
}

static int unsqueeze(int x, const char *op_type)
{
    int axes = sketch_integers(&sketch, "axes", SKETCH(1, -1));
    return sketch_node(&sketch, op_type, "y", x, axes, SKETCH_END);
}

static int transpose(int x, const char *op_type)
{
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 3, 1));
    return unary(x, op_type);
}

static int conv_dense(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(2, 3, 3, 2));
    int b = sketch_constant(&sketch, "b", SKETCH(2));
    sketch_ints(&sketch, "pads", SKETCH(0, 0, 1, 1));
    sketch_ints(&sketch, "strides", SKETCH(2, 1));
    return sketch_node(&sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int conv_depthwise(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(3, 1, 2, 2));
    sketch_int(&sketch, "group", 3);
    sketch_ints(&sketch, "dilations", SKETCH(2, 2));
    return sketch_node(&sketch, op_type, "y", x, w, SKETCH_END);
}

static int conv_one_axis(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(2, 3, 3));
    int b = sketch_constant(&sketch, "b", SKETCH(2));
    sketch_ints(&sketch, "pads", SKETCH(1, 1));
    return sketch_node(&sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int pool(int x, const char *op_type)
{
    sketch_ints(&sketch, "kernel_shape", SKETCH(3, 2));
    sketch_ints(&sketch, "strides", SKETCH(2, 1));
    sketch_ints(&sketch, "pads", SKETCH(1, 0, 1, 1));
    return unary(x, op_type);
}

static int prelu_first_version(int x, const char *op_type)
{
    int slope = sketch_constant(&sketch, "slope", SKETCH(3));
    return sketch_node(&sketch, op_type, "y", x, slope, SKETCH_END);
}

static int slice_steps(int x, const char *op_type)
{
    int starts = sketch_integers(&sketch, "starts", SKETCH(1, -1));
    int ends = sketch_integers(&sketch, "ends", SKETCH(-1, INT64_MIN));
    int axes = sketch_integers(&sketch, "axes", SKETCH(-1, 1));
    int steps = sketch_integers(&sketch, "steps", SKETCH(1, -2));
    return sketch_node(&sketch, op_type, "y", x, starts, ends, axes, steps, SKETCH_END);
}

static int slice_attributes(int x, const char *op_type)
{
    sketch_ints(&sketch, "starts", SKETCH(0, 1, 1));
    sketch_ints(&sketch, "ends", SKETCH(INT64_MAX, 3, 5));
    return unary(x, op_type);
}

static int slice_channels(int x, const char *op_type)
{
    int starts = sketch_integers(&sketch, "starts", SKETCH(1));
    int ends = sketch_integers(&sketch, "ends", SKETCH(3));
    int axes = sketch_integers(&sketch, "axes", SKETCH(1));
    return sketch_node(&sketch, op_type, "y", sketch_channels_last(&sketch, "moved", x, 2), starts,
                       ends, axes, SKETCH_END);
}

static int prelu_channels(int x, const char *op_type)
{
    int slope = sketch_constant(&sketch, "slope", SKETCH(3, 1, 1));
    return sketch_node(&sketch, op_type, "y", sketch_channels_last(&sketch, "moved", x, 2), slope,
                       SKETCH_END);
}

/* The parts in another order, so that each is told from the others. */
static int join_backwards(const int *parts, int count, int64_t axis)
{
    int joined = parts[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        sketch_int(&sketch, "axis", axis);
        joined = sketch_node(&sketch, "Concat", "joined", joined, parts[i], SKETCH_END);
    }
    return joined;
}

static int split_lengths(int x, const char *op_type)
{
    int parts[3], lengths = sketch_integers(&sketch, "lengths", SKETCH(1, 3, 2));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, op_type, "parts", x, lengths, parts, 3);
    return join_backwards(parts, 3, 1);
}

static int split_equal(int x, const char *op_type)
{
    int parts[2];
    sketch_int(&sketch, "axis", -1);
    sketch_node_outputs(&sketch, op_type, "parts", x, NODE_ABSENT, parts, 2);
    return join_backwards(parts, 2, -1);
}

static int split_channels(int x, const char *op_type)
{
    int parts[3], moved = sketch_channels_last(&sketch, "moved", x, 2);
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, op_type, "parts", moved, NODE_ABSENT, parts, 3);
    return join_backwards(parts, 3, 1);
}

static int split_one_part_read(int x, const char *op_type)
{
    int parts[3], lengths = sketch_integers(&sketch, "lengths", SKETCH(1, 2, 3));
    sketch_int(&sketch, "axis", 1);
    sketch_node_outputs(&sketch, op_type, "parts", x, lengths, parts, 3);
    return sketch_node(&sketch, "Tanh", "y", parts[1], SKETCH_END);
}

static int batch_normalization(int x, const char *op_type)
{
    int scale = sketch_constant(&sketch, "scale", SKETCH(3));
    int bias = sketch_constant(&sketch, "bias", SKETCH(3));
    int mean = sketch_constant(&sketch, "mean", SKETCH(3));
    int variance = positive("variance", 3);
    return sketch_node(&sketch, op_type, "y", x, scale, bias, mean, variance, SKETCH_END);
}

static int gemm(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(4, 6));
    int b = sketch_constant(&sketch, "b", SKETCH(4));
    sketch_int(&sketch, "transB", 1);
    sketch_real(&sketch, "alpha", 0.5);
    sketch_real(&sketch, "beta", 2);
    return sketch_node(&sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int gemm_transposed(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(1, 4));
    sketch_int(&sketch, "transA", 1);
    return sketch_node(&sketch, op_type, "y", x, w, SKETCH_END);
}

static int matmul(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(6, 4));
    return sketch_node(&sketch, op_type, "y", x, w, SKETCH_END);
}

static int matmul_broadcast(int x, const char *op_type)
{
    int w = sketch_constant(&sketch, "w", SKETCH(2, 5));
    return sketch_node(&sketch, op_type, "y", w, x, SKETCH_END);
}

struct operator_case {
    const char *op_type;
    int (*build)(int x, const char *op_type);
    struct shape input;
    int64_t opset; /* 0: 13 */
    double scale;  /* of the grid of inputs; 0: 1 */
};

static const struct operator_case cases[] = {
    {.op_type = "Add", .build = with_constant, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Add", .build = with_itself, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Add", .build = constant_first, .input = {4, {1, 1, 5, 1}}},
    {.op_type = "Add", .build = with_scalar, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "AveragePool", .build = pool, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "BatchNormalization", .build = batch_normalization, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "BatchNormalization", .build = batch_normalization, .input = {2, {1, 3}}},
    {.op_type = "Clip", .build = clip, .input = {4, {1, 3, 5, 4}}, .opset = 6},
    {.op_type = "Clip", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Concat", .build = concat, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Conv", .build = conv_dense, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Conv", .build = conv_depthwise, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Conv", .build = conv_one_axis, .input = {3, {1, 3, 7}}},
    {.op_type = "Dropout", .build = unary, .input = {2, {1, 6}}},
    {.op_type = "Elu", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Flatten", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Gemm", .build = gemm, .input = {2, {1, 6}}},
    {.op_type = "Gemm", .build = gemm_transposed, .input = {2, {1, 6}}},
    {.op_type = "GlobalAveragePool", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "GlobalMaxPool", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "HardSigmoid", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "HardSigmoid", .build = steep_hard_sigmoid, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "HardSwish", .build = unary, .input = {4, {1, 3, 5, 4}}, .opset = 14, .scale = 5},
    {.op_type = "Identity", .build = unary, .input = {2, {1, 6}}},
    {.op_type = "LeakyRelu", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "LogSoftmax", .build = unary, .input = {2, {1, 6}}},
    {.op_type = "LogSoftmax", .build = along_axis_1, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "MatMul", .build = matmul, .input = {2, {1, 6}}},
    {.op_type = "MatMul", .build = matmul, .input = {3, {1, 5, 6}}},
    {.op_type = "MatMul", .build = matmul_broadcast, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "MaxPool", .build = pool, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Mul", .build = with_constant, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Mul", .build = with_itself, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Mul", .build = constant_first, .input = {4, {1, 1, 5, 1}}},
    {.op_type = "Mul", .build = with_scalar, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "PRelu", .build = with_constant, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "PRelu", .build = with_scalar, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "PRelu", .build = prelu_channels, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "PRelu", .build = prelu_first_version, .input = {4, {1, 3, 5, 4}}, .opset = 6},
    {.op_type = "Pad", .build = pad_constant, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Pad", .build = pad_edge, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Pad", .build = pad_reflect, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "ReduceMean", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "ReduceMean", .build = mean_over_some_axes, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "ReduceMean", .build = mean_without_axes, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Relu", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Reshape", .build = reshape, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Sigmoid", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Slice", .build = slice_steps, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Slice", .build = slice_steps, .input = {3, {1, 5, 4}}},
    {.op_type = "Slice", .build = slice_attributes, .input = {4, {1, 3, 5, 4}}, .opset = 9},
    {.op_type = "Slice", .build = slice_channels, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Softmax", .build = unary, .input = {2, {1, 6}}},
    {.op_type = "Softmax", .build = along_axis_1, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Softmax", .build = along_axis_1, .input = {4, {1, 3, 5, 4}}, .opset = 11},
    {.op_type = "Split", .build = split_lengths, .input = {4, {1, 6, 5, 4}}},
    {.op_type = "Split", .build = split_equal, .input = {2, {1, 6}}, .opset = 11},
    {.op_type = "Split", .build = split_channels, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Split", .build = split_one_part_read, .input = {3, {1, 6, 4}}},
    {.op_type = "Squeeze", .build = squeeze, .input = {3, {1, 1, 6}}},
    {.op_type = "Sub", .build = with_constant, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Sub", .build = constant_first, .input = {4, {1, 1, 5, 1}}},
    {.op_type = "Tanh", .build = unary, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Transpose", .build = transpose, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Transpose", .build = unary, .input = {3, {1, 5, 4}}},
    {.op_type = "Unsqueeze", .build = unsqueeze, .input = {2, {1, 6}}},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* Operators that make a value from nothing. */
static const char *const without_gradient[] = {"Constant"};

static bool is_without_gradient(const char *op_type)
{
    for (size_t i = 0; i < sizeof(without_gradient) / sizeof(without_gradient[0]); i++)
        if (strcmp(without_gradient[i], op_type) == 0)
            return true;
    return false;
}

START_TEST(every_operator_has_a_gradient_and_a_case)
{
    for (const struct op *const *row = op_table(); *row != NULL; row++) {
        const char *name = (*row)->name;
        bool found = is_without_gradient(name);
        ck_assert_msg(found == ((*row)->backward == NULL), "operator %s has %s gradient", name,
                      found ? "a" : "no");
        for (size_t i = 0; i < CASES; i++)
            found |= strcmp(cases[i].op_type, name) == 0;
        ck_assert_msg(found, "operator %s has no case", name);
    }
}
END_TEST

START_TEST(every_case_is_of_an_operator_with_a_gradient)
{
    const struct op *op = op_find(cases[_i].op_type);
    ck_assert_msg(op != NULL && op->backward != NULL, "%s", cases[_i].op_type);
}
END_TEST

/* Different values, (k + 1/2) · grid in random order. */
static float *grid_values(int64_t count, double scale)
{
    struct rng rng;
    rng_init(&rng, 11, 1);
    float *values = ARENA_ARRAY(arena, float, count, &err);
    int64_t *order = ARENA_ARRAY(arena, int64_t, count, &err);
    ck_assert(values != NULL && order != NULL);
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    rng_shuffle(&rng, order, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(scale * grid * ((double)(order[i] - count / 2) + 0.5));
    return values;
}

/* What is differentiated: a graph, its inputs, and the weights of the loss. */
struct trial {
    const char *op_type;
    struct graph *graph;
    struct exec *exec;
    int64_t samples;
    float *input;
    float *loss_weights;
    int64_t outputs;
    int constants; /* that the case was built with */
};

static double loss(const struct trial *trial)
{
    ck_assert_ok(exec_forward(trial->exec, trial->input, trial->samples, &err), &err);
    const float *output = exec_values(trial->exec, trial->graph->output);
    double sum = 0;
    for (int64_t i = 0; i < trial->outputs; i++)
        sum += (double)output[i] * (double)trial->loss_weights[i];
    return sum;
}

static double difference(const struct trial *trial, float *value)
{
    float before = *value;
    *value = (float)((double)before + step);
    double up = loss(trial), from = (double)*value;
    *value = (float)((double)before - step);
    double down = loss(trial), width = from - (double)*value;
    *value = before;
    return (up - down) / width;
}

/* All elements of a tensor; `values` is what the executor computes with. */
static void check_tensor(const struct trial *trial, int tensor, float *values)
{
    const struct tensor *t = &trial->graph->tensors[tensor];
    int64_t count = tensor_elements(t, trial->samples);
    const float *gradient = exec_gradient(trial->exec, tensor);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double expected = difference(trial, &values[i]);
        double error = fabs((double)gradient[i] - expected) / (1 + fabs(expected));
        ck_assert_msg(error <= tolerance, "%s: d loss / d %s[%lld] is %g, by differences %g",
                      trial->op_type, t->name, (long long)i, (double)gradient[i], expected);
        worst = fmax(worst, error);
    }
    if (worst > warn_tolerance)
        fprintf(stderr, "warning: %s: gradient of %s is off by %g\n", trial->op_type, t->name,
                worst);
}

static int count_constants(const struct graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->tensor_count; i++)
        count += graph->tensors[i].values != NULL;
    return count;
}

static struct trial trial_begin(const struct operator_case *c)
{
    sketch_init(&sketch, arena, c->opset != 0 ? c->opset : 13);
    int x = sketch_input(&sketch, "x", c->input);
    int y = c->build(x, c->op_type);
    struct trial trial = {.op_type = c->op_type, .constants = count_constants(sketch.graph)};
    trial.graph = sketch_finish(&sketch, y);
    trial.samples = trial.graph->batchable ? 2 : 1;
    trial.outputs = tensor_elements(&trial.graph->tensors[trial.graph->output], trial.samples);
    int64_t inputs = tensor_elements(&trial.graph->tensors[trial.graph->input], trial.samples);
    trial.input = grid_values(inputs, c->scale > 0 ? c->scale : 1);
    trial.loss_weights = graph_run_values(arena, trial.outputs, 5);
    struct exec_options options = {.batch = trial.samples, .gradients = true};
    ck_assert_ok(exec_create(trial.graph, &options, &trial.exec, &err), &err);
    return trial;
}

/* Constants that the graph reads get memory of their own, so that they can be changed. */
static float **own_constants(const struct trial *trial)
{
    const struct graph *graph = trial->graph;
    float **constants = ARENA_ARRAY(arena, float *, graph->tensor_count, &err);
    ck_assert_ptr_nonnull(constants);
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *t = &graph->tensors[i];
        if (t->values == NULL)
            continue;
        constants[i] =
            arena_memdup(arena, t->values, (size_t)shape_elements(&t->shape) * sizeof(float), &err);
        exec_set_constant(trial->exec, i, constants[i]);
        ck_assert_ok(exec_want_gradient(trial->exec, i, &err), &err);
    }
    return constants;
}

START_TEST(gradients_equal_differences)
{
    struct trial trial = trial_begin(&cases[_i]);
    float **constants = own_constants(&trial);
    ck_assert_ok(exec_want_gradient(trial.exec, trial.graph->input, &err), &err);
    (void)loss(&trial); /* the forward pass that the gradients are of */
    ck_assert_ok(exec_backward(trial.exec, trial.graph->output, trial.loss_weights, &err), &err);

    check_tensor(&trial, trial.graph->input, trial.input);
    int checked = 0;
    for (int i = 0; i < trial.graph->tensor_count; i++) {
        if (constants[i] == NULL)
            continue;
        check_tensor(&trial, i, constants[i]);
        checked++;
    }
    ck_assert_int_eq(checked, trial.constants);
    exec_destroy(trial.exec);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operators");
    TCase *tcase = tcase_create("gradients");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_operator_has_a_gradient_and_a_case);
    tcase_add_loop_test(tcase, every_case_is_of_an_operator_with_a_gradient, 0, CASES);
    tcase_add_loop_test(tcase, gradients_equal_differences, 0, CASES);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
