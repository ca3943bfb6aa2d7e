/* Builders: the operator on x; constants that are to have gradients are inputs of a node. */

#include "operator_cases.h"

#include "support.h"

const double operator_case_grid = 0.037;

static int positive(struct sketch *sketch, const char *name, int64_t count)
{
    struct error err;
    int index = -1;
    float values[16];
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.4F + 0.3F * (float)i;
    struct tensor tensor = {.name = name, .shape = SKETCH(count), .values = values};
    ck_assert_ok(graph_add_tensor(sketch->graph, &tensor, true, &index, &err), &err);
    return index;
}

static int unary(struct sketch *sketch, int x, const char *op_type)
{
    return sketch_node(sketch, op_type, "y", x, SKETCH_END);
}

static int with_constant(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(3, 1, 4));
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

static int with_itself(struct sketch *sketch, int x, const char *op_type)
{
    return sketch_node(sketch, op_type, "y", x, x, SKETCH_END);
}

static int constant_first(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(1, 3, 5, 4));
    return sketch_node(sketch, op_type, "y", w, x, SKETCH_END);
}

static int with_scalar(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", (struct shape){.rank = 0});
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

/* x² + 1: the slope of a quotient by less changes within a step. */
static int far_from_zero(struct sketch *sketch, int x)
{
    int square = sketch_node(sketch, "Mul", "square", x, x, SKETCH_END);
    return sketch_node(sketch, "Add", "far", square, sketch_scalar(sketch, "one", 1.0f),
                       SKETCH_END);
}

static int over_far_from_zero(struct sketch *sketch, int x, const char *op_type)
{
    return sketch_node(sketch, op_type, "y", x, far_from_zero(sketch, x), SKETCH_END);
}

static int constant_over_far_from_zero(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(1, 3, 5, 4));
    return sketch_node(sketch, op_type, "y", w, far_from_zero(sketch, x), SKETCH_END);
}

static int clip(struct sketch *sketch, int x, const char *op_type)
{
    sketch_real(sketch, "min", -10 * operator_case_grid);
    sketch_real(sketch, "max", 12 * operator_case_grid);
    return unary(sketch, x, op_type);
}

static int steep_hard_sigmoid(struct sketch *sketch, int x, const char *op_type)
{
    sketch_real(sketch, "alpha", 0.5 / (6 * operator_case_grid)); /* cuts at 6 · grid */
    sketch_real(sketch, "beta", 0.5);
    return unary(sketch, x, op_type);
}

static int along_axis_1(struct sketch *sketch, int x, const char *op_type)
{
    sketch_int(sketch, "axis", 1);
    return unary(sketch, x, op_type);
}

static int concat(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(1, 2, 5, 4));
    sketch_int(sketch, "axis", 1);
    return sketch_node(sketch, op_type, "y", x, w, x, SKETCH_END);
}

static int mean_over_some_axes(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "axes", SKETCH(1, -1));
    return unary(sketch, x, op_type);
}

static int mean_without_axes(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "axes", SKETCH(2, 3));
    sketch_int(sketch, "keepdims", 0);
    return unary(sketch, x, op_type);
}

static int pad(struct sketch *sketch, int x, const char *op_type, const char *mode)
{
    int pads = sketch_integers(sketch, "pads", SKETCH(0, 1, 2, 0, 0, 0, 1, 3));
    sketch_text(sketch, "mode", mode);
    return sketch_node(sketch, op_type, "y", x, pads, SKETCH_END);
}

static int pad_constant(struct sketch *sketch, int x, const char *op_type)
{
    return pad(sketch, x, op_type, "constant");
}

static int pad_edge(struct sketch *sketch, int x, const char *op_type)
{
    return pad(sketch, x, op_type, "edge");
}

static int pad_reflect(struct sketch *sketch, int x, const char *op_type)
{
    return pad(sketch, x, op_type, "reflect");
}

static int reshape(struct sketch *sketch, int x, const char *op_type)
{
    int shape = sketch_integers(sketch, "shape", SKETCH(0, 4, -1));
    return sketch_node(sketch, op_type, "y", x, shape, SKETCH_END);
}

static int squeeze(struct sketch *sketch, int x, const char *op_type)
{
    int axes = sketch_integers(sketch, "axes", SKETCH(1));
    return sketch_node(sketch, op_type, "y", x, axes, SKETCH_END);
}

static int unsqueeze(struct sketch *sketch, int x, const char *op_type)
{
    int axes = sketch_integers(sketch, "axes", SKETCH(1, -1));
    return sketch_node(sketch, op_type, "y", x, axes, SKETCH_END);
}

static int transpose(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "perm", SKETCH(0, 2, 3, 1));
    return unary(sketch, x, op_type);
}

static int conv_dense(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(2, 3, 3, 2));
    int b = sketch_constant(sketch, "b", SKETCH(2));
    sketch_ints(sketch, "pads", SKETCH(0, 0, 1, 1));
    sketch_ints(sketch, "strides", SKETCH(2, 1));
    return sketch_node(sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int conv_depthwise(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(3, 1, 2, 2));
    sketch_int(sketch, "group", 3);
    sketch_ints(sketch, "dilations", SKETCH(2, 2));
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

static int conv_one_axis(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(2, 3, 3));
    int b = sketch_constant(sketch, "b", SKETCH(2));
    sketch_ints(sketch, "pads", SKETCH(1, 1));
    return sketch_node(sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int transposed_conv(struct sketch *sketch, int x, const char *op_type, struct shape weights,
                           int64_t K)
{
    int w = sketch_constant(sketch, "w", weights);
    int b = sketch_constant(sketch, "b", SKETCH(K));
    return sketch_node(sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int conv_transpose_dense(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "strides", SKETCH(2, 3));
    sketch_ints(sketch, "pads", SKETCH(0, 1, 1, 0));
    sketch_ints(sketch, "output_padding", SKETCH(1, 2));
    return transposed_conv(sketch, x, op_type, SKETCH(3, 2, 3, 2), 2);
}

static int conv_transpose_grouped(struct sketch *sketch, int x, const char *op_type)
{
    sketch_int(sketch, "group", 2);
    sketch_ints(sketch, "dilations", SKETCH(2, 1));
    return transposed_conv(sketch, x, op_type, SKETCH(4, 3, 2, 2), 6);
}

static int conv_transpose_depthwise(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(3, 1, 3, 3));
    sketch_int(sketch, "group", 3);
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    sketch_text(sketch, "auto_pad", "SAME_UPPER");
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

static int conv_transpose_one_axis(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "strides", SKETCH(2));
    sketch_ints(sketch, "output_shape", SKETCH(13));
    return transposed_conv(sketch, x, op_type, SKETCH(3, 2, 4), 2);
}

static int pool(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "kernel_shape", SKETCH(3, 2));
    sketch_ints(sketch, "strides", SKETCH(2, 1));
    sketch_ints(sketch, "pads", SKETCH(1, 0, 1, 1));
    return unary(sketch, x, op_type);
}

static int prelu_first_version(struct sketch *sketch, int x, const char *op_type)
{
    int slope = sketch_constant(sketch, "slope", SKETCH(3));
    return sketch_node(sketch, op_type, "y", x, slope, SKETCH_END);
}

static int resize_sizes(struct sketch *sketch, int x, const char *op_type, const char *mode,
                        struct shape extents)
{
    int sizes = sketch_integers(sketch, "sizes", extents);
    sketch_text(sketch, "mode", mode);
    return sketch_node(sketch, op_type, "y", x, NODE_ABSENT, NODE_ABSENT, sizes, SKETCH_END);
}

/* One axis shrinks, the other grows. */
static int resize_linear(struct sketch *sketch, int x, const char *op_type)
{
    return resize_sizes(sketch, x, op_type, "linear", SKETCH(1, 3, 8, 3));
}

static int resize_linear_channels_last(struct sketch *sketch, int x, const char *op_type)
{
    return resize_sizes(sketch, sketch_channels_last(sketch, "moved", x, 2), op_type, "linear",
                        SKETCH(1, 3, 3, 9));
}

static int resize_nearest(struct sketch *sketch, int x, const char *op_type)
{
    return resize_sizes(sketch, x, op_type, "nearest", SKETCH(1, 3, 2, 7));
}

static int resize_aligned(struct sketch *sketch, int x, const char *op_type)
{
    sketch_text(sketch, "coordinate_transformation_mode", "align_corners");
    return resize_sizes(sketch, x, op_type, "linear", SKETCH(1, 4, 7));
}

static int resize_one_axis(struct sketch *sketch, int x, const char *op_type)
{
    sketch_text(sketch, "coordinate_transformation_mode", "asymmetric");
    return resize_sizes(sketch, x, op_type, "linear", SKETCH(1, 3, 5, 11));
}

static int resize_nothing(struct sketch *sketch, int x, const char *op_type)
{
    return resize_sizes(sketch, x, op_type, "linear", SKETCH(1, 3, 5, 4));
}

static int slice_steps(struct sketch *sketch, int x, const char *op_type)
{
    int starts = sketch_integers(sketch, "starts", SKETCH(1, -1));
    int ends = sketch_integers(sketch, "ends", SKETCH(-1, INT64_MIN));
    int axes = sketch_integers(sketch, "axes", SKETCH(-1, 1));
    int steps = sketch_integers(sketch, "steps", SKETCH(1, -2));
    return sketch_node(sketch, op_type, "y", x, starts, ends, axes, steps, SKETCH_END);
}

static int slice_attributes(struct sketch *sketch, int x, const char *op_type)
{
    sketch_ints(sketch, "starts", SKETCH(0, 1, 1));
    sketch_ints(sketch, "ends", SKETCH(INT64_MAX, 3, 5));
    return unary(sketch, x, op_type);
}

static int slice_channels(struct sketch *sketch, int x, const char *op_type)
{
    int starts = sketch_integers(sketch, "starts", SKETCH(1));
    int ends = sketch_integers(sketch, "ends", SKETCH(3));
    int axes = sketch_integers(sketch, "axes", SKETCH(1));
    return sketch_node(sketch, op_type, "y", sketch_channels_last(sketch, "moved", x, 2), starts,
                       ends, axes, SKETCH_END);
}

static int prelu_channels(struct sketch *sketch, int x, const char *op_type)
{
    int slope = sketch_constant(sketch, "slope", SKETCH(3, 1, 1));
    return sketch_node(sketch, op_type, "y", sketch_channels_last(sketch, "moved", x, 2), slope,
                       SKETCH_END);
}

/* The parts in another order, so that each is told from the others. */
static int join_backwards(struct sketch *sketch, const int *parts, int count, int64_t axis)
{
    int joined = parts[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        sketch_int(sketch, "axis", axis);
        joined = sketch_node(sketch, "Concat", "joined", joined, parts[i], SKETCH_END);
    }
    return joined;
}

static int split_lengths(struct sketch *sketch, int x, const char *op_type)
{
    int parts[3], lengths = sketch_integers(sketch, "lengths", SKETCH(1, 3, 2));
    sketch_int(sketch, "axis", 1);
    sketch_node_outputs(sketch, op_type, "parts", x, lengths, parts, 3);
    return join_backwards(sketch, parts, 3, 1);
}

static int split_equal(struct sketch *sketch, int x, const char *op_type)
{
    int parts[2];
    sketch_int(sketch, "axis", -1);
    sketch_node_outputs(sketch, op_type, "parts", x, NODE_ABSENT, parts, 2);
    return join_backwards(sketch, parts, 2, -1);
}

static int split_channels(struct sketch *sketch, int x, const char *op_type)
{
    int parts[3], moved = sketch_channels_last(sketch, "moved", x, 2);
    sketch_int(sketch, "axis", 1);
    sketch_node_outputs(sketch, op_type, "parts", moved, NODE_ABSENT, parts, 3);
    return join_backwards(sketch, parts, 3, 1);
}

static int split_one_part_read(struct sketch *sketch, int x, const char *op_type)
{
    int parts[3], lengths = sketch_integers(sketch, "lengths", SKETCH(1, 2, 3));
    sketch_int(sketch, "axis", 1);
    sketch_node_outputs(sketch, op_type, "parts", x, lengths, parts, 3);
    return sketch_node(sketch, "Tanh", "y", parts[1], SKETCH_END);
}

static int batch_normalization(struct sketch *sketch, int x, const char *op_type)
{
    int scale = sketch_constant(sketch, "scale", SKETCH(3));
    int bias = sketch_constant(sketch, "bias", SKETCH(3));
    int mean = sketch_constant(sketch, "mean", SKETCH(3));
    int variance = positive(sketch, "variance", 3);
    return sketch_node(sketch, op_type, "y", x, scale, bias, mean, variance, SKETCH_END);
}

static int gemm(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(4, 6));
    int b = sketch_constant(sketch, "b", SKETCH(4));
    sketch_int(sketch, "transB", 1);
    sketch_real(sketch, "alpha", 0.5);
    sketch_real(sketch, "beta", 2);
    return sketch_node(sketch, op_type, "y", x, w, b, SKETCH_END);
}

static int gemm_transposed(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(1, 4));
    sketch_int(sketch, "transA", 1);
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

static int matmul(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(6, 4));
    return sketch_node(sketch, op_type, "y", x, w, SKETCH_END);
}

static int matmul_broadcast(struct sketch *sketch, int x, const char *op_type)
{
    int w = sketch_constant(sketch, "w", SKETCH(2, 5));
    return sketch_node(sketch, op_type, "y", w, x, SKETCH_END);
}

const struct operator_case operator_cases[] = {
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
    {.op_type = "ConvTranspose", .build = conv_transpose_dense, .input = {4, {1, 3, 4, 3}}},
    {.op_type = "ConvTranspose", .build = conv_transpose_grouped, .input = {4, {1, 4, 4, 3}}},
    {.op_type = "ConvTranspose", .build = conv_transpose_depthwise, .input = {4, {1, 3, 4, 3}}},
    {.op_type = "ConvTranspose", .build = conv_transpose_one_axis, .input = {3, {1, 3, 7}}},
    {.op_type = "Div", .build = over_far_from_zero, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Div", .build = constant_over_far_from_zero, .input = {4, {1, 1, 5, 1}}},
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
    {.op_type = "Resize", .build = resize_linear, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Resize", .build = resize_linear_channels_last, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Resize", .build = resize_nearest, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Resize", .build = resize_aligned, .input = {3, {1, 4, 5}}},
    {.op_type = "Resize", .build = resize_one_axis, .input = {4, {1, 3, 5, 4}}},
    {.op_type = "Resize", .build = resize_nothing, .input = {4, {1, 3, 5, 4}}},
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

const int operator_case_count = sizeof(operator_cases) / sizeof(operator_cases[0]);
