/* From what a file says to a graph that can be executed: the order of the steps, and the checks
 * between them. */

#include "ptqd/base/text.h"
#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

#include <inttypes.h>
#include <math.h>

static bool check_ends(const struct graph *graph, struct error *err)
{
    if (graph->input < 0 || graph->output < 0)
        return FAIL(err, E_INVALID, "the network has no %s; one is needed",
                    graph->input < 0 ? "input" : "output");
    if (graph->node_count == 0)
        return FAIL(err, E_INVALID, "the network has no nodes");

    const struct tensor *input = &graph->tensors[graph->input];
    if (input->type != TENSOR_F32)
        return FAIL(err, E_UNSUPPORTED, "input '%s' is int64; only float32 is supported",
                    input->name);
    return shape_check(&input->shape, input->name, err);
}

static bool check_depends_on_input(const struct graph *graph, struct error *err)
{
    const struct tensor *output = &graph->tensors[graph->output];
    if (!output->batched)
        return FAIL(err, E_INVALID, "output '%s' does not depend on input '%s'", output->name,
                    graph->tensors[graph->input].name);
    return true;
}

/* A small file can have maps of 2^40 elements under large filters. */
static bool check_macs(const struct graph *graph, struct error *err)
{
    int64_t sum = 0;
    for (int i = 0; i < graph->node_count; i++)
        if (__builtin_add_overflow(sum, node_macs(graph, &graph->nodes[i]), &sum))
            return FAIL(err, E_INVALID, "more than 2^63 multiply-accumulates");
    return true;
}

static bool check_constant(const struct op *op, const struct tensor *tensor, struct error *err)
{
    if (tensor->values == NULL)
        return true;
    int64_t count = shape_elements(&tensor->shape);
    for (int64_t i = 0; i < count; i++)
        if (isnan(tensor->values[i]) || (isinf(tensor->values[i]) && !op->infinite_constants))
            return FAIL(err, E_INVALID, "element %" PRId64 " of '%s' is %g; weights must be finite",
                        i, tensor->name, (double)tensor->values[i]);
    return true;
}

static bool check_constants(const struct graph *graph, struct error *err)
{
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] != NODE_ABSENT &&
                !check_constant(node->op, &graph->tensors[node->inputs[j]], err))
                return error_context(err, "node '%s' (%s)", node->name, node->op_type);
    }
    return true;
}

enum { UNSUPPORTED_TEXT_BYTES = 800 }; /* leaves room for a context in struct error */

/* [tensors] Lists of integers that are there; of a file that is not read to its end, also what
 * nothing writes yet. */
static bool *find_integers(const struct graph *graph, struct error *err)
{
    bool *is_integer = ARENA_ARRAY(graph->arena, bool, graph->tensor_count, err);
    for (int i = 0; is_integer != NULL && i < graph->tensor_count; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        is_integer[i] = tensor->integers != NULL ||
                        (tensor->values == NULL && tensor->producer < 0 && i != graph->input);
    }
    return is_integer;
}

/* The operator of a node that has none yet; NULL when it is not supported. */
static const struct op *resolve(const struct node *node, bool *is_integer)
{
    if (!integers_make(node, is_integer))
        return op_find(node->op_type);
    is_integer[node->outputs[0]] = true;
    return &op_integers;
}

bool graph_resolve(struct graph *graph, struct error *err)
{
    bool *is_integer = find_integers(graph, err);
    if (is_integer == NULL)
        return false;
    struct text list;
    text_init(&list, ERROR_MESSAGE_BYTES);
    int missing = 0, hidden = 0;
    for (int i = 0; i < graph->node_count; i++) {
        struct node *node = &graph->nodes[i];
        if (node->op == NULL)
            node->op = resolve(node, is_integer);
        if (node->op != NULL)
            continue;
        missing++;
        if (list.length + 64 < UNSUPPORTED_TEXT_BYTES)
            text_printf(&list, "%s'%.100s' (%.50s)", missing > 1 ? ", " : "", node->name,
                        node->op_type);
        else
            hidden++;
    }
    if (hidden > 0)
        text_printf(&list, " and %d more", hidden);

    bool complete = missing == 0 ||
                    FAIL(err, E_UNSUPPORTED, "%d node%s with an operator that is not supported: %s",
                         missing, missing > 1 ? "s" : "", list.bytes != NULL ? list.bytes : "");
    text_finish(&list);
    return complete;
}

/* Inputs that a node may read the samples from. */
static bool reads_batched(const struct graph *graph, const struct node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT && graph->tensors[node->inputs[i]].batched)
            return true;
    return false;
}

/* Whether the axes of the outputs are moved, from those of the inputs and the operator's layout. */
static bool output_channels_last(const struct graph *graph, const struct node *node)
{
    const struct tensor *output = &graph->tensors[node->outputs[0]];
    int last = node->op->layout == LAYOUT_MATCH ? node->input_count : 1;
    switch (node->op->layout) {
    case LAYOUT_PLAIN:
        return output->channels_last; /* of a Transpose: where it leads to */
    case LAYOUT_SPATIAL:
    case LAYOUT_FOLLOW:
    case LAYOUT_MATCH:
        break;
    }
    for (int i = 0; i < last && i < node->input_count; i++) {
        if (node->inputs[i] == NODE_ABSENT)
            continue;
        const struct tensor *input = &graph->tensors[node->inputs[i]];
        if (input->batched && input->channels_last && input->shape.rank == output->shape.rank)
            return true;
    }
    return false;
}

/* What makes several samples at once impossible and shows in the shapes alone. */
static bool mixes_samples(const struct graph *graph, const struct node *node)
{
    const struct shape *shape = &graph->tensors[node->outputs[0]].shape;
    if (shape->rank == 0 || shape->dim[0] != 1)
        return true;
    if (node->op->layout != LAYOUT_MATCH)
        return false;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == NODE_ABSENT)
            continue;
        const struct tensor *input = &graph->tensors[node->inputs[i]];
        if (input->batched && input->shape.rank != shape->rank)
            return true;
    }
    return false;
}

bool node_infer(struct graph *graph, struct node *node, struct error *err)
{
    bool batched = reads_batched(graph, node);
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != NODE_ABSENT)
            graph->tensors[node->outputs[i]].batched = batched;
    if (node->op->infer != NULL && !node->op->infer(graph, node, err))
        return error_context(err, "node '%s' (%s)", node->name, node->op_type);
    if (!batched)
        return true;

    bool channels_last = output_channels_last(graph, node);
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != NODE_ABSENT)
            graph->tensors[node->outputs[i]].channels_last = channels_last;
    if (mixes_samples(graph, node))
        graph->batchable = false;
    return true;
}

static void begin_inference(struct graph *graph)
{
    struct tensor *input = &graph->tensors[graph->input];
    input->batched = true;
    graph->batchable = input->shape.rank > 0 && input->shape.dim[0] == 1;
}

bool graph_infer(struct graph *graph, struct error *err)
{
    begin_inference(graph);
    for (int i = 0; i < graph->node_count; i++)
        if (!node_infer(graph, &graph->nodes[i], err))
            return false;
    return true;
}

static bool is_constant(const struct graph *graph, int tensor)
{
    return graph->tensors[tensor].values != NULL || graph->tensors[tensor].integers != NULL;
}

bool graph_infer_constants(struct graph *graph, struct error *err)
{
    begin_inference(graph);
    int kept = 0;
    for (int i = 0; i < graph->node_count; i++) {
        struct node *node = &graph->nodes[i];
        if (node->op == &op_integers) {
            if (!integers_evaluate(graph, node, err))
                return error_context(err, "node '%s' (%s)", node->name, node->op_type);
            continue;
        }
        if (!node_infer(graph, node, err))
            return false;
        if (reads_batched(graph, node))
            graph->nodes[kept++] = *node;
        else if (!is_constant(graph, node->outputs[0]) && !node_evaluate(graph, node, err))
            return error_context(err, "node '%s' (%s)", node->name, node->op_type);
    }
    graph_replace_nodes(graph, graph->nodes, kept, graph->node_capacity);
    return true;
}

bool graph_finish(struct graph *graph, struct error *err)
{
    if (!check_ends(graph, err) || !graph_sort(graph, err) || !graph_prune(graph, err) ||
        !graph_resolve(graph, err) || !graph_infer_constants(graph, err) ||
        !check_depends_on_input(graph, err) || !check_macs(graph, err) ||
        !check_constants(graph, err))
        return false;
    if (!graph_sink_transposes(graph, err) || !graph_layout(graph, err) ||
        !graph_merge_transposes(graph, err) || !graph_compact(graph, err))
        return false;
    graph->finished = true;
    return true;
}

bool graph_refinish(struct graph *graph, struct error *err)
{
    if (!check_ends(graph, err) || !graph_sort(graph, err) || !graph_prune(graph, err) ||
        !graph_resolve(graph, err) || !graph_infer(graph, err) ||
        !check_depends_on_input(graph, err) || !check_macs(graph, err))
        return false;
    graph->finished = true;
    return true;
}
