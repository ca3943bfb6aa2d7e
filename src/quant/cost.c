/* Costs of a network, from the graph, the lifetimes of its activations and its quantizers. */

#include "ptqd/quant/cost.h"

#include "ptqd/nn/op.h"
#include "ptqd/quant/lifetime.h"

#include <math.h>

enum { BIAS_BYTES = 4, FLOAT_BYTES = 4, SCALE_BYTES = 4, ZERO_POINT_BYTES = 1 };

static int64_t constant_elements(const struct graph *graph, const struct node *node, int input)
{
    if (input >= node->input_count || node->inputs[input] == NODE_ABSENT)
        return 0;
    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    return tensor->type == TENSOR_F32 && tensor->values ? shape_elements(&tensor->shape) : 0;
}

/* p: the share of weights that are not zero; 1 when they are no constants. */
static double nonzero_share(const struct graph *graph, const struct node *node)
{
    int64_t count = constant_elements(graph, node, 1);
    if (count == 0)
        return 1.0;
    const float *values = graph->tensors[node->inputs[1]].values;
    int64_t nonzero = 0;
    for (int64_t i = 0; i < count; i++)
        nonzero += values[i] != 0.0f;
    return (double)nonzero / (double)count;
}

static int64_t quantizer_bytes(const struct quantizer *quantizer)
{
    int bytes = SCALE_BYTES + (quantizer->format.symmetric ? 0 : ZERO_POINT_BYTES);
    return quantizer->channels * bytes;
}

/* b_a: of the quantizer right before the node, else of the memory that holds its input. */
static int input_bits(const struct graph *graph, const struct node *node,
                      const struct lifetime *lifetime)
{
    int producer = graph->tensors[node->inputs[0]].producer;
    if (producer >= 0 && graph->nodes[producer].op == &op_fake_quantize) {
        const struct quantizer *quantizer = graph->nodes[producer].detail;
        return quantizer->format.bits;
    }
    int buffer = lifetime->buffer_of[node->inputs[0]];
    return buffer == LIFETIME_NO_BUFFER ? QUANTIZER_BITS_FLOAT : lifetime->buffers[buffer].bits;
}

/* `quantized` is NULL for a float layer. */
static void cost_layer_init(struct cost_layer *layer, const struct graph *graph, int n,
                            const struct quant_layer *quantized, const struct lifetime *lifetime)
{
    const struct node *node = &graph->nodes[n];
    *layer = (struct cost_layer){
        .name = node->name,
        .op = node->op->name,
        .macs = node_macs(graph, node),
        .weights = constant_elements(graph, node, 1),
        .biases = constant_elements(graph, node, 2),
        .weight_bits = quantized ? quantized->quantizer.format.bits : QUANTIZER_BITS_FLOAT,
        .input_bits = input_bits(graph, node, lifetime),
        .live_bytes = lifetime->live_bytes[n],
    };
    double macs = (double)layer->macs, b_w = layer->weight_bits, b_a = layer->input_bits;
    double outputs = (double)shape_elements(&graph->tensors[node->outputs[0]].shape);
    layer->bops = macs * b_w * b_a;
    layer->bops_extended =
        macs * (nonzero_share(graph, node) * b_a * b_w + b_a + b_w + log2(macs / outputs));
    layer->weight_bytes =
        lifetime_packed_bytes(layer->weights, layer->weight_bits) + BIAS_BYTES * layer->biases;
    layer->flash_bytes =
        layer->weight_bytes + (quantized ? quantizer_bytes(&quantized->quantizer) : 0);
}

static void add_layers(const struct graph *graph, const struct quant_network *network,
                       const struct lifetime *lifetime, struct cost *cost)
{
    int next = 0; /* layers of the network are in the order of their nodes */
    for (int n = 0; n < graph->node_count; n++) {
        if (node_macs(graph, &graph->nodes[n]) == 0)
            continue;
        bool quantized = network && next < network->layer_count && network->layers[next].node == n;
        struct cost_layer *layer = &cost->layers[cost->layer_count++];
        cost_layer_init(layer, graph, n, quantized ? &network->layers[next++] : NULL, lifetime);
        cost->macs += layer->macs;
        cost->weights += layer->weights;
        cost->biases += layer->biases;
        cost->bops += layer->bops;
        cost->bops_extended += layer->bops_extended;
        cost->weight_bytes += layer->weight_bytes;
        cost->flash_bytes += layer->flash_bytes;
    }
    for (int i = 0; network && i < network->activation_count; i++)
        cost->flash_bytes += quantizer_bytes(&network->activations[i].quantizer);
}

/* Constants of nodes without products. A single number is an operand of the code, not of data. */
static void add_other_constants(const struct graph *graph, struct cost *cost)
{
    for (int n = 0; n < graph->node_count; n++) {
        if (node_macs(graph, &graph->nodes[n]) > 0)
            continue;
        for (int i = 0; i < graph->nodes[n].input_count; i++) {
            int64_t elements = constant_elements(graph, &graph->nodes[n], i);
            if (elements > 1) {
                cost->weight_bytes += FLOAT_BYTES * elements;
                cost->flash_bytes += FLOAT_BYTES * elements;
            }
        }
    }
}

/* The peak is named after the operator that reaches it on a device. */
static void add_activations(const struct graph *graph, const struct lifetime *lifetime,
                            struct cost *cost)
{
    for (int b = 0; b < lifetime->buffer_count; b++)
        if (lifetime->buffers[b].elements > cost->max_tensor_elements)
            cost->max_tensor_elements = lifetime->buffers[b].elements;
    for (int n = 0; n < graph->node_count; n++) {
        bool higher = lifetime->live_bytes[n] > cost->peak_activation_bytes;
        if (!higher || !lifetime_is_of_device(graph, n))
            continue;
        cost->peak_activation_bytes = lifetime->live_bytes[n];
        cost->peak_elements = lifetime->live_elements[n];
        cost->peak_layer = graph->nodes[n].name;
    }
    cost->peak_bytes = cost->weight_bytes + cost->peak_activation_bytes;
}

static bool cost_of(struct arena *arena, const struct graph *graph,
                    const struct quant_network *network, struct cost *out_cost, struct error *err)
{
    struct cost cost = {.peak_layer = ""};
    cost.layers = ARENA_ARRAY(arena, struct cost_layer, graph->node_count, err);
    if (!cost.layers)
        return false;
    struct arena_mark mark = arena_mark(arena);
    struct lifetime lifetime;
    bool ok = lifetime_plan(arena, graph, &lifetime, err);
    if (ok) {
        add_layers(graph, network, &lifetime, &cost);
        add_other_constants(graph, &cost);
        add_activations(graph, &lifetime, &cost);
        *out_cost = cost;
    }
    arena_reset(arena, mark);
    return ok;
}

bool cost_of_graph(struct arena *arena, const struct graph *folded, struct cost *out_cost,
                   struct error *err)
{
    return cost_of(arena, folded, NULL, out_cost, err);
}

bool cost_of_network(struct arena *arena, const struct quant_network *network,
                     struct cost *out_cost, struct error *err)
{
    return cost_of(arena, network->graph, network, out_cost, err);
}
