/* The order of execution: depth-first from each node in the file's order, producers first. A list
 * that is sorted already stays as it is. The walk keeps its own stack, so that a file can't exhaust
 * the thread's. */

#include "ptqd/nn/op.h"
#include "ptqd/nn/passes.h"

#include <string.h>

enum mark { UNSEEN, OPEN, DONE };

struct frame {
    int node;
    int next_input;
};

struct walk {
    const struct graph *graph;
    enum mark *marks;     /* [node_count] */
    struct frame *frames; /* [node_count] */
    int depth;
    int *order; /* [node_count] */
    int count;
};

static bool is_provided(const struct graph *graph, int tensor)
{
    const struct tensor *t = &graph->tensors[tensor];
    return tensor == graph->input || t->producer >= 0 || t->values != NULL || t->integers != NULL;
}

/* The next producer of the node on top that is not DONE; -1 when there is none left. */
static bool next_producer(struct walk *walk, struct frame *frame, int *out_producer,
                          struct error *err)
{
    const struct graph *graph = walk->graph;
    const struct node *node = &graph->nodes[frame->node];
    while (frame->next_input < node->input_count) {
        int tensor = node->inputs[frame->next_input++];
        if (tensor == NODE_ABSENT)
            continue;
        if (!is_provided(graph, tensor))
            return FAIL(err, E_INVALID,
                        "node '%s' (%s) reads '%s', which no node, input or initializer provides",
                        node->name, node->op_type, graph->tensors[tensor].name);
        int producer = graph->tensors[tensor].producer;
        if (producer < 0 || walk->marks[producer] == DONE)
            continue;
        if (walk->marks[producer] == OPEN)
            return FAIL(err, E_INVALID,
                        "node '%s' (%s) depends on its own output through '%s': the graph has a "
                        "cycle",
                        graph->nodes[producer].name, graph->nodes[producer].op_type,
                        graph->tensors[tensor].name);
        *out_producer = producer;
        return true;
    }
    *out_producer = -1;
    return true;
}

static void open_node(struct walk *walk, int node)
{
    walk->marks[node] = OPEN;
    walk->frames[walk->depth++] = (struct frame){.node = node};
}

static bool visit(struct walk *walk, int root, struct error *err)
{
    open_node(walk, root);
    while (walk->depth > 0) {
        struct frame *top = &walk->frames[walk->depth - 1];
        int producer;
        if (!next_producer(walk, top, &producer, err))
            return false;
        if (producer >= 0) {
            open_node(walk, producer);
            continue;
        }
        walk->marks[top->node] = DONE;
        walk->order[walk->count++] = top->node;
        walk->depth--;
    }
    return true;
}

void graph_replace_nodes(struct graph *graph, struct node *nodes, int count, int capacity)
{
    graph->nodes = nodes;
    graph->node_count = count;
    graph->node_capacity = capacity;
    for (int i = 0; i < graph->tensor_count; i++)
        graph->tensors[i].producer = -1;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < nodes[i].output_count; j++)
            if (nodes[i].outputs[j] != NODE_ABSENT)
                graph->tensors[nodes[i].outputs[j]].producer = i;
}

bool graph_sort(struct graph *graph, struct error *err)
{
    int count = graph->node_count;
    struct walk walk = {.graph = graph};
    walk.marks = ARENA_ARRAY(graph->arena, enum mark, count, err);
    walk.frames = ARENA_ARRAY(graph->arena, struct frame, count, err);
    walk.order = ARENA_ARRAY(graph->arena, int, count, err);
    struct node *sorted = ARENA_ARRAY(graph->arena, struct node, count, err);
    if (walk.marks == NULL || walk.frames == NULL || walk.order == NULL || sorted == NULL)
        return false;

    for (int i = 0; i < count; i++)
        if (walk.marks[i] == UNSEEN && !visit(&walk, i, err))
            return false;
    for (int i = 0; i < count; i++)
        sorted[i] = graph->nodes[walk.order[i]];
    graph_replace_nodes(graph, sorted, count, count);
    return true;
}

/* Outputs from the second on that nothing reads are cut off at the end of the list. */
static void drop_unused_outputs(struct node *node, const bool *needed)
{
    const struct op *op = node->op != NULL ? node->op : op_find(node->op_type);
    if (op != NULL && op->needs_outputs)
        return;
    while (node->output_count > 1) {
        int last = node->outputs[node->output_count - 1];
        if (last != NODE_ABSENT && needed[last])
            return;
        node->output_count--;
    }
}

bool graph_prune(struct graph *graph, struct error *err)
{
    bool *needed = ARENA_ARRAY(graph->arena, bool, graph->tensor_count, err);
    bool *live = ARENA_ARRAY(graph->arena, bool, graph->node_count, err);
    if (needed == NULL || live == NULL)
        return false;

    needed[graph->output] = true;
    for (int i = graph->node_count - 1; i >= 0; i--) {
        struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->output_count; j++)
            live[i] |= node->outputs[j] != NODE_ABSENT && needed[node->outputs[j]];
        for (int j = 0; live[i] && j < node->input_count; j++)
            if (node->inputs[j] != NODE_ABSENT)
                needed[node->inputs[j]] = true;
    }

    int kept = 0;
    for (int i = 0; i < graph->node_count; i++) {
        if (!live[i])
            continue;
        drop_unused_outputs(&graph->nodes[i], needed);
        graph->nodes[kept++] = graph->nodes[i];
    }
    graph_replace_nodes(graph, graph->nodes, kept, graph->node_capacity);
    return true;
}

static void renumber(int *tensor, const int *number)
{
    if (*tensor >= 0)
        *tensor = number[*tensor];
}

bool graph_compact(struct graph *graph, struct error *err)
{
    int *number = ARENA_ARRAY(graph->arena, int, graph->tensor_count, err);
    if (number == NULL)
        return false;

    /* First a mark at every tensor in use, then its new number. */
    number[graph->input] = number[graph->output] = 1;
    for (int i = 0; i < graph->node_count; i++) {
        const struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] != NODE_ABSENT)
                number[node->inputs[j]] = 1;
        for (int j = 0; j < node->output_count; j++)
            if (node->outputs[j] != NODE_ABSENT)
                number[node->outputs[j]] = 1;
        for (int j = 0; j < node->attribute_count; j++)
            if (node->attributes[j].type == ATTRIBUTE_TENSOR && node->attributes[j].tensor >= 0)
                number[node->attributes[j].tensor] = 1;
    }
    int kept = 0;
    for (int i = 0; i < graph->tensor_count; i++) {
        if (!number[i])
            continue;
        graph->tensors[kept] = graph->tensors[i];
        number[i] = kept++;
    }
    graph->tensor_count = kept;

    renumber(&graph->input, number);
    renumber(&graph->output, number);
    for (int i = 0; i < graph->node_count; i++) {
        struct node *node = &graph->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            renumber(&node->inputs[j], number);
        for (int j = 0; j < node->output_count; j++)
            renumber(&node->outputs[j], number);
        for (int j = 0; j < node->attribute_count; j++)
            if (node->attributes[j].type == ATTRIBUTE_TENSOR)
                renumber(&node->attributes[j].tensor, number);
    }
    return true;
}
