/* The change to channels-last.
 *
 * Nodes are visited in order of execution. Spatial operators (Conv, pooling) get their input in
 * (N, …, C) and give their output in it; elementwise operators keep what they get; everything else
 * reads the file's order. Where a tensor is wanted in the other order one Transpose is inserted,
 * however many read it. The network's input and output keep the file's order.
 *
 * A plain chain Conv → Relu → … → GlobalAveragePool → Flatten → Gemm thus has one Transpose at its
 * input, and one that moves axes of extent 1 only (a view) before Flatten.
 */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

struct move {
    struct graph *graph;
    struct node *nodes; /* the new list */
    int count;
    int *twins;     /* [tensor_count]: the same tensor in the other order, -1: not made yet */
    int twin_count; /* tensors of the graph before the move */
};

static bool has_order(const struct tensor *tensor)
{
    return tensor->shape.rank == 3 || tensor->shape.rank == 4;
}

static bool append(struct move *move, struct node *node, struct error *err)
{
    move->nodes[move->count] = *node;
    struct node *kept = &move->nodes[move->count];
    for (int i = 0; i < kept->output_count; i++)
        if (kept->outputs[i] != NODE_ABSENT)
            move->graph->tensors[kept->outputs[i]].producer = move->count;
    move->count++;
    return node_infer(move->graph, kept, err);
}

/* Inserts a Transpose behind a tensor, into the other order. */
static bool add_twin(struct move *move, int tensor, int *out_twin, struct error *err)
{
    struct graph *graph = move->graph;
    struct tensor twin = graph->tensors[tensor];
    int rank = twin.shape.rank;
    int perm[SHAPE_RANK_MAX];
    twin.channels_last = !twin.channels_last;
    if (twin.channels_last)
        layout_to_channels_last(rank, perm);
    else
        layout_to_file_order(rank, perm);
    twin.shape = shape_permuted(&twin.shape, perm);
    twin.name = arena_printf(graph->arena, err, "%s:%s", twin.name,
                             layout_suffix(rank, twin.channels_last));
    if (twin.name == NULL || !graph_add_tensor(graph, &twin, false, out_twin, err))
        return false;

    struct node node;
    return transpose_node(graph, tensor, *out_twin, perm, &node, err) && append(move, &node, err);
}

/* Replaces a computed input by the same tensor in the order that is wanted. */
static bool want(struct move *move, int *input, bool channels_last, struct error *err)
{
    if (*input == NODE_ABSENT)
        return true;
    const struct tensor *tensor = &move->graph->tensors[*input];
    if (!tensor->batched || !has_order(tensor) || tensor->channels_last == channels_last)
        return true;
    int *twin = &move->twins[*input];
    if (*twin < 0 && !add_twin(move, *input, twin, err))
        return false;
    *input = *twin;
    return true;
}

/* A constant of a broadcast: as many axes as the output, moved. One element needs neither. */
static bool move_constant(struct graph *graph, struct node *node, int input, int rank,
                          struct error *err)
{
    int index = node->inputs[input];
    struct tensor padded = graph->tensors[index];
    if (padded.values == NULL || padded.channels_last || shape_elements(&padded.shape) == 1)
        return true;

    int missing = rank - padded.shape.rank;
    if (missing > 0) {
        struct shape shape = {.rank = rank};
        for (int i = 0; i < rank; i++)
            shape.dim[i] = i < missing ? 1 : padded.shape.dim[i - missing];
        padded.shape = shape;
        if (graph_reader_count(graph, index) == 1)
            graph->tensors[index] = padded;
        else if (!graph_add_tensor(graph, &padded, false, &node->inputs[input], err))
            return false;
    }
    int perm[SHAPE_RANK_MAX];
    layout_to_channels_last(rank, perm);
    return relayout_constant(graph, node, input, perm, layout_suffix(rank, true), err);
}

/* Whether a node computes channels-last, given the orders its inputs have by now. */
static bool moves(const struct graph *graph, const struct node *node)
{
    const struct tensor *output = &graph->tensors[node->outputs[0]];
    if (!has_order(output) || node->op->layout == LAYOUT_PLAIN)
        return false;
    if (node->op->layout == LAYOUT_SPATIAL)
        return graph->tensors[node->inputs[0]].shape.rank == output->shape.rank;

    bool any = false;
    int last = node->op->layout == LAYOUT_MATCH ? node->input_count : 1;
    for (int i = 0; i < last; i++) {
        if (node->inputs[i] == NODE_ABSENT || !graph->tensors[node->inputs[i]].batched)
            continue;
        if (graph->tensors[node->inputs[i]].shape.rank != output->shape.rank)
            return false;
        any |= graph->tensors[node->inputs[i]].channels_last;
    }
    return any;
}

static bool move_node(struct move *move, struct node *node, struct error *err)
{
    struct graph *graph = move->graph;
    bool channels_last = moves(graph, node);
    int rank = graph->tensors[node->outputs[0]].shape.rank;
    for (int i = 0; i < node->input_count; i++) {
        if (!want(move, &node->inputs[i], channels_last, err))
            return false;
        if (channels_last && node->op->layout == LAYOUT_MATCH && node->inputs[i] != NODE_ABSENT &&
            !move_constant(graph, node, i, rank, err))
            return false;
    }
    if (channels_last && node->op->relayout != NULL && !node->op->relayout(graph, node, err))
        return error_context(err, "node '%s' (%s)", node->name, node->op_type);
    return append(move, node, err);
}

/* The network's output in the file's order, under the file's name. */
static bool move_output(struct move *move, struct error *err)
{
    struct graph *graph = move->graph;
    int computed = graph->output;
    if (!want(move, &graph->output, false, err))
        return false;
    if (graph->output == computed)
        return true;
    const char *name = graph->tensors[computed].name;
    graph->tensors[computed].name =
        arena_printf(graph->arena, err, "%s:%s", name,
                     layout_suffix(graph->tensors[computed].shape.rank, true));
    graph->tensors[graph->output].name = name;
    return graph->tensors[computed].name != NULL;
}

bool graph_layout(struct graph *graph, struct error *err)
{
    int capacity = graph->node_count + graph->tensor_count + 1;
    struct move move = {.graph = graph, .twin_count = graph->tensor_count};
    move.nodes = ARENA_ARRAY(graph->arena, struct node, capacity, err);
    move.twins = ARENA_ARRAY(graph->arena, int, move.twin_count, err);
    if (move.nodes == NULL || move.twins == NULL)
        return false;
    for (int i = 0; i < move.twin_count; i++)
        move.twins[i] = -1;

    for (int i = 0; i < graph->node_count; i++)
        if (!move_node(&move, &graph->nodes[i], err))
            return false;
    if (!move_output(&move, err))
        return false;
    graph_replace_nodes(graph, move.nodes, move.count, capacity);
    return true;
}
