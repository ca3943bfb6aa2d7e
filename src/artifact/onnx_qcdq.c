/* Quantizers as QuantizeLinear → Clip → DequantizeLinear, weights and biases as codes behind a
 * DequantizeLinear. What stays in float is an initializer like any other constant. */

#include "onnx_order.h"
#include "onnx_state.h"
#include "ptqd/quant/bias.h"

#include <string.h>

enum { CONTAINER_BITS = 8 };

static const struct shape scalar = {.rank = 0};

static const char *add_constant(struct onnx_state *state, int tensor, const char *what,
                                int32_t data_type, const struct shape *shape, const void *values,
                                size_t element_bytes)
{
    const char *name = onnx_derived_name(state, tensor, what);
    onnx_file_initializer(&state->file, name, data_type, shape, values, element_bytes);
    return name;
}

/* A scalar code in the container of its quantizer: int8 when symmetric, else uint8. */
static const char *add_code(struct onnx_state *state, int tensor, const char *what,
                            const struct quantizer *quantizer, int32_t code)
{
    uint8_t byte = (uint8_t)code; /* two's complement is the int8 as well */
    int32_t type = quantizer->format.symmetric ? ONNX__TENSOR_PROTO__DATA_TYPE__INT8
                                               : ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    return add_constant(state, tensor, what, type, &scalar, &byte, sizeof(byte));
}

static bool fills_container(const struct quantizer *quantizer)
{
    return quantizer->high - quantizer->low == (1 << CONTAINER_BITS) - 1;
}

/* One node of the chain, called `name`: reads `in`, further constants follow, writes `out`. */
static Onnx__NodeProto *add_link(struct onnx_state *state, const char *op_type, const char *name,
                                 const char *in, const char *first, const char *second,
                                 const char *out)
{
    struct onnx_file *file = &state->file;
    Onnx__NodeProto *node = onnx_file_node(file, op_type, name);
    onnx_file_input(file, node, in);
    onnx_file_input(file, node, first);
    if (second)
        onnx_file_input(file, node, second);
    onnx_file_output(file, node, out);
    return node;
}

/* The last link. The tensor's own name may be that of a node of the network. */
static Onnx__NodeProto *add_decoding(struct onnx_state *state, int tensor, const char *codes,
                                     const char *scale, const char *zero)
{
    return add_link(state, "DequantizeLinear", onnx_derived_name(state, tensor, "decoded"), codes,
                    scale, zero, state->names[tensor]);
}

void onnx_write_activation(struct onnx_state *state, const struct node *node)
{
    const struct quantizer *quantizer = node->detail;
    int in = node->inputs[0], out = node->outputs[0];
    const char *scale = add_constant(state, out, "scale", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                                     &scalar, quantizer->scales, sizeof(float));
    const char *zero = add_code(state, out, "zero_point", quantizer, quantizer->zero_points[0]);
    const char *codes = onnx_derived_name(state, out, "codes");
    add_link(state, "QuantizeLinear", codes, state->names[in], scale, zero, codes);
    if (!fills_container(quantizer)) {
        const char *low = add_code(state, out, "low", quantizer, quantizer->low);
        const char *high = add_code(state, out, "high", quantizer, quantizer->high);
        const char *clipped = onnx_derived_name(state, out, "clipped");
        add_link(state, "Clip", clipped, codes, low, high, clipped);
        codes = clipped;
    }
    add_decoding(state, out, codes, scale, zero);
}

/* DequantizeLinear of constant codes to `tensor`; `axis` where there is a scale per channel.
 * `zero_points` may be NULL: all 0. */
static void dequantize_constant(struct onnx_state *state, int tensor, const char *codes,
                                const float *scales, const int8_t *zero_points, int64_t channels,
                                int axis)
{
    struct shape vector = {.rank = 1, .dim = {channels}};
    const struct shape *shape = channels > 1 ? &vector : &scalar;
    const char *zero = NULL;
    const char *scale = add_constant(state, tensor, "scale", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                                     shape, scales, sizeof(float));
    if (zero_points)
        zero = add_constant(state, tensor, "zero_point", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, shape,
                            zero_points, sizeof(*zero_points));
    Onnx__NodeProto *node = add_decoding(state, tensor, codes, scale, zero);
    if (channels > 1)
        onnx_file_int(&state->file, node, "axis", axis);
    state->written[tensor] = true;
}

/* Zero points of weights in the container of their codes; NULL when something failed. */
static const int8_t *narrow_zero_points(struct onnx_state *state, const struct quantizer *weights)
{
    int8_t *bytes = ARENA_ARRAY(state->file.arena, int8_t, weights->channels, state->file.err);
    for (int64_t i = 0; bytes && i < weights->channels; i++)
        bytes[i] = (int8_t)weights->zero_points[i];
    return bytes;
}

/* Codes of a layer's weights as they lie in the file, and their axis of output channels. */
static const void *order_codes(struct onnx_state *state, const struct quant_layer *layer,
                               struct shape *out_shape, int *out_axis)
{
    struct onnx_file *file = &state->file;
    const struct tensor *tensor = &state->graph->tensors[layer->weights];
    bool transposed = strcmp(state->graph->nodes[layer->node].op_type, "ConvTranspose") == 0;
    *out_axis = transposed ? 1 : 0;
    if (transposed)
        return onnx_order_transposed(file->arena, tensor, layer->codes, sizeof(*layer->codes),
                                     out_shape, file->err);
    *out_shape = onnx_order_shape(tensor);
    return onnx_order_values(file->arena, tensor, layer->codes, sizeof(*layer->codes), file->err);
}

static void write_weights(struct onnx_state *state, const struct quant_layer *layer)
{
    struct shape shape;
    int axis;
    const void *codes = order_codes(state, layer, &shape, &axis);
    const struct quantizer *quantizer = &layer->quantizer;
    bool symmetric = quantizer->format.symmetric;
    const int8_t *zero_points = symmetric ? NULL : narrow_zero_points(state, quantizer);
    if (!codes || (!symmetric && !zero_points)) {
        onnx_file_fail(&state->file);
        return;
    }
    const char *name =
        add_constant(state, layer->weights, "codes", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, &shape,
                     codes, sizeof(*layer->codes));
    dequantize_constant(state, layer->weights, name, quantizer->scales, zero_points,
                        quantizer->channels, axis);
}

/* The scales are per channel when those of the weights are: scale of channel 0 otherwise. */
static void write_bias(struct onnx_state *state, const struct quant_layer *layer)
{
    struct onnx_file *file = &state->file;
    int64_t channels = layer->quantizer.channels;
    int32_t *codes = ARENA_ARRAY(file->arena, int32_t, layer->K, file->err);
    float *scales = ARENA_ARRAY(file->arena, float, channels, file->err);
    if (!codes || !scales || !quant_bias_encode(state->network, layer, codes, file->err)) {
        onnx_file_fail(file);
        return;
    }
    for (int64_t k = 0; k < channels; k++)
        scales[k] = quant_bias_scale(state->network, layer, k);
    const struct tensor *tensor = &state->graph->tensors[layer->bias];
    const char *name =
        add_constant(state, layer->bias, "codes", ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
                     &tensor->shape, codes, sizeof(*codes));
    dequantize_constant(state, layer->bias, name, scales, NULL, channels, 0);
}

void onnx_write_layer_constants(struct onnx_state *state, const struct quant_layer *layer)
{
    if (!quant_layer_is_float(layer))
        write_weights(state, layer);
    if (quant_bias_has_codes(layer))
        write_bias(state, layer);
}
