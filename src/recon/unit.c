/* Units of the quantized network.
 *
 * First the finest division: each piece ends where the next one may begin, with at least one layer
 * in it. For layers that is in front of the quantizer of the next layer's input, or of the layer
 * itself where another one reads that input too. For blocks it is in front of a quantizer, where
 * its input is the only tensor that is still wanted. Then pieces are joined by what they are.
 */

#include "ptqd/recon/unit.h"

#include "ptqd/nn/op.h"

#include <string.h>

struct cutter {
    struct arena *arena;
    const struct quant_network *network;
    const struct graph *graph;
    int *last_reader; /* [tensors] node, or node_count for the output; -1: nobody */
    struct unit *units;
    int count;
};

static bool is_quantizer(const struct graph *graph, int node)
{
    return graph->nodes[node].op == &op_fake_quantize;
}

static void find_last_readers(struct cutter *cutter)
{
    const struct graph *graph = cutter->graph;
    for (int tensor = 0; tensor < graph->tensor_count; tensor++)
        cutter->last_reader[tensor] = -1;
    for (int i = 0; i < graph->node_count; i++)
        for (int j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] != NODE_ABSENT)
                cutter->last_reader[graph->nodes[i].inputs[j]] = i;
    cutter->last_reader[graph->output] = graph->node_count;
}

/* The only activation that is written before node `place` and read from there on; -1 when there are
 * several. */
static int only_live(const struct cutter *cutter, int place)
{
    const struct graph *graph = cutter->graph;
    int live = -1;
    for (int tensor = 0; tensor < graph->tensor_count; tensor++) {
        const struct tensor *t = &graph->tensors[tensor];
        bool written = t->producer >= 0 ? t->producer < place : tensor == graph->input;
        if (!written || cutter->last_reader[tensor] < place)
            continue;
        if (live >= 0)
            return -1;
        live = tensor;
    }
    return live;
}

static int layer_at(const struct cutter *cutter, int node)
{
    for (int i = 0; i < cutter->network->layer_count; i++)
        if (cutter->network->layers[i].node == node)
            return i;
    return -1;
}

/* May a unit begin with this node? */
static bool may_begin(const struct cutter *cutter, enum unit_granularity granularity, int node)
{
    const struct graph *graph = cutter->graph;
    if (granularity == UNIT_NETWORK)
        return false;
    if (granularity == UNIT_BLOCK)
        return is_quantizer(graph, node) && only_live(cutter, node) == graph->nodes[node].inputs[0];
    return is_quantizer(graph, node) || layer_at(cutter, node) >= 0;
}

static void divide(struct cutter *cutter, enum unit_granularity granularity)
{
    struct unit unit = {.first = 0};
    for (int node = 0; node < cutter->graph->node_count; node++) {
        if (unit.layer_count > 0 && may_begin(cutter, granularity, node)) {
            unit.last = node - 1;
            cutter->units[cutter->count++] = unit;
            unit = (struct unit){.first = node, .layer = unit.layer + unit.layer_count};
        }
        unit.layer_count += layer_at(cutter, node) >= 0;
    }
    unit.last = cutter->graph->node_count - 1;
    if (unit.layer_count > 0)
        cutter->units[cutter->count++] = unit;
    else if (cutter->count > 0)
        cutter->units[cutter->count - 1].last = unit.last;
}

/* ---- joining ---- */

static const struct quant_layer *only_layer(const struct cutter *cutter, const struct unit *unit)
{
    return unit->layer_count == 1 ? &cutter->network->layers[unit->layer] : NULL;
}

static bool is_conv(const struct cutter *cutter, const struct quant_layer *layer)
{
    return layer && strcmp(cutter->graph->nodes[layer->node].op_type, "Conv") == 0;
}

static bool is_depthwise(const struct cutter *cutter, const struct unit *unit)
{
    const struct quant_layer *layer = only_layer(cutter, unit);
    return is_conv(cutter, layer) && layer->G > 1 && layer->G == layer->K;
}

static bool is_pointwise(const struct cutter *cutter, const struct unit *unit)
{
    const struct quant_layer *layer = only_layer(cutter, unit);
    if (!is_conv(cutter, layer) || layer->G != 1)
        return false;
    const struct tensor *input =
        &cutter->graph->tensors[cutter->graph->nodes[layer->node].inputs[0]];
    return layer->D == input->shape.dim[input->shape.rank - 1];
}

/* Nothing but the next unit's quantizer reads what the layer gives. */
static bool is_linear(const struct cutter *cutter, const struct unit *unit)
{
    const struct quant_layer *layer = only_layer(cutter, unit);
    int reader = graph_only_reader(cutter->graph, cutter->graph->nodes[layer->node].outputs[0]);
    return reader >= 0 && is_quantizer(cutter->graph, reader);
}

/* Length of the block that begins with unit i. */
static int joined(const struct cutter *cutter, int i)
{
    const struct unit *unit = &cutter->units[i];
    int left = cutter->count - i;
    if (left >= 3 && is_pointwise(cutter, &unit[0]) && is_depthwise(cutter, &unit[1]) &&
        is_pointwise(cutter, &unit[2]) && is_linear(cutter, &unit[2]))
        return 3;
    if (left >= 2 && is_depthwise(cutter, &unit[0]) && is_pointwise(cutter, &unit[1]))
        return 2;
    return 1;
}

static void join(struct cutter *cutter)
{
    int kept = 0;
    for (int i = 0, length; i < cutter->count; i += length) {
        length = joined(cutter, i);
        struct unit unit = cutter->units[i];
        for (int j = 1; j < length; j++)
            unit.layer_count += cutter->units[i + j].layer_count;
        unit.last = cutter->units[i + length - 1].last;
        cutter->units[kept++] = unit;
    }
    cutter->count = kept;
}

/* ---- ends ---- */

/* From a layer's output through the nodes of the unit that are its only readers. */
static int chain_end(const struct cutter *cutter, const struct unit *unit, int tensor)
{
    for (;;) {
        int reader = graph_only_reader(cutter->graph, tensor);
        if (reader < 0 || reader > unit->last || is_quantizer(cutter->graph, reader) ||
            cutter->graph->nodes[reader].input_count != 1 ||
            cutter->graph->nodes[reader].output_count != 1)
            return tensor;
        tensor = cutter->graph->nodes[reader].outputs[0];
    }
}

static void set_ends(struct cutter *cutter, enum unit_granularity granularity, int index)
{
    const struct graph *graph = cutter->graph;
    struct unit *unit = &cutter->units[index];
    bool at_end = index + 1 == cutter->count;
    if (granularity == UNIT_LAYER) {
        const struct node *mac = &graph->nodes[cutter->network->layers[unit->layer].node];
        int producer = graph->tensors[mac->inputs[0]].producer;
        bool quantizes = producer >= unit->first && is_quantizer(graph, producer);
        unit->start = quantizes ? producer : cutter->network->layers[unit->layer].node;
        unit->input = quantizes ? graph->nodes[producer].inputs[0] : mac->inputs[0];
        unit->output = chain_end(cutter, unit, mac->outputs[0]);
    } else {
        unit->start = unit->first;
        unit->input = unit->first == 0 ? graph->input : only_live(cutter, unit->first);
        unit->output = at_end ? graph->output : only_live(cutter, unit->last + 1);
    }
    unit->output = graph_before_softmax(graph, unit->output); /* where errors are measured */
}

static bool set_name(struct cutter *cutter, struct unit *unit, struct error *err)
{
    const struct quant_layer *layers = cutter->network->layers + unit->layer;
    unit->name = unit->layer_count == 1
                     ? layers[0].name
                     : arena_printf(cutter->arena, err, "%s to %s", layers[0].name,
                                    layers[unit->layer_count - 1].name);
    return unit->name != NULL;
}

bool unit_cut(struct arena *arena, const struct quant_network *network,
              enum unit_granularity granularity, struct unit **out_units, int *out_count,
              struct error *err)
{
    struct cutter cutter = {
        .arena = arena,
        .network = network,
        .graph = network->graph,
        .last_reader = ARENA_ARRAY(arena, int, network->graph->tensor_count, err),
        .units = ARENA_ARRAY(arena, struct unit, network->layer_count + 1, err),
    };
    if (!cutter.last_reader || !cutter.units)
        return false;
    find_last_readers(&cutter);
    divide(&cutter, granularity);
    if (granularity == UNIT_BLOCK)
        join(&cutter);
    for (int i = 0; i < cutter.count; i++) {
        set_ends(&cutter, granularity, i);
        if (!set_name(&cutter, &cutter.units[i], err))
            return false;
    }
    *out_units = cutter.units;
    *out_count = cutter.count;
    return true;
}
