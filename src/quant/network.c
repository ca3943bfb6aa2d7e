/* From a folded float graph to the quantized network.
 *
 * All tensors keep their index; quantized copies come after them. Each node is copied in order, and
 * before the first node that needs a quantized tensor stands the FakeQuantize node that makes it:
 * by then both branches of a sum are known. Which these are is planned before (formats.h).
 */

#include "ptqd/quant/network.h"

#include "formats.h"
#include "ptqd/nn/op.h"

#include <string.h>

enum { NO_QUANTIZER = -1 };

struct builder {
    struct quant_network *network;
    const struct quant_options *options;
    struct formats formats;
    int *activation_of; /* [folded tensors] the quantizer that reads it, NO_QUANTIZER: none yet */
    struct error *err;
};

/* Appends the FakeQuantize node of a tensor. */
static bool quantize_tensor(struct builder *builder, int tensor)
{
    struct quant_network *network = builder->network;
    struct graph *graph = network->graph;
    int index = network->activation_count;
    struct quant_activation *activation = &network->activations[index];
    const struct tensor_format *planned = &builder->formats.tensors[tensor];
    if (!quantizer_create(graph->arena, &planned->format, 1, &activation->quantizer, builder->err))
        return error_context(builder->err, "activation '%s'", graph->tensors[tensor].name);

    struct tensor copy = graph->tensors[tensor];
    copy.name = arena_printf(graph->arena, builder->err, "%s:quantized", copy.name);
    copy.producer = -1;
    if (!copy.name || !graph_add_tensor(graph, &copy, false, &activation->output, builder->err))
        return false;
    activation->name = graph->tensors[tensor].name;
    activation->input = tensor;
    activation->range = planned->range;
    activation->of_input = planned->of_input;
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
    builder->activation_of[tensor] = index;
    network->activation_count++;
    return true;
}

/* Weights and bias of a MAC node become the network's own, as matrix and vector. `activation` is
 * the quantizer of its input. */
static bool add_layer(struct builder *builder, const struct node *node, int activation)
{
    struct quant_network *network = builder->network;
    struct graph *graph = network->graph;
    struct arena *arena = graph->arena;
    const struct graph *folded = network->folded;
    int weights = node->inputs[1], bias = node->inputs[2];
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
        .activation = activation,
    };
    if (!layer->weight_values || !layer->bias_values)
        return false;
    struct quant_layer_format wanted = quant_options_layer(builder->options, network->layer_count);
    wanted.weights.signed_codes = true; /* they are int8 */
    layer->range = wanted.weight_range;
    if (!quantizer_create(arena, &wanted.weights, wanted.per_channel ? K : 1, &layer->quantizer,
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

/* Makes `tensor`, an input that the node reads from `source`, the quantized copy where that is it.
 */
static bool read_source(struct builder *builder, int source, int *tensor)
{
    if (source == READS_FLOAT)
        return true;
    if (builder->activation_of[source] == NO_QUANTIZER && !quantize_tensor(builder, source))
        return false;
    if (source == *tensor)
        *tensor = builder->network->activations[builder->activation_of[source]].output;
    return true;
}

static bool copy_node(struct builder *builder, int index)
{
    struct quant_network *network = builder->network;
    const struct node *node = &network->folded->nodes[index];
    int layer = builder->formats.layer_of[index];
    int *inputs = arena_memdup(network->arena, node->inputs,
                               (size_t)node->input_count * sizeof(int), builder->err);
    if (!inputs)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (!read_source(builder, formats_source(&builder->formats, node, layer, i), &inputs[i]))
            return false;

    struct node copy = *node;
    copy.inputs = inputs;
    copy.op = NULL; /* resolved and inferred again */
    copy.detail = NULL;
    if (layer >= 0) {
        int source = formats_source(&builder->formats, node, layer, 0);
        int activation = source == READS_FLOAT ? NO_QUANTIZER : builder->activation_of[source];
        if (!add_layer(builder, node, activation))
            return false;
        inputs[1] = network->layers[layer].weights;
        inputs[2] = network->layers[layer].bias;
    }
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

static bool is_constant(const struct graph *graph, const struct node *node, int input)
{
    return input < node->input_count && node->inputs[input] != NODE_ABSENT &&
           graph->tensors[node->inputs[input]].values;
}

static bool check_layers(const struct builder *builder)
{
    const struct graph *folded = builder->network->folded;
    for (int n = 0; n < folded->node_count; n++) {
        const struct node *node = &folded->nodes[n];
        bool is_layer = is_constant(folded, node, 1) && is_constant(folded, node, 2) &&
                        strcmp(node->op_type, "MatMul") != 0;
        if (builder->formats.layer_of[n] >= 0 && !is_layer)
            return FAIL(builder->err, E_UNSUPPORTED,
                        "node '%s' (%s): only products with constant weights [K][D] and a bias [K] "
                        "are quantized; this one multiplies activations, or has inputs of rank 3 "
                        "or more",
                        node->name, node->op_type);
    }
    return true;
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
        builder->activation_of[tensor] = NO_QUANTIZER;
    }
    network->graph->opset = folded->opset;
    network->graph->input = folded->input;
    network->graph->output = folded->output;
    if (builder->formats.input_first && !quantize_tensor(builder, folded->input))
        return false;
    for (int node = 0; node < folded->node_count; node++)
        if (!copy_node(builder, node))
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
        .activation_of = ARENA_ARRAY(arena, int, folded->tensor_count, err),
        .err = err,
    };
    if (!network->layers || !network->activations || !builder.activation_of ||
        !formats_plan(arena, folded, options, &builder.formats, err) || !check_layers(&builder) ||
        !graph_create(arena, &network->graph, err) || !build(&builder))
        return error_context(err, "quantized network");
    *out_network = network;
    return true;
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
                quantizer_decode(&layer->quantizer, quantizer_channel(&layer->quantizer, k),
                                 layer->codes[i]);
        }
}

void quant_layer_round(struct quant_layer *layer)
{
    if (quant_layer_is_float(layer))
        return;
    for (int64_t k = 0; k < layer->K; k++)
        for (int64_t d = 0; d < layer->D; d++) {
            int64_t i = k * layer->D + d;
            layer->codes[i] =
                (int8_t)quantizer_encode(&layer->quantizer, quantizer_channel(&layer->quantizer, k),
                                         layer->float_weights[i]);
        }
    quant_layer_decode(layer);
}
