/* From a folded float graph to the quantized network.
 *
 * All tensors keep their index; quantized copies come after them. Each node is copied in order, and
 * before the first node that needs a quantized tensor stands the FakeQuantize node that makes it:
 * by then both branches of a sum are known.
 *
 * Some operators map grid values to values of the same grid (zero is always on it): moving,
 * selecting and ReLU. Behind them no second quantizer is needed, so `grid_of` follows each
 * quantizer's values through them.
 */

#include "ptqd/quant/network.h"

#include "ptqd/nn/op.h"

#include <string.h>

enum { NO_QUANTIZER = -1 };

struct builder {
    struct quant_network *network;
    const struct quant_options *options;
    int *replaced; /* [folded tensors] the quantized copy that MAC operators read, or -1 */
    int *grid_of;  /* [folded tensors] the activation whose grid the values are on, or -1 */
    struct error *err;
};

/* Which inputs of a node are quantized: the data of MAC operators, both inputs of Add. */
static bool reads_quantized(const struct builder *builder, const struct node *node, int input)
{
    const struct graph *graph = builder->network->folded;
    int tensor = node->inputs[input];
    if (quantizer_format_is_float(&builder->options->activations))
        return false;
    if (tensor == NODE_ABSENT || graph->tensors[tensor].values || graph->tensors[tensor].integers)
        return false;
    if (node->op->mac)
        return input == 0;
    return strcmp(node->op_type, "Add") == 0;
}

static bool is_multiplied(const struct graph *graph, int tensor)
{
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op->mac && graph->nodes[i].inputs[0] == tensor)
            return true;
    return false;
}

/* Appends the FakeQuantize node of a tensor and notes the copy that replaces it. */
static bool quantize_tensor(struct builder *builder, int tensor)
{
    struct quant_network *network = builder->network;
    struct graph *graph = network->graph;
    int index = network->activation_count;
    struct quant_activation *activation = &network->activations[index];
    struct quantizer_format format = builder->options->activations;
    if (tensor == network->folded->input)
        format.bits = builder->options->input_bits;
    else if (builder->options->sum_bits && !is_multiplied(network->folded, tensor))
        format.bits = builder->options->sum_bits;
    if (!quantizer_create(graph->arena, &format, 1, &activation->quantizer, builder->err))
        return error_context(builder->err, "activation '%s'", graph->tensors[tensor].name);

    struct tensor copy = graph->tensors[tensor];
    copy.name = arena_printf(graph->arena, builder->err, "%s:quantized", copy.name);
    copy.producer = -1;
    if (!copy.name || !graph_add_tensor(graph, &copy, false, &activation->output, builder->err))
        return false;
    activation->name = graph->tensors[tensor].name;
    activation->input = tensor;
    struct node node = {
        .name = graph->tensors[activation->output].name,
        .op_type = op_fake_quantize.name,
        .op = &op_fake_quantize,
        .inputs = &activation->input,
        .outputs = &activation->output,
        .input_count = 1,
        .output_count = 1,
        .detail = &activation->quantizer,
    };
    if (!graph_add_node(graph, &node, &activation->node, builder->err))
        return false;
    builder->replaced[tensor] = activation->output;
    builder->grid_of[tensor] = index;
    network->activation_count++;
    return true;
}

/* Weights and bias of a MAC node become the network's own, as matrix and vector. */
static bool add_layer(struct builder *builder, const struct node *node)
{
    struct quant_network *network = builder->network;
    struct graph *graph = network->graph;
    struct arena *arena = graph->arena;
    const struct graph *folded = network->folded;
    int weights = node->inputs[1];
    int bias = node->input_count > 2 ? node->inputs[2] : NODE_ABSENT;
    if (!folded->tensors[weights].values || bias == NODE_ABSENT || !folded->tensors[bias].values ||
        strcmp(node->op_type, "MatMul") == 0)
        return FAIL(builder->err, E_UNSUPPORTED,
                    "node '%s' (%s): only products with constant weights [K][D] and a bias [K] are "
                    "quantized; this one multiplies activations, or has inputs of rank 3 or more",
                    node->name, node->op_type);

    const struct tensor *matrix = &folded->tensors[weights];
    struct quant_layer *layer = &network->layers[network->layer_count];
    int64_t K = matrix->shape.dim[0];
    int64_t D = shape_elements(&matrix->shape) / K;
    const struct attribute *group = node_attribute(node, "group");
    *layer = (struct quant_layer){
        .name = node->name,
        .weights = weights,
        .bias = bias,
        .K = K,
        .D = D,
        .G = group ? group->integer : 1,
        .float_weights = matrix->values,
        .float_bias = folded->tensors[bias].values,
        .weight_values =
            arena_memdup(arena, matrix->values, (size_t)(K * D) * sizeof(float), builder->err),
        .bias_values = arena_memdup(arena, folded->tensors[bias].values, (size_t)K * sizeof(float),
                                    builder->err),
        .activation = builder->grid_of[node->inputs[0]],
    };
    if (!layer->weight_values || !layer->bias_values)
        return false;
    struct quantizer_format format = builder->options->weights;
    format.signed_codes = true; /* they are int8 */
    if (!quantizer_create(arena, &format, builder->options->per_channel ? K : 1, &layer->quantizer,
                          builder->err))
        return error_context(builder->err, "weights of '%s'", node->name);
    if (!quant_layer_is_float(layer)) {
        layer->codes = ARENA_ARRAY(arena, int8_t, K * D, builder->err);
        if (!layer->codes)
            return false;
    }

    /* A constant that two nodes share is quantized for each, so each reads a tensor of its own. */
    struct tensor own_weights = *matrix, own_bias = folded->tensors[bias];
    own_weights.values = layer->weight_values;
    own_bias.values = layer->bias_values;
    network->layer_count++;
    return graph_add_tensor(graph, &own_weights, false, &layer->weights, builder->err) &&
           graph_add_tensor(graph, &own_bias, false, &layer->bias, builder->err);
}

static bool copy_node(struct builder *builder, const struct node *node)
{
    struct quant_network *network = builder->network;
    const struct graph *folded = network->folded;
    int *copy_inputs = arena_memdup(network->arena, node->inputs,
                                    (size_t)node->input_count * sizeof(int), builder->err);
    if (!copy_inputs)
        return false;
    for (int i = 0; i < node->input_count; i++) {
        int tensor = node->inputs[i];
        if (tensor == NODE_ABSENT)
            continue;
        bool wanted = reads_quantized(builder, node, i);
        if (wanted && builder->grid_of[tensor] == NO_QUANTIZER && !quantize_tensor(builder, tensor))
            return false;
        bool is_input = tensor == folded->input; /* everyone sees the quantized input */
        if ((wanted || is_input) && builder->replaced[tensor] >= 0)
            copy_inputs[i] = builder->replaced[tensor];
    }

    struct node copy = *node;
    copy.inputs = copy_inputs;
    copy.op = NULL; /* resolved and inferred again */
    copy.detail = NULL;
    if (node->op->mac) {
        if (!add_layer(builder, node))
            return false;
        const struct quant_layer *layer = &network->layers[network->layer_count - 1];
        copy_inputs[1] = layer->weights;
        copy_inputs[2] = layer->bias;
    }
    for (int i = 0; node->op->keeps_grid && i < node->output_count; i++)
        if (node->outputs[i] != NODE_ABSENT)
            builder->grid_of[node->outputs[i]] = builder->grid_of[node->inputs[0]];
    int index;
    return graph_add_node(network->graph, &copy, &index, builder->err);
}

/* graph_refinish may have reordered the nodes: finds each layer's and activation's again. */
static void find_nodes(struct quant_network *network)
{
    const struct graph *graph = network->graph;
    for (int i = 0; i < network->layer_count; i++)
        for (int node = 0; node < graph->node_count; node++)
            if (graph->nodes[node].input_count > 1 &&
                graph->nodes[node].inputs[1] == network->layers[i].weights)
                network->layers[i].node = node;
    for (int i = 0; i < network->activation_count; i++)
        network->activations[i].node = graph->tensors[network->activations[i].output].producer;
}

static bool build(struct builder *builder)
{
    struct quant_network *network = builder->network;
    const struct graph *folded = network->folded;
    for (int tensor = 0; tensor < folded->tensor_count; tensor++) {
        struct tensor copy = folded->tensors[tensor];
        copy.producer = -1;
        int index;
        if (!graph_add_tensor(network->graph, &copy, false, &index, builder->err))
            return false;
        builder->replaced[tensor] = -1;
        builder->grid_of[tensor] = NO_QUANTIZER;
    }
    network->graph->opset = folded->opset;
    network->graph->input = folded->input;
    network->graph->output = folded->output;
    bool is_float = quantizer_format_is_float(&builder->options->activations);
    if (!is_float && !quantize_tensor(builder, folded->input))
        return false;
    for (int node = 0; node < folded->node_count; node++)
        if (!copy_node(builder, &folded->nodes[node]))
            return false;
    if (!graph_refinish(network->graph, builder->err))
        return false;
    find_nodes(network);
    return true;
}

bool quant_network_create(struct arena *arena, const struct graph *folded,
                          const struct quant_options *options, struct quant_network **out_network,
                          struct error *err)
{
    struct quant_network *network = ARENA_NEW(arena, struct quant_network, err);
    if (!network)
        return false;
    network->arena = arena;
    network->folded = folded;
    network->layers = ARENA_ARRAY(arena, struct quant_layer, folded->node_count + 1, err);
    network->activations =
        ARENA_ARRAY(arena, struct quant_activation, folded->tensor_count + 1, err);
    struct builder builder = {
        .network = network,
        .options = options,
        .replaced = ARENA_ARRAY(arena, int, folded->tensor_count, err),
        .grid_of = ARENA_ARRAY(arena, int, folded->tensor_count, err),
        .err = err,
    };
    if (!network->layers || !network->activations || !builder.replaced || !builder.grid_of ||
        !graph_create(arena, &network->graph, err) || !build(&builder))
        return error_context(err, "quantized network");
    *out_network = network;
    return true;
}

static int64_t channel_of(const struct quant_layer *layer, int64_t k)
{
    return layer->quantizer.channels == 1 ? 0 : k;
}

bool quant_layer_is_float(const struct quant_layer *layer)
{
    return quantizer_format_is_float(&layer->quantizer.format);
}

void quant_layer_decode(struct quant_layer *layer)
{
    if (quant_layer_is_float(layer))
        return;
    for (int64_t k = 0; k < layer->K; k++)
        for (int64_t d = 0; d < layer->D; d++) {
            int64_t i = k * layer->D + d;
            layer->weight_values[i] =
                quantizer_decode(&layer->quantizer, channel_of(layer, k), layer->codes[i]);
        }
}

void quant_layer_round(struct quant_layer *layer)
{
    if (quant_layer_is_float(layer))
        return;
    for (int64_t k = 0; k < layer->K; k++)
        for (int64_t d = 0; d < layer->D; d++) {
            int64_t i = k * layer->D + d;
            layer->codes[i] = (int8_t)quantizer_encode(&layer->quantizer, channel_of(layer, k),
                                                       layer->float_weights[i]);
        }
    quant_layer_decode(layer);
}
