/* Units as graphs, and the quantizer that is trained. */

#include "ptqd/recon/unit_graph.h"

#include "ptqd/kern/fake_quantize.h"
#include "ptqd/nn/op.h"

#include <string.h>

static size_t element_count(const struct op_call *call)
{
    const struct tensor *input = &call->graph->tensors[call->node->inputs[0]];
    return (size_t)tensor_elements(input, call->samples);
}

static bool trained_infer(struct graph *graph, struct node *node, struct error *err)
{
    return op_fake_quantize.infer(graph, node, err);
}

/* Dropped elements carry the float value. */
static bool trained_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* arithmetic on given memory */
    struct trained_quantizer *trained = call->node->detail;
    size_t count = element_count(call);
    const float *x = call->in[0];
    float *y = call->out[0];
    quantizer_apply(trained->quantizer, 0, x, count, y);
    for (size_t i = 0; trained->drop > 0.0 && i < count; i++) {
        trained->kept[i] = rng_uniform(trained->rng) >= trained->drop;
        y[i] = trained->kept[i] ? y[i] : x[i];
    }
    return true;
}

static size_t trained_scratch_bytes(const struct graph *graph, const struct node *node,
                                    int64_t samples)
{
    const struct trained_quantizer *trained = node->detail;
    int64_t count = tensor_elements(&graph->tensors[node->inputs[0]], samples);
    return trained->drop > 0.0 ? (size_t)count * sizeof(float) : 0;
}

/* What came through the quantizer; the rest goes straight to the input. */
static const float *split_gradient(const struct op_call *call,
                                   const struct trained_quantizer *trained, size_t count)
{
    float *through = call->scratch;
    for (size_t i = 0; i < count; i++) {
        float gradient = call->grad_out[0][i];
        float *grad_x = call->grad_in[0] ? &call->grad_in[0][i] : NULL;
        through[i] = trained->kept[i] ? gradient : 0.0f;
        if (grad_x)
            *grad_x = (call->fresh[0] ? 0.0f : *grad_x) + (trained->kept[i] ? 0.0f : gradient);
    }
    return through;
}

/* After both parts: what the kernel does itself where nothing is dropped. */
static void complete_gradient(const struct op_call *call, size_t count)
{
    const struct gradient_rest *rest = call->rest;
    const float *x = call->in[0];
    float *grad_x = call->grad_in[0];
    for (size_t i = 0; i < count; i++) {
        float loss = rest->wanted ? rest->factor * (x[i] - rest->wanted[i]) : 0.0f;
        grad_x[i] = x[i] > 0.0f ? grad_x[i] + loss : 0.0f;
    }
}

static bool trained_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* arithmetic on given memory */
    struct trained_quantizer *trained = call->node->detail;
    const struct quantizer *quantizer = trained->quantizer;
    size_t count = element_count(call);
    bool drops = trained->drop > 0.0;
    const float *gradient = drops ? split_gradient(call, trained, count) : call->grad_out[0];
    struct fake_quantize_grad sums = {0};
    fake_quantize_f32_grad(call->in[0], count, quantizer->scales[0], quantizer->zero_points[0],
                           quantizer->low, quantizer->high, gradient, drops ? NULL : call->rest,
                           call->fresh[0] && !drops, call->grad_in[0], &sums);
    if (drops && call->rest && call->grad_in[0])
        complete_gradient(call, count);
    trained->grad_scale = sums.scale + (call->adds ? trained->grad_scale : 0.0);
    trained->grad_zero_point = sums.zero_point + (call->adds ? trained->grad_zero_point : 0.0);
    return true;
}

static const struct op op_trained_quantize = {
    .name = "FakeQuantize",
    .layout = LAYOUT_FOLLOW,
    .infer = trained_infer,
    .scratch_bytes = trained_scratch_bytes,
    .forward = trained_forward,
    .backward = trained_backward,
    .writes_fresh = true,
    .completes_gradient = true,
};

/* ---- the graph ---- */

static bool copy_tensors(const struct graph *from, struct graph *to, struct error *err)
{
    for (int i = 0; i < from->tensor_count; i++) {
        struct tensor copy = from->tensors[i];
        int index;
        copy.producer = -1;
        if (!graph_add_tensor(to, &copy, false, &index, err))
            return false;
    }
    return true;
}

static int activation_of(const struct quant_network *network, int tensor)
{
    for (int i = 0; i < network->activation_count; i++)
        if (network->activations[i].output == tensor)
            return i;
    return -1;
}

static bool add_quantizer(const struct quant_network *network, const struct node *node,
                          struct unit_graph *unit, struct error *err)
{
    struct trained_quantizer *trained = &unit->quantizers[unit->quantizer_count++];
    trained->activation = activation_of(network, node->outputs[0]);
    trained->quantizer = &network->activations[trained->activation].quantizer;
    struct node copy = *node;
    copy.op = &op_trained_quantize;
    copy.detail = trained;
    int index;
    return graph_add_node(unit->graph, &copy, &index, err);
}

/* Marks the nodes of the unit that lead from its input to its output. */
static void mark_nodes(const struct graph *graph, const struct unit *unit, bool *tensors,
                       bool *nodes)
{
    tensors[unit->output] = true;
    for (int i = unit->last; i >= unit->start; i--) {
        const struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->output_count; j++)
            nodes[i] |= node->outputs[j] != NODE_ABSENT && tensors[node->outputs[j]];
        for (int j = 0; nodes[i] && j < node->input_count; j++)
            if (node->inputs[j] != NODE_ABSENT)
                tensors[node->inputs[j]] = true;
    }
}

static bool add_nodes(struct arena *arena, const struct quant_network *network,
                      const struct unit *unit, struct unit_graph *out, struct error *err)
{
    const struct graph *graph = network->graph;
    bool *tensors = ARENA_ARRAY(arena, bool, graph->tensor_count, err);
    bool *nodes = ARENA_ARRAY(arena, bool, graph->node_count, err);
    if (!tensors || !nodes)
        return false;
    mark_nodes(graph, unit, tensors, nodes);
    for (int i = unit->start; i <= unit->last; i++) {
        struct node copy = graph->nodes[i];
        int index;
        if (!nodes[i])
            continue;
        if (copy.op == &op_fake_quantize) {
            if (!add_quantizer(network, &graph->nodes[i], out, err))
                return false;
            continue;
        }
        copy.op = NULL; /* resolved and inferred again */
        copy.detail = NULL;
        if (!graph_add_node(out->graph, &copy, &index, err))
            return false;
    }
    return true;
}

bool unit_graph_create(struct arena *arena, const struct quant_network *network,
                       const struct unit *unit, struct unit_graph *out_graph, struct error *err)
{
    const struct graph *graph = network->graph;
    struct unit_graph created = {
        .quantizers =
            ARENA_ARRAY(arena, struct trained_quantizer, unit->last - unit->start + 1, err),
    };
    if (!created.quantizers || !graph_create(arena, &created.graph, err) ||
        !copy_tensors(graph, created.graph, err))
        return false;
    created.graph->opset = graph->opset;
    created.graph->input = unit->input;
    created.graph->output = unit->output;
    if (!add_nodes(arena, network, unit, &created, err) || !graph_refinish(created.graph, err))
        return error_context(err, "unit '%s'", unit->name);
    *out_graph = created;
    return true;
}

bool unit_graph_prepare_drop(struct unit_graph *graph, struct arena *arena, int64_t batch,
                             double probability, struct rng *rng, struct error *err)
{
    for (int i = 0; probability > 0.0 && i < graph->graph->node_count; i++) {
        const struct node *node = &graph->graph->nodes[i];
        if (node->op != &op_trained_quantize)
            continue;
        struct trained_quantizer *trained = node->detail;
        int64_t count = tensor_elements(&graph->graph->tensors[node->inputs[0]], batch);
        trained->kept = ARENA_ARRAY(arena, unsigned char, count, err);
        if (!trained->kept)
            return false;
        trained->rng = rng;
    }
    unit_graph_set_drop(graph, probability);
    return true;
}

void unit_graph_set_drop(struct unit_graph *graph, double probability)
{
    for (int i = 0; i < graph->quantizer_count; i++)
        graph->quantizers[i].drop = probability;
}
