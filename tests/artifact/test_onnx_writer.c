/* The ONNX writer, read back through the protobuf messages. */

#include "ptqd/artifact/onnx_writer.h"

#include "ptqd/nn/op.h"
#include "ptqd/quant/bias.h"

#include "onnx.pb-c.h"
#include "sketch.h"
#include "support.h"

#include <math.h>
#include <string.h>

static struct arena *arena;
static struct sketch sketch;
static struct error err;
static Onnx__ModelProto *model;

static void setup(void)
{
    arena = arena_create(0);
    model = NULL;
    sketch_init(&sketch, arena, 13);
}

static void teardown(void)
{
    onnx__model_proto__free_unpacked(model, NULL);
    arena_destroy(arena);
}

static void unpack(const uint8_t *bytes, size_t size)
{
    model = onnx__model_proto__unpack(NULL, size, bytes);
    ck_assert_ptr_nonnull(model);
}

static void write_float(int output)
{
    const uint8_t *bytes;
    size_t size;
    struct graph *graph = sketch_finish(&sketch, output);
    ck_assert_ok(onnx_write_graph(arena, graph, "0.1.0", &bytes, &size, &err), &err);
    unpack(bytes, size);
}

static Onnx__NodeProto *find_node(const char *name)
{
    for (size_t i = 0; i < model->graph->n_node; i++)
        if (strcmp(model->graph->node[i]->name, name) == 0)
            return model->graph->node[i];
    ck_abort_msg("there is no node '%s'", name);
    return NULL;
}

static Onnx__NodeProto *find_producer(const char *tensor)
{
    for (size_t i = 0; i < model->graph->n_node; i++)
        for (size_t j = 0; j < model->graph->node[i]->n_output; j++)
            if (strcmp(model->graph->node[i]->output[j], tensor) == 0)
                return model->graph->node[i];
    return NULL;
}

static Onnx__TensorProto *find_initializer(const char *name)
{
    for (size_t i = 0; i < model->graph->n_initializer; i++)
        if (strcmp(model->graph->initializer[i]->name, name) == 0)
            return model->graph->initializer[i];
    ck_abort_msg("there is no initializer '%s'", name);
    return NULL;
}

static const Onnx__AttributeProto *find_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

/* A float32 of raw_data, which may not be aligned. */
static float read_f32(const Onnx__TensorProto *tensor, int64_t index)
{
    float value;
    memcpy(&value, tensor->raw_data.data + (size_t)index * sizeof(value), sizeof(value));
    return value;
}

static void check_equal(float a, float b)
{
    ck_assert_double_eq((double)a, (double)b);
}

static int32_t read_i32(const Onnx__TensorProto *tensor, int64_t index)
{
    int32_t value;
    memcpy(&value, tensor->raw_data.data + (size_t)index * sizeof(value), sizeof(value));
    return value;
}

static int64_t read_i64(const Onnx__TensorProto *tensor, int64_t index)
{
    int64_t value;
    memcpy(&value, tensor->raw_data.data + (size_t)index * sizeof(value), sizeof(value));
    return value;
}

static void check_chain(const char *const *op_types, size_t count)
{
    ck_assert_uint_eq(model->graph->n_node, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(model->graph->node[i]->op_type, op_types[i]);
}

#define CHECK_CHAIN(...)                                                                           \
    check_chain((const char *const[]){__VA_ARGS__},                                                \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

START_TEST(a_float_network_leaves_in_the_order_of_onnx)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 3, 4, 6));
    int a = sketch_conv(&sketch, "conv", x, 2, 3, SKETCH(3, 3));
    int output = sketch_node(&sketch, "Relu", "y", a, SKETCH_END);
    write_float(output);
    ck_assert_int_eq(model->ir_version, 7);
    ck_assert_uint_eq(model->n_opset_import, 1);
    ck_assert_int_eq(model->opset_import[0]->version, 13);
    CHECK_CHAIN("Conv", "Relu");
    ck_assert_str_eq(find_node("conv")->input[0], "x");
    ck_assert_str_eq(find_node("y")->output[0], "y");

    const Onnx__TypeProto__Tensor *type = model->graph->input[0]->type->tensor_type;
    ck_assert_str_eq(type->shape->dim[0]->dim_param, "N");
    ck_assert_int_eq(type->shape->dim[1]->dim_value, 3);
    ck_assert_int_eq(type->shape->dim[3]->dim_value, 6);
    ck_assert_str_eq(model->graph->output[0]->name, "y");
    type = model->graph->output[0]->type->tensor_type;
    ck_assert_int_eq(type->shape->dim[1]->dim_value, 2);

    /* the weights as they were added, before the graph moved them */
    struct sketch again;
    sketch_init(&again, arena, 13);
    int weight = sketch_constant(&again, "conv.weight", SKETCH(2, 3, 3, 3));
    const Onnx__TensorProto *written = find_initializer("conv.weight");
    ck_assert_int_eq(written->dims[1], 3);
    ck_assert_mem_eq(written->raw_data.data, again.graph->tensors[weight].values,
                     written->raw_data.len);
}
END_TEST

START_TEST(changes_of_layout_vanish_before_a_flatten)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int a = sketch_conv(&sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int flat = sketch_node(&sketch, "Flatten", "flat", a, SKETCH_END);
    int weight = sketch_constant(&sketch, "fc.weight", SKETCH(48, 5));
    write_float(sketch_node(&sketch, "MatMul", "fc", flat, weight, SKETCH_END));
    CHECK_CHAIN("Conv", "Flatten", "MatMul");
    ck_assert_str_eq(find_node("flat")->input[0], "conv");
}
END_TEST

START_TEST(a_transpose_of_the_model_stays)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 6));
    int a = sketch_conv(&sketch, "conv", x, 3, 2, SKETCH(3, 3));
    sketch_ints(&sketch, "perm", SKETCH(0, 2, 3, 1));
    write_float(sketch_node(&sketch, "Transpose", "turned", a, SKETCH_END));
    CHECK_CHAIN("Conv", "Transpose");
    const Onnx__AttributeProto *perm = find_attribute(find_node("turned"), "perm");
    ck_assert_uint_eq(perm->n_ints, 4);
    ck_assert_mem_eq(perm->ints, ((int64_t[]){0, 2, 3, 1}), 4 * sizeof(int64_t));
}
END_TEST

START_TEST(axes_and_pads_are_those_of_the_file)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 6));
    int a = sketch_conv(&sketch, "conv", x, 3, 2, SKETCH(3, 3));
    int pads = sketch_integers(&sketch, "pads", SKETCH(0, 0, 1, 2, 0, 0, 3, 4));
    int padded = sketch_node(&sketch, "Pad", "padded", a, pads, SKETCH_END);
    int gain = sketch_constant(&sketch, "gain", SKETCH(3, 1, 1));
    int scaled = sketch_node(&sketch, "Mul", "scaled", padded, gain, SKETCH_END);
    sketch_int(&sketch, "axis", -3);
    int joined = sketch_node(&sketch, "Concat", "joined", padded, scaled, SKETCH_END);
    sketch_ints(&sketch, "axes", SKETCH(2, -1));
    write_float(sketch_node(&sketch, "ReduceMean", "mean", joined, SKETCH_END));
    CHECK_CHAIN("Conv", "Pad", "Mul", "Concat", "ReduceMean");
    const Onnx__TensorProto *written = find_initializer(find_node("padded")->input[1]);
    ck_assert_mem_eq(written->raw_data.data, ((int64_t[]){0, 0, 1, 2, 0, 0, 3, 4}),
                     8 * sizeof(int64_t));
    ck_assert_int_eq(find_attribute(find_node("joined"), "axis")->i, 1);
    const Onnx__AttributeProto *axes = find_attribute(find_node("mean"), "axes");
    ck_assert_uint_eq(axes->n_ints, 2);
    ck_assert_int_eq(axes->ints[0] + axes->ints[1], 5);
    const Onnx__TensorProto *factor = find_initializer(find_node("scaled")->input[1]);
    ck_assert_int_eq(factor->dims[factor->n_dims - 3], 3);
}
END_TEST

START_TEST(what_was_an_attribute_before_opset_13_is_an_input)
{
    sketch_init(&sketch, arena, 9);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 1));
    sketch_real(&sketch, "min", -1.0);
    sketch_real(&sketch, "max", 2.0);
    int clipped = sketch_node(&sketch, "Clip", "clipped", x, SKETCH_END);
    sketch_ints(&sketch, "axes", SKETCH(2));
    int squeezed = sketch_node(&sketch, "Squeeze", "squeezed", clipped, SKETCH_END);
    write_float(sketch_node(&sketch, "Softmax", "y", squeezed, SKETCH_END));
    CHECK_CHAIN("Clip", "Squeeze", "Softmax");
    const Onnx__NodeProto *clip = find_node("clipped");
    ck_assert_uint_eq(clip->n_attribute, 0);
    check_equal(read_f32(find_initializer(clip->input[1]), 0), -1.0f);
    check_equal(read_f32(find_initializer(clip->input[2]), 0), 2.0f);
    ck_assert_int_eq(read_i64(find_initializer(find_node("squeezed")->input[1]), 0), 2);
    ck_assert_int_eq(find_attribute(find_node("y"), "axis")->i, 1);
}
END_TEST

START_TEST(a_softmax_over_several_axes_is_flattened)
{
    sketch_init(&sketch, arena, 11);
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 3));
    sketch_int(&sketch, "axis", 1);
    write_float(sketch_node(&sketch, "Softmax", "y", x, SKETCH_END));
    CHECK_CHAIN("Flatten", "Softmax", "Reshape");
    const Onnx__TensorProto *shape = find_initializer(find_node("y")->input[1]);
    ck_assert_int_eq(read_i64(shape, 0), -1);
    ck_assert_int_eq(read_i64(shape, 1), 4);
    ck_assert_int_eq(read_i64(shape, 2), 3);
}
END_TEST

/* Two convolutions of which the first is depthwise, on quantizers of given widths. */
static struct quant_network *quantized_as(const struct quant_options *options)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 4, 6, 5));
    int weight = sketch_constant(&sketch, "depthwise.weight", SKETCH(4, 1, 3, 3));
    int bias = sketch_constant(&sketch, "depthwise.bias", SKETCH(4));
    sketch_int(&sketch, "group", 4);
    int a = sketch_node(&sketch, "Conv", "depthwise", x, weight, bias, SKETCH_END);
    int relu = sketch_node(&sketch, "Relu", "relu", a, SKETCH_END);
    struct graph *folded =
        sketch_finish(&sketch, sketch_conv(&sketch, "conv", relu, 3, 4, SKETCH(2, 3)));
    struct quant_network *network;
    ck_assert_ok(quant_network_create(arena, folded, options, &network, &err), &err);
    return network;
}

static struct quant_network *quantized(int bits, bool symmetric_activations, bool per_channel)
{
    struct quant_options options = {
        .weights = {.bits = bits, .symmetric = true},
        .activations = {.bits = bits, .symmetric = symmetric_activations},
        .input_bits = 8,
        .per_channel = per_channel,
    };
    return quantized_as(&options);
}

static void calibrate(struct quant_network *network)
{
    for (int i = 0; i < network->activation_count; i++)
        ck_assert_ok(quantizer_set_range(&network->activations[i].quantizer, 0, -0.7, 1.9, &err),
                     &err);
    for (int i = 0; i < network->layer_count; i++) {
        struct quant_layer *layer = &network->layers[i];
        for (int64_t c = 0; c < layer->quantizer.channels; c++)
            ck_assert_ok(
                quantizer_set_range(&layer->quantizer, c, -0.9, 0.8 + 0.1 * (double)c, &err), &err);
        quant_layer_round(layer);
    }
}

static void write_quantized(const struct quant_network *network)
{
    const uint8_t *bytes;
    size_t size;
    ck_assert_ok(onnx_write_network(arena, network, "0.1.0", &bytes, &size, &err), &err);
    unpack(bytes, size);
}

/* Value of a scalar code: int8 or uint8 as the tensor says. */
static int read_code(const Onnx__TensorProto *tensor, int64_t index)
{
    uint8_t byte = tensor->raw_data.data[index];
    return tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8 ? (int8_t)byte : byte;
}

/* Law: QuantizeLinear → Clip (unless the width is that of the container) → DequantizeLinear, with
 * one scale and one zero point, the container's type by the scheme. */
static void check_activation(const struct quant_activation *activation, const struct graph *graph)
{
    const struct quantizer *quantizer = &activation->quantizer;
    int type = quantizer->format.symmetric ? ONNX__TENSOR_PROTO__DATA_TYPE__INT8
                                           : ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    const Onnx__NodeProto *last = find_producer(graph->tensors[activation->output].name);
    ck_assert_ptr_nonnull(last);
    ck_assert_str_eq(last->op_type, "DequantizeLinear");
    const Onnx__NodeProto *first = find_producer(last->input[0]);
    if (quantizer->format.bits < 8) {
        ck_assert_str_eq(first->op_type, "Clip");
        ck_assert_int_eq(read_code(find_initializer(first->input[1]), 0), quantizer->low);
        ck_assert_int_eq(read_code(find_initializer(first->input[2]), 0), quantizer->high);
        ck_assert_int_eq(find_initializer(first->input[1])->data_type, type);
        first = find_producer(first->input[0]);
    }
    ck_assert_str_eq(first->op_type, "QuantizeLinear");
    ck_assert_str_eq(first->input[0], activation->name);
    ck_assert_str_eq(first->input[1], last->input[1]);
    ck_assert_str_eq(first->input[2], last->input[2]);
    check_equal(read_f32(find_initializer(first->input[1]), 0), quantizer->scales[0]);
    const Onnx__TensorProto *zero_point = find_initializer(first->input[2]);
    ck_assert_int_eq(zero_point->data_type, type);
    ck_assert_int_eq(read_code(zero_point, 0), quantizer->zero_points[0]);
}

/* The zero points of weights that are asymmetric, one for each scale; 0 of those that are not. */
static int weight_zero_point(const struct quant_layer *layer, const Onnx__NodeProto *node,
                             int64_t channel)
{
    bool symmetric = layer->quantizer.format.symmetric;
    ck_assert_uint_eq(node->n_input, symmetric ? 2 : 3);
    if (symmetric)
        return 0;
    const Onnx__TensorProto *zero_points = find_initializer(node->input[2]);
    ck_assert_int_eq(zero_points->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
    ck_assert_uint_eq(zero_points->raw_data.len, (size_t)layer->quantizer.channels);
    ck_assert_uint_eq(zero_points->n_dims, layer->quantizer.channels > 1 ? 1 : 0);
    int zero_point = read_code(zero_points, channel);
    ck_assert_int_eq(zero_point, layer->quantizer.zero_points[channel]);
    return zero_point;
}

/* Law: every code lies in the width, and (code − zero point) · scale is the simulated weight bit
 * for bit, at the place that ONNX's order [K][C/G][R][S] gives it. */
static void check_weights(const struct quant_layer *layer, const struct graph *graph)
{
    const Onnx__NodeProto *node = find_producer(graph->tensors[layer->weights].name);
    ck_assert_ptr_nonnull(node);
    ck_assert_str_eq(node->op_type, "DequantizeLinear");
    const Onnx__TensorProto *codes = find_initializer(node->input[0]);
    const Onnx__TensorProto *scales = find_initializer(node->input[1]);
    bool per_channel = layer->quantizer.channels > 1;
    ck_assert_int_eq(codes->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
    ck_assert_uint_eq(scales->n_dims, per_channel ? 1 : 0);
    if (per_channel)
        ck_assert_int_eq(find_attribute(node, "axis")->i, 0);
    int64_t C = codes->dims[1], S = codes->dims[2] * codes->dims[3];
    ck_assert_int_eq(layer->D, C * S);
    for (int64_t k = 0; k < layer->K; k++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t s = 0; s < S; s++) {
                int code = read_code(codes, (k * C + c) * S + s);
                ck_assert_int_ge(code, layer->quantizer.low);
                ck_assert_int_le(code, layer->quantizer.high);
                int zero_point = weight_zero_point(layer, node, per_channel ? k : 0);
                float value = (float)(code - zero_point) * read_f32(scales, per_channel ? k : 0);
                check_equal(value, layer->weight_values[k * layer->D + s * C + c]);
            }
}

/* Law: the bias decodes to within half a step of the bias; without a zero point. */
static void check_bias(const struct quant_network *network, const struct quant_layer *layer)
{
    const Onnx__NodeProto *node = find_producer(network->graph->tensors[layer->bias].name);
    ck_assert_ptr_nonnull(node);
    ck_assert_uint_eq(node->n_input, 2);
    const Onnx__TensorProto *codes = find_initializer(node->input[0]);
    const Onnx__TensorProto *scales = find_initializer(node->input[1]);
    ck_assert_int_eq(codes->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT32);
    for (int64_t k = 0; k < layer->K; k++) {
        float scale = read_f32(scales, layer->quantizer.channels > 1 ? k : 0);
        check_equal(scale, quant_bias_scale(network, layer, k));
        float value = (float)read_i32(codes, k) * scale;
        ck_assert_double_le((double)fabsf(value - layer->bias_values[k]), 0.5001 * (double)scale);
    }
}

static void check_network(struct quant_network *network)
{
    calibrate(network);
    write_quantized(network);
    for (int i = 0; i < network->activation_count; i++)
        check_activation(&network->activations[i], network->graph);
    for (int i = 0; i < network->layer_count; i++) {
        check_weights(&network->layers[i], network->graph);
        check_bias(network, &network->layers[i]);
    }
}

START_TEST(codes_of_every_width_decode_to_what_is_simulated)
{
    check_network(quantized(_i, false, true));
}
END_TEST

START_TEST(symmetric_activations_are_int8)
{
    check_network(quantized(_i, true, true));
}
END_TEST

START_TEST(weights_per_tensor_have_one_scale)
{
    check_network(quantized(_i, false, false));
}
END_TEST

START_TEST(asymmetric_weights_have_zero_points)
{
    struct quant_options options = {.weights = {.bits = _i},
                                    .activations = {.bits = _i},
                                    .input_bits = 8,
                                    .per_channel = _i % 2 == 0};
    check_network(quantized_as(&options));
}
END_TEST

START_TEST(rounded_biases_are_written_bit_for_bit)
{
    struct quant_network *network = quantized(4, false, true);
    calibrate(network);
    ck_assert_ok(quant_network_round_biases(network, &err), &err);
    write_quantized(network);
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        const Onnx__NodeProto *node = find_producer(network->graph->tensors[layer->bias].name);
        for (int64_t k = 0; k < layer->K; k++)
            check_equal((float)read_i32(find_initializer(node->input[0]), k) *
                            read_f32(find_initializer(node->input[1]), k),
                        layer->bias_values[k]);
    }
}
END_TEST

/* The initializer of a tensor of the graph, of `count` float32 values. */
static void check_constant(const struct graph *graph, int tensor, int64_t count)
{
    const Onnx__TensorProto *written = find_initializer(graph->tensors[tensor].name);
    ck_assert_ptr_nonnull(written);
    ck_assert_int_eq(written->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    ck_assert_uint_eq(written->raw_data.len, (size_t)count * sizeof(float));
}

/* Law: what stays in float is written as in a float graph, and has no quantizer. Biases have codes
 * only where weights and input both have scales. */
START_TEST(what_stays_in_float_is_an_initializer)
{
    static const int widths[][2] = {{32, 32}, {32, 4}, {4, 32}};
    const int *width = widths[_i];
    struct quant_options options = {.weights = {.bits = width[0], .symmetric = true},
                                    .activations = {.bits = width[1]},
                                    .input_bits = 8,
                                    .per_channel = true};
    struct quant_network *network = quantized_as(&options);
    calibrate(network);
    write_quantized(network);
    for (int i = 0; i < network->activation_count; i++)
        check_activation(&network->activations[i], network->graph);
    for (int i = 0; i < network->layer_count; i++) {
        const struct quant_layer *layer = &network->layers[i];
        check_constant(network->graph, layer->bias, layer->K);
        if (width[0] == 32)
            check_constant(network->graph, layer->weights, layer->K * layer->D);
        else
            check_weights(layer, network->graph);
    }
    size_t quantizers = 0;
    for (size_t i = 0; i < model->graph->n_node; i++)
        quantizers += strcmp(model->graph->node[i]->op_type, "QuantizeLinear") == 0;
    ck_assert_uint_eq(quantizers, width[1] == 32 ? 0 : 2);
}
END_TEST

/* The names of a file may hold what the program's own names are made with. */
START_TEST(names_made_here_differ_from_all_others)
{
    int x = sketch_input(&sketch, "x::scale", SKETCH(1, 2, 4, 4));
    struct graph *folded =
        sketch_finish(&sketch, sketch_conv(&sketch, "x::scale:quantized", x, 2, 2, SKETCH(1, 1)));
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 4},
                                    .input_bits = 8,
                                    .per_channel = true};
    struct quant_network *network;
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    calibrate(network);
    write_quantized(network);
    for (size_t i = 0; i < model->graph->n_initializer; i++) {
        const char *name = model->graph->initializer[i]->name;
        ck_assert_ptr_null(find_producer(name));
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(name, model->graph->initializer[j]->name);
    }
}
END_TEST

START_TEST(a_weight_of_two_layers_is_written_for_each)
{
    int x = sketch_input(&sketch, "x", SKETCH(1, 2, 4, 4));
    int weight = sketch_constant(&sketch, "shared", SKETCH(2, 2, 1, 1));
    int bias = sketch_constant(&sketch, "bias", SKETCH(2));
    int a = sketch_node(&sketch, "Conv", "a", x, weight, bias, SKETCH_END);
    int b = sketch_node(&sketch, "Conv", "b", a, weight, bias, SKETCH_END);
    struct quant_options options = {.weights = {.bits = 4, .symmetric = true},
                                    .activations = {.bits = 4},
                                    .input_bits = 8};
    struct quant_network *network;
    ck_assert_ok(quant_network_create(arena, sketch_finish(&sketch, b), &options, &network, &err),
                 &err);
    calibrate(network);
    write_quantized(network);
    ck_assert_str_ne(find_node("a")->input[1], find_node("b")->input[1]);
    ck_assert_ptr_nonnull(find_producer(find_node("a")->input[1]));
    ck_assert_ptr_nonnull(find_producer(find_node("b")->input[1]));
}
END_TEST

START_TEST(a_network_that_was_not_calibrated_is_refused)
{
    const uint8_t *bytes;
    size_t size;
    struct quant_network *network = quantized(4, false, true);
    ck_assert_fails(onnx_write_network(arena, network, "0.1.0", &bytes, &size, &err), &err,
                    E_INVALID, "the quantizer of 'x' has no scale");
}
END_TEST

START_TEST(a_bias_beyond_int32_names_layer_and_channel)
{
    const uint8_t *bytes;
    size_t size;
    struct quant_network *network = quantized(8, false, true);
    calibrate(network);
    network->layers[1].bias_values[2] = 1e9f;
    ck_assert_fails(onnx_write_network(arena, network, "0.1.0", &bytes, &size, &err), &err,
                    E_INVALID, "layer 'conv': the bias of channel 2 is 1e+09");
}
END_TEST

static bool write_into(struct arena *failing, void *context, struct error *error)
{
    const uint8_t *bytes;
    size_t size;
    return onnx_write_network(failing, context, "0.1.0", &bytes, &size, error);
}

START_TEST(running_out_of_memory_is_reported)
{
    struct quant_network *network = quantized(4, false, true);
    calibrate(network);
    ck_assert_uint_gt(support_fail_each_allocation(write_into, network), 0);
}
END_TEST

/* Conformance: no operator that can be imported is refused by the writer. */
START_TEST(every_operator_has_a_rule)
{
    const struct op *const *table = op_table();
    for (int i = 0; table[i]; i++)
        ck_assert_msg(onnx_can_write(table[i]->name), "operator %s has no rule", table[i]->name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx_writer");
    TCase *tests = tcase_create("writer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_float_network_leaves_in_the_order_of_onnx);
    tcase_add_test(tests, changes_of_layout_vanish_before_a_flatten);
    tcase_add_test(tests, a_transpose_of_the_model_stays);
    tcase_add_test(tests, axes_and_pads_are_those_of_the_file);
    tcase_add_test(tests, what_was_an_attribute_before_opset_13_is_an_input);
    tcase_add_test(tests, a_softmax_over_several_axes_is_flattened);
    tcase_add_loop_test(tests, codes_of_every_width_decode_to_what_is_simulated, QUANTIZER_BITS_MIN,
                        QUANTIZER_BITS_MAX + 1);
    tcase_add_loop_test(tests, symmetric_activations_are_int8, QUANTIZER_BITS_MIN,
                        QUANTIZER_BITS_MAX + 1);
    tcase_add_loop_test(tests, asymmetric_weights_have_zero_points, QUANTIZER_BITS_MIN,
                        QUANTIZER_BITS_MAX + 1);
    tcase_add_loop_test(tests, weights_per_tensor_have_one_scale, QUANTIZER_BITS_MIN,
                        QUANTIZER_BITS_MAX + 1);
    tcase_add_test(tests, rounded_biases_are_written_bit_for_bit);
    tcase_add_loop_test(tests, what_stays_in_float_is_an_initializer, 0, 3);
    tcase_add_test(tests, names_made_here_differ_from_all_others);
    tcase_add_test(tests, a_weight_of_two_layers_is_written_for_each);
    tcase_add_test(tests, a_network_that_was_not_calibrated_is_refused);
    tcase_add_test(tests, a_bias_beyond_int32_names_layer_and_channel);
    tcase_add_test(tests, running_out_of_memory_is_reported);
    tcase_add_test(tests, every_operator_has_a_rule);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
