/* Sketches of one operator each, mostly behind a convolution, so that it is channels-last. */

#include "sketch_cases.h"

#include <math.h>

static int unary(struct sketch *sketch, int x, const char *op_type)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    return sketch_node(sketch, op_type, "y", a, SKETCH_END);
}

static int build_relu(struct sketch *sketch, int x)
{
    return unary(sketch, x, "Relu");
}

static int build_sigmoid(struct sketch *sketch, int x)
{
    return unary(sketch, x, "Sigmoid");
}

static int build_tanh(struct sketch *sketch, int x)
{
    return unary(sketch, x, "Tanh");
}

static int build_hard_swish(struct sketch *sketch, int x)
{
    return unary(sketch, x, "HardSwish");
}

static int build_identity(struct sketch *sketch, int x)
{
    return unary(sketch, x, "Identity");
}

static int build_dropout(struct sketch *sketch, int x)
{
    sketch_real(sketch, "ratio", 0.3);
    return sketch_node(sketch, "Dropout", "y", x, SKETCH_END);
}

static int build_hard_sigmoid(struct sketch *sketch, int x)
{
    sketch_real(sketch, "alpha", 0.3);
    return sketch_node(sketch, "HardSigmoid", "y", x, SKETCH_END);
}

static int build_leaky_relu(struct sketch *sketch, int x)
{
    sketch_real(sketch, "alpha", 0.3);
    return sketch_node(sketch, "LeakyRelu", "y", x, SKETCH_END);
}

static int build_elu(struct sketch *sketch, int x)
{
    sketch_real(sketch, "alpha", 0.7);
    return sketch_node(sketch, "Elu", "y", x, SKETCH_END);
}

static int build_clip_attributes(struct sketch *sketch, int x)
{
    sketch_real(sketch, "min", -0.2);
    sketch_real(sketch, "max", 0.4);
    return sketch_node(sketch, "Clip", "y", x, SKETCH_END);
}

static int build_clip_above(struct sketch *sketch, int x)
{
    int max = sketch_scalar(sketch, "max", 0.25f);
    return sketch_node(sketch, "Clip", "y", x, NODE_ABSENT, max, SKETCH_END);
}

static int build_conv_1d(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "a", x, 4, 3, SKETCH(3));
    return sketch_conv(sketch, "b", a, 2, 4, SKETCH(2));
}

static int build_conv_grouped(struct sketch *sketch, int x)
{
    int weight = sketch_constant(sketch, "weight", SKETCH(6, 2, 3, 2));
    sketch_int(sketch, "group", 2);
    sketch_ints(sketch, "strides", SKETCH(2, 1));
    sketch_ints(sketch, "dilations", SKETCH(1, 2));
    sketch_ints(sketch, "pads", SKETCH(1, 0, 2, 1));
    return sketch_node(sketch, "Conv", "y", x, weight, SKETCH_END);
}

static int build_conv_depthwise(struct sketch *sketch, int x)
{
    int weight = sketch_constant(sketch, "weight", SKETCH(4, 1, 3, 3));
    int bias = sketch_constant(sketch, "bias", SKETCH(4));
    sketch_int(sketch, "group", 4);
    sketch_text(sketch, "auto_pad", "SAME_UPPER");
    return sketch_node(sketch, "Conv", "y", x, weight, bias, SKETCH_END);
}

static int build_max_pool(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "kernel_shape", SKETCH(3, 2));
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    sketch_ints(sketch, "pads", SKETCH(1, 0, 1, 1));
    return sketch_node(sketch, "MaxPool", "y", x, SKETCH_END);
}

static int build_average_pool(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "kernel_shape", SKETCH(2, 3));
    sketch_ints(sketch, "pads", SKETCH(0, 1, 0, 1));
    sketch_int(sketch, "count_include_pad", 1);
    return sketch_node(sketch, "AveragePool", "y", x, SKETCH_END);
}

static int build_global_pool(struct sketch *sketch, int x)
{
    int pool = sketch_node(sketch, "GlobalAveragePool", "pool", x, SKETCH_END);
    int flat = sketch_node(sketch, "Flatten", "flat", pool, SKETCH_END);
    int weight = sketch_constant(sketch, "fc.weight", SKETCH(5, 2));
    int bias = sketch_constant(sketch, "fc.bias", SKETCH(5));
    sketch_int(sketch, "transB", 1);
    sketch_real(sketch, "alpha", 0.5);
    return sketch_node(sketch, "Gemm", "y", flat, weight, bias, SKETCH_END);
}

static int build_flatten_matmul(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int flat = sketch_node(sketch, "Flatten", "flat", a, SKETCH_END);
    int weight = sketch_constant(sketch, "weight", SKETCH(90, 4));
    int product = sketch_node(sketch, "MatMul", "product", flat, weight, SKETCH_END);
    int bias = sketch_constant(sketch, "bias", SKETCH(4));
    return sketch_node(sketch, "Sub", "y", product, bias, SKETCH_END);
}

static int build_batch_normalization(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int scale = sketch_constant(sketch, "scale", SKETCH(3));
    int shift = sketch_constant(sketch, "shift", SKETCH(3));
    int mean = sketch_constant(sketch, "mean", SKETCH(3));
    int deviation = sketch_constant(sketch, "deviation", SKETCH(3));
    int variance = sketch_node(sketch, "Mul", "variance", deviation, deviation, SKETCH_END);
    sketch_real(sketch, "epsilon", 0.01);
    return sketch_node(sketch, "BatchNormalization", "y", a, scale, shift, mean, variance,
                       SKETCH_END);
}

static int build_broadcast(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int gain = sketch_constant(sketch, "gain", SKETCH(3, 1, 1));
    int scaled = sketch_node(sketch, "Mul", "scaled", a, gain, SKETCH_END);
    int column = sketch_constant(sketch, "column", SKETCH(6));
    int shifted = sketch_node(sketch, "Add", "shifted", scaled, column, SKETCH_END);
    return sketch_node(sketch, "Add", "y", shifted, a, SKETCH_END);
}

static int build_div(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int relu = sketch_node(sketch, "Relu", "relu", a, SKETCH_END);
    int unit = sketch_constant(sketch, "unit", SKETCH(3, 1, 1));
    int scaled = sketch_node(sketch, "Div", "scaled", relu, unit, SKETCH_END);
    int above =
        sketch_node(sketch, "Add", "above", relu, sketch_scalar(sketch, "one", 1.0f), SKETCH_END);
    return sketch_node(sketch, "Div", "y", scaled, above, SKETCH_END);
}

static int build_concat_channels(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "a", x, 3, 2, SKETCH(3, 3));
    int b = sketch_conv(sketch, "b", x, 2, 2, SKETCH(1, 1));
    sketch_int(sketch, "axis", 1);
    int joined = sketch_node(sketch, "Concat", "joined", a, b, x, SKETCH_END);
    sketch_int(sketch, "axis", -1);
    return sketch_node(sketch, "Concat", "y", joined, joined, SKETCH_END);
}

static int build_pad(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int pads = sketch_integers(sketch, "pads", SKETCH(0, 1, 0, 2, 0, 0, 3, 1));
    int value = sketch_scalar(sketch, "value", 0.5f);
    return sketch_node(sketch, "Pad", "y", a, pads, value, SKETCH_END);
}

/* What no maximum takes: how networks have the padding of a MaxPool that is uneven. */
static int build_pad_maximum(struct sketch *sketch, int x)
{
    int pads = sketch_integers(sketch, "pads", SKETCH(0, 0, 0, 0, 0, 0, 1, 1));
    int lowest = sketch_scalar(sketch, "lowest", -INFINITY);
    int padded = sketch_node(sketch, "Pad", "padded", x, pads, lowest, SKETCH_END);
    sketch_ints(sketch, "kernel_shape", SKETCH(3, 3));
    sketch_ints(sketch, "strides", SKETCH(2, 2));
    int pool = sketch_node(sketch, "MaxPool", "pool", padded, SKETCH_END);
    return sketch_conv(sketch, "y", pool, 3, 2, SKETCH(1, 1));
}

static int build_pad_attribute(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(sketch, "pads", SKETCH(0, 0, 1, 2, 0, 0, 3, 1));
    sketch_text(sketch, "mode", "reflect");
    return sketch_node(sketch, "Pad", "y", a, SKETCH_END);
}

static int build_prelu(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int slope = sketch_constant(sketch, "slope", SKETCH(3, 1, 1));
    return sketch_node(sketch, "PRelu", "y", a, slope, SKETCH_END);
}

/* A slope per channel as opset 6 has it, in the file's order. */
static int build_prelu_first_version(struct sketch *sketch, int x)
{
    int slope = sketch_constant(sketch, "slope", SKETCH(2));
    return sketch_node(sketch, "PRelu", "y", x, slope, SKETCH_END);
}

static int build_reduce_spatial(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(sketch, "axes", SKETCH(2, 3));
    sketch_int(sketch, "keepdims", 0);
    return sketch_node(sketch, "ReduceMean", "y", a, SKETCH_END);
}

static int build_reduce_channels(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(sketch, "axes", SKETCH(1));
    return sketch_node(sketch, "ReduceMean", "y", a, SKETCH_END);
}

static int build_reshape(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int shape = sketch_integers(sketch, "shape", SKETCH(1, 6, -1));
    return sketch_node(sketch, "Reshape", "y", a, shape, SKETCH_END);
}

static int build_squeeze(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "axes", SKETCH(1, -1));
    int wide = sketch_node(sketch, "Unsqueeze", "wide", x, SKETCH_END);
    return sketch_node(sketch, "Squeeze", "y", wide, SKETCH_END);
}

static int build_unsqueeze_input(struct sketch *sketch, int x)
{
    int axes = sketch_integers(sketch, "axes", SKETCH(2));
    int wide = sketch_node(sketch, "Unsqueeze", "wide", x, axes, SKETCH_END);
    return sketch_node(sketch, "Relu", "y", wide, SKETCH_END);
}

static int build_softmax(struct sketch *sketch, int x)
{
    return sketch_node(sketch, "Softmax", "y", x, SKETCH_END);
}

static int build_softmax_channels(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_int(sketch, "axis", 1);
    return sketch_node(sketch, "LogSoftmax", "y", a, SKETCH_END);
}

static int build_transpose(struct sketch *sketch, int x)
{
    int a = sketch_conv(sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(sketch, "perm", SKETCH(0, 2, 3, 1));
    int turned = sketch_node(sketch, "Transpose", "turned", a, SKETCH_END);
    int relu = sketch_node(sketch, "Relu", "relu", turned, SKETCH_END);
    sketch_ints(sketch, "perm", SKETCH(0, 3, 2, 1));
    return sketch_node(sketch, "Transpose", "y", relu, SKETCH_END);
}

/* The order of a TFLite file: its convolutions stand between transposes. */
static int build_channels_last_file(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "perm", SKETCH(0, 3, 1, 2));
    int moved = sketch_node(sketch, "Transpose", "x:nchw", x, SKETCH_END);
    int a = sketch_conv(sketch, "a:nchw", moved, 3, 6, SKETCH(3, 3));
    sketch_ints(sketch, "perm", SKETCH(0, 2, 3, 1));
    int back = sketch_node(sketch, "Transpose", "a", a, SKETCH_END);
    int relu = sketch_node(sketch, "Relu", "relu", back, SKETCH_END);
    int shape = sketch_integers(sketch, "shape", SKETCH(-1, 30));
    return sketch_node(sketch, "Reshape", "y", relu, shape, SKETCH_END);
}

/* An output that is the input but for an exchange of the program's own. */
static int build_two_transposes(struct sketch *sketch, int x)
{
    sketch_ints(sketch, "perm", SKETCH(0, 2, 3, 1));
    int turned = sketch_node(sketch, "Transpose", "turned", x, SKETCH_END);
    sketch_ints(sketch, "perm", SKETCH(0, 3, 1, 2));
    return sketch_node(sketch, "Transpose", "y", turned, SKETCH_END);
}

static const struct sketch_case rows[] = {
    {"average_pool", 13, {1, 2, 5, 6}, build_average_pool},
    {"batch_normalization", 13, {1, 2, 5, 6}, build_batch_normalization},
    {"broadcast", 13, {1, 2, 5, 6}, build_broadcast},
    {"channels_last_file", 13, {1, 5, 2, 6}, build_channels_last_file},
    {"clip_above", 13, {1, 2, 5, 6}, build_clip_above},
    {"clip_attributes", 6, {1, 2, 5, 6}, build_clip_attributes},
    {"concat_channels", 13, {1, 2, 5, 6}, build_concat_channels},
    {"conv_1d", 13, {1, 3, 8}, build_conv_1d},
    {"conv_depthwise", 13, {1, 4, 7, 6}, build_conv_depthwise},
    {"conv_grouped", 13, {1, 4, 7, 6}, build_conv_grouped},
    {"div", 13, {1, 2, 5, 6}, build_div},
    {"dropout", 7, {1, 2, 5, 6}, build_dropout},
    {"elu", 13, {1, 2, 5, 6}, build_elu},
    {"flatten_matmul", 13, {1, 2, 5, 6}, build_flatten_matmul},
    {"global_pool", 13, {1, 2, 5, 6}, build_global_pool},
    {"hard_sigmoid", 13, {1, 2, 5, 6}, build_hard_sigmoid},
    {"hard_swish", 14, {1, 2, 5, 6}, build_hard_swish},
    {"identity", 13, {1, 2, 5, 6}, build_identity},
    {"leaky_relu", 13, {1, 2, 5, 6}, build_leaky_relu},
    {"max_pool", 13, {1, 4, 7, 6}, build_max_pool},
    {"pad", 13, {1, 2, 5, 6}, build_pad},
    {"pad_attribute", 10, {1, 2, 5, 6}, build_pad_attribute},
    {"pad_maximum", 13, {1, 2, 5, 6}, build_pad_maximum},
    {"prelu", 13, {1, 2, 5, 6}, build_prelu},
    {"prelu_first_version", 6, {1, 2, 5, 6}, build_prelu_first_version},
    {"reduce_channels", 13, {1, 2, 5, 6}, build_reduce_channels},
    {"reduce_spatial", 13, {1, 2, 5, 6}, build_reduce_spatial},
    {"relu", 13, {1, 2, 5, 6}, build_relu},
    {"reshape", 13, {1, 2, 5, 6}, build_reshape},
    {"sigmoid", 13, {1, 2, 5, 6}, build_sigmoid},
    {"softmax", 13, {1, 3, 8}, build_softmax},
    {"softmax_channels", 13, {1, 2, 5, 6}, build_softmax_channels},
    {"softmax_coerced", 11, {1, 3, 8}, build_softmax},
    {"squeeze", 11, {1, 3, 8}, build_squeeze},
    {"tanh", 13, {1, 2, 5, 6}, build_tanh},
    {"transpose", 13, {1, 2, 5, 6}, build_transpose},
    {"two_transposes", 13, {1, 2, 5, 6}, build_two_transposes},
    {"unsqueeze_input", 13, {1, 3, 8}, build_unsqueeze_input},
};

const struct sketch_cases sketch_cases_plain = {rows, sizeof(rows) / sizeof(rows[0])};
