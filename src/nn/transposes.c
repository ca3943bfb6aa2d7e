/* Rewriting of Transpose nodes.
 *
 * A file whose own order is channels-last (TFLite) arrives as Conv between transposes:
 *
 *   T(0,3,1,2) → Conv → T(0,2,3,1) → Relu → T(0,3,1,2) → Conv → …
 *
 * Sinking exchanges T(0,2,3,1) with the elementwise operator behind it, so that it meets the
 * T(0,3,1,2) of the next Conv; merging composes the two to nothing. What is left is the graph that
 * an ONNX file of the same network gives, with transposes at its ends only.
 */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

#include <string.h>

const char *layout_suffix(int rank, bool channels_last)
{
    if (rank == 3)
        return channels_last ? "nwc" : "ncw";
    return channels_last ? "nhwc" : "nchw";
}

bool transpose_node(struct graph *graph, int input, int output, const int *perm,
                    struct node *out_node, struct error *err)
{
    struct arena *arena = graph->arena;
    int rank = graph->tensors[input].shape.rank;
    int *ends = ARENA_ARRAY(arena, int, 2, err);
    int64_t *axes = ARENA_ARRAY(arena, int64_t, rank, err);
    struct attribute *attribute = ARENA_NEW(arena, struct attribute, err);
    char *name = arena_printf(arena, err, "Transpose:%s", graph->tensors[output].name);
    if (ends == NULL || axes == NULL || attribute == NULL || name == NULL)
        return false;

    ends[0] = input;
    ends[1] = output;
    for (int i = 0; i < rank; i++)
        axes[i] = perm[i];
    *attribute = (struct attribute){
        .name = "perm", .type = ATTRIBUTE_INTS, .integers = axes, .count = (size_t)rank};
    *out_node = (struct node){.name = name,
                              .op_type = "Transpose",
                              .op = op_find("Transpose"),
                              .inputs = &ends[0],
                              .outputs = &ends[1],
                              .input_count = 1,
                              .output_count = 1,
                              .attributes = attribute,
                              .attribute_count = 1};
    return true;
}

static bool perm_equal(const int *a, const int *b, int rank)
{
    return memcmp(a, b, (size_t)rank * sizeof(*a)) == 0;
}

static bool perm_is_identity(const int *perm, int rank)
{
    for (int i = 0; i < rank; i++)
        if (perm[i] != i)
            return false;
    return true;
}

/* The Transpose that writes a tensor; NULL when something else does. */
static const struct node *transpose_of(const struct graph *graph, const struct node *nodes,
                                       int tensor)
{
    int producer = graph->tensors[tensor].producer;
    if (producer < 0 || transpose_perm(&nodes[producer]) == NULL)
        return NULL;
    return &nodes[producer];
}

/* True when the tensor comes out of T(0,2,3,1) or T(0,2,1). */
static bool is_moved(const struct graph *graph, const struct node *nodes, int tensor)
{
    const struct node *transpose = transpose_of(graph, nodes, tensor);
    int rank = graph->tensors[tensor].shape.rank;
    if (transpose == NULL || (rank != 3 && rank != 4))
        return false;
    int perm[SHAPE_RANK_MAX];
    layout_to_channels_last(rank, perm);
    return perm_equal(transpose_perm(transpose), perm, rank);
}

/* Elementwise, every computed input behind T(0,2,3,1), every constant a scalar. */
static bool can_sink(const struct graph *graph, const struct node *nodes, const struct node *node)
{
    bool elementwise = (node->op->layout == LAYOUT_FOLLOW || node->op->layout == LAYOUT_MATCH) &&
                       node->op->relayout == NULL;
    if (!elementwise)
        return false;
    int rank = graph->tensors[node->outputs[0]].shape.rank;
    bool moved = false;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == NODE_ABSENT)
            continue;
        const struct tensor *input = &graph->tensors[node->inputs[i]];
        if (!input->batched && input->type == TENSOR_F32 && shape_elements(&input->shape) > 1)
            return false;
        if (!input->batched)
            continue;
        if (input->shape.rank != rank || !is_moved(graph, nodes, node->inputs[i]))
            return false;
        moved = true;
    }
    return moved;
}

/* A tensor in the file's order in front of `output`; the name goes to the side that is computed,
 * but the network's output keeps its own. */
static bool split_output(struct graph *graph, int output, int *out_inner, struct error *err)
{
    struct tensor inner = graph->tensors[output];
    int rank = inner.shape.rank;
    bool is_output = output == graph->output;
    const char *name =
        arena_printf(graph->arena, err, "%s:%s", inner.name, layout_suffix(rank, !is_output));
    if (name == NULL)
        return false;
    if (is_output)
        inner.name = name;
    else
        graph->tensors[output].name = name;
    return graph_add_tensor(graph, &inner, false, out_inner, err);
}

/* Node on the transposes' inputs, one Transpose behind it. */
static bool sink(struct graph *graph, struct node *nodes, int *count, struct node *node,
                 struct error *err)
{
    int output = node->outputs[0], inner;
    int rank = graph->tensors[output].shape.rank;
    if (!split_output(graph, output, &inner, err))
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NODE_ABSENT && graph->tensors[node->inputs[i]].batched)
            node->inputs[i] = transpose_of(graph, nodes, node->inputs[i])->inputs[0];
    node->outputs[0] = inner;

    int perm[SHAPE_RANK_MAX];
    layout_to_channels_last(rank, perm);
    struct node transpose;
    if (!transpose_node(graph, inner, output, perm, &transpose, err) ||
        !node_infer(graph, node, err) || !node_infer(graph, &transpose, err))
        return false;
    graph->tensors[inner].producer = *count;
    nodes[(*count)++] = *node;
    graph->tensors[output].producer = *count;
    nodes[(*count)++] = transpose;
    return true;
}

/* An importer's "x:nchw" → T → "x": the computed side gets the name of the file. */
static void exchange_names(struct graph *graph, const struct node *node)
{
    if (transpose_perm(node) == NULL || node->outputs[0] == graph->output)
        return;
    struct tensor *input = &graph->tensors[node->inputs[0]];
    struct tensor *output = &graph->tensors[node->outputs[0]];
    size_t length = strlen(output->name);
    if (input->producer < 0 || strncmp(input->name, output->name, length) != 0 ||
        input->name[length] != ':')
        return;
    const char *name = input->name;
    input->name = output->name;
    output->name = name;
}

bool graph_sink_transposes(struct graph *graph, struct error *err)
{
    int capacity = 2 * graph->node_count, count = 0;
    struct node *nodes = ARENA_ARRAY(graph->arena, struct node, capacity, err);
    if (nodes == NULL)
        return false;
    for (int i = 0; i < graph->node_count; i++) {
        struct node *node = &graph->nodes[i];
        exchange_names(graph, node);
        if (can_sink(graph, nodes, node)) {
            if (!sink(graph, nodes, &count, node, err))
                return error_context(err, "node '%s' (%s)", node->name, node->op_type);
            continue;
        }
        for (int j = 0; j < node->output_count; j++)
            if (node->outputs[j] != NODE_ABSENT)
                graph->tensors[node->outputs[j]].producer = count;
        nodes[count++] = *node;
    }
    graph_replace_nodes(graph, nodes, count, capacity);
    return graph_merge_transposes(graph, err);
}

/* Makes a Transpose read the origin of the transposes in front of it. */
static bool compose(struct graph *graph, struct node *node, struct error *err)
{
    const struct node *before = transpose_of(graph, graph->nodes, node->inputs[0]);
    if (before == NULL)
        return true;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    int perm[SHAPE_RANK_MAX];
    for (int i = 0; i < rank; i++)
        perm[i] = transpose_perm(before)[transpose_perm(node)[i]];

    const char *name = node->name;
    if (!transpose_node(graph, before->inputs[0], node->outputs[0], perm, node, err))
        return false;
    node->name = name;
    return node_infer(graph, node, err);
}

/* The tensor that readers of this Transpose's output may read instead; -1: none. */
static int find_equal(const struct graph *graph, int index)
{
    const struct node *node = &graph->nodes[index];
    const struct tensor *output = &graph->tensors[node->outputs[0]];
    int input = node->inputs[0], rank = output->shape.rank;
    if (node->outputs[0] == graph->output)
        return -1;
    if (perm_is_identity(transpose_perm(node), rank) &&
        graph->tensors[input].channels_last == output->channels_last)
        return input;
    for (int i = 0; i < index; i++) {
        const struct node *other = &graph->nodes[i];
        if (transpose_perm(other) != NULL && other->inputs[0] == input &&
            perm_equal(transpose_perm(other), transpose_perm(node), rank) &&
            graph->tensors[other->outputs[0]].channels_last == output->channels_last)
            return other->outputs[0];
    }
    return -1;
}

bool graph_merge_transposes(struct graph *graph, struct error *err)
{
    int *equal = ARENA_ARRAY(graph->arena, int, graph->tensor_count, err);
    if (equal == NULL)
        return false;
    for (int i = 0; i < graph->tensor_count; i++)
        equal[i] = i;

    for (int i = 0; i < graph->node_count; i++) {
        struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] != NODE_ABSENT)
                node->inputs[j] = equal[node->inputs[j]];
        if (transpose_perm(node) == NULL)
            continue;
        if (!compose(graph, node, err))
            return false;
        int other = find_equal(graph, i);
        if (other >= 0)
            equal[node->outputs[0]] = other;
    }
    return graph_prune(graph, err);
}
