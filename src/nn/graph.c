#include "ptqd/nn/graph.h"

#include "ptqd/nn/op.h"

#include <string.h>

/* Ceilings of a network: far above any for small devices, and low enough that steps whose cost
 * grows with the square of the nodes take less than a second. */
enum { TENSORS_MAX = 1 << 16, NODES_MAX = 1 << 14, NODE_LIST_MAX = 1 << 12 };

bool graph_create(struct arena *arena, struct graph **out_graph, struct error *err)
{
    struct graph *graph = ARENA_NEW(arena, struct graph, err);
    if (graph == NULL)
        return false;
    *graph = (struct graph){.arena = arena, .opset = 17, .input = -1, .output = -1};
    *out_graph = graph;
    return true;
}

/* Room for one more in an array of the graph; the old array stays in the arena. */
static bool grow(struct arena *arena, void **array, int count, int *capacity, size_t item_bytes,
                 int limit, const char *what, struct error *err)
{
    if (count < *capacity)
        return true;
    if (count >= limit)
        return FAIL(err, E_TOO_LARGE, "the network has more than %d %s", limit, what);

    int larger = *capacity == 0 ? 64 : 2 * *capacity;
    void *moved = arena_array(arena, (size_t)larger, item_bytes, err);
    if (moved == NULL)
        return false;
    if (count > 0)
        memcpy(moved, *array, (size_t)count * item_bytes);
    *array = moved;
    *capacity = larger;
    return true;
}

static bool copy_constant(struct graph *graph, struct tensor *tensor, struct error *err)
{
    if (tensor->values == NULL && tensor->integers == NULL)
        return true;

    size_t count = (size_t)shape_elements(&tensor->shape);
    if (tensor->values != NULL)
        tensor->values =
            arena_memdup(graph->arena, tensor->values, count * sizeof(*tensor->values), err);
    else
        tensor->integers =
            arena_memdup(graph->arena, tensor->integers, count * sizeof(*tensor->integers), err);
    return tensor->values != NULL || tensor->integers != NULL;
}

bool graph_add_tensor(struct graph *graph, const struct tensor *tensor, bool copy_data,
                      int *out_index, struct error *err)
{
    struct tensor copy = *tensor;
    bool constant = copy.values != NULL || copy.integers != NULL;
    copy.producer = -1;
    copy.name = arena_strdup(graph->arena, tensor->name != NULL ? tensor->name : "", err);
    if (copy.name == NULL)
        return false;
    if (constant && !shape_is_empty_list(&copy.shape) && !shape_check(&copy.shape, copy.name, err))
        return false;
    if (copy_data && !copy_constant(graph, &copy, err))
        return false;

    void *tensors = graph->tensors;
    if (!grow(graph->arena, &tensors, graph->tensor_count, &graph->tensor_capacity,
              sizeof(*graph->tensors), TENSORS_MAX, "tensors", err))
        return false;
    graph->tensors = tensors;
    graph->tensors[graph->tensor_count] = copy;
    *out_index = graph->tensor_count++;
    return true;
}

static bool copy_indices(struct graph *graph, int **indices, int count, const char *what,
                         struct error *err)
{
    if (count < 0 || count > NODE_LIST_MAX)
        return FAIL(err, E_INVALID, "%d %s; at most %d are supported", count, what, NODE_LIST_MAX);
    for (int i = 0; i < count; i++) {
        int tensor = (*indices)[i];
        if (tensor < NODE_ABSENT || tensor >= graph->tensor_count)
            return FAIL(err, E_INTERNAL, "%s %d is tensor %d; the graph has %d", what, i, tensor,
                        graph->tensor_count);
    }
    *indices = arena_memdup(graph->arena, *indices, (size_t)count * sizeof(**indices), err);
    return *indices != NULL;
}

/* Strings and lists of one attribute. */
static bool copy_attribute(const struct graph *graph, struct attribute *attribute,
                           struct error *err)
{
    struct arena *arena = graph->arena;
    attribute->name = arena_strdup(arena, attribute->name, err);
    if (attribute->name == NULL)
        return false;
    switch (attribute->type) {
    case ATTRIBUTE_STRING:
        attribute->string = arena_strdup(arena, attribute->string, err);
        return attribute->string != NULL;
    case ATTRIBUTE_INTS:
        attribute->integers = arena_memdup(arena, attribute->integers,
                                           attribute->count * sizeof(*attribute->integers), err);
        return attribute->integers != NULL;
    case ATTRIBUTE_FLOATS:
        attribute->reals = arena_memdup(arena, attribute->reals,
                                        attribute->count * sizeof(*attribute->reals), err);
        return attribute->reals != NULL;
    case ATTRIBUTE_TENSOR:
        if (attribute->tensor < 0 || attribute->tensor >= graph->tensor_count)
            return FAIL(err, E_INTERNAL, "attribute '%s' is tensor %d; the graph has %d",
                        attribute->name, attribute->tensor, graph->tensor_count);
        return true;
    case ATTRIBUTE_INT:
    case ATTRIBUTE_FLOAT:
        return true;
    }
    return FAIL(err, E_INTERNAL, "attribute '%s' has type %d", attribute->name, attribute->type);
}

static bool copy_attributes(struct graph *graph, struct node *node, struct error *err)
{
    if (node->attribute_count < 0 || node->attribute_count > NODE_LIST_MAX)
        return FAIL(err, E_INVALID, "%d attributes; at most %d are supported",
                    node->attribute_count, NODE_LIST_MAX);
    node->attributes = arena_memdup(graph->arena, node->attributes,
                                    (size_t)node->attribute_count * sizeof(*node->attributes), err);
    if (node->attributes == NULL)
        return false;
    for (int i = 0; i < node->attribute_count; i++)
        if (!copy_attribute(graph, &node->attributes[i], err))
            return false;
    return true;
}

static bool copy_node(struct graph *graph, struct node *node, struct error *err)
{
    node->op_type = arena_strdup(graph->arena, node->op_type, err);
    if (node->op_type == NULL)
        return false;
    if (node->name == NULL || node->name[0] == '\0')
        node->name = arena_printf(graph->arena, err, "%s_%d", node->op_type, graph->node_count);
    else
        node->name = arena_strdup(graph->arena, node->name, err);
    if (node->name == NULL)
        return false;
    if (!copy_indices(graph, &node->inputs, node->input_count, "inputs", err) ||
        !copy_indices(graph, &node->outputs, node->output_count, "outputs", err) ||
        !copy_attributes(graph, node, err))
        return error_context(err, "node '%s' (%s)", node->name, node->op_type);
    return true;
}

/* One producer per tensor, and none for constants and the network's input. */
static bool check_outputs(const struct graph *graph, const struct node *node, struct error *err)
{
    for (int i = 0; i < node->output_count; i++) {
        int index = node->outputs[i];
        if (index == NODE_ABSENT)
            continue;
        const struct tensor *tensor = &graph->tensors[index];
        if (tensor->producer >= 0)
            return FAIL(err, E_INVALID,
                        "node '%s' (%s) writes '%s', which node '%s' writes already", node->name,
                        node->op_type, tensor->name, graph->nodes[tensor->producer].name);
        if (tensor->values != NULL || tensor->integers != NULL || index == graph->input)
            return FAIL(err, E_INVALID, "node '%s' (%s) writes '%s', which is %s", node->name,
                        node->op_type, tensor->name,
                        index == graph->input ? "the network's input" : "a constant");
        for (int j = 0; j < i; j++)
            if (node->outputs[j] == index)
                return FAIL(err, E_INVALID, "node '%s' (%s) writes '%s' twice", node->name,
                            node->op_type, tensor->name);
    }
    return true;
}

bool graph_add_node(struct graph *graph, const struct node *node, int *out_index, struct error *err)
{
    struct node copy = *node;
    if (!copy_node(graph, &copy, err) || !check_outputs(graph, &copy, err))
        return false;

    void *nodes = graph->nodes;
    if (!grow(graph->arena, &nodes, graph->node_count, &graph->node_capacity, sizeof(*graph->nodes),
              NODES_MAX, "nodes", err))
        return false;
    graph->nodes = nodes;
    graph->nodes[graph->node_count] = copy;
    for (int i = 0; i < copy.output_count; i++)
        if (copy.outputs[i] != NODE_ABSENT)
            graph->tensors[copy.outputs[i]].producer = graph->node_count;
    *out_index = graph->node_count++;
    return true;
}

int graph_find_tensor(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->tensor_count; i++)
        if (strcmp(graph->tensors[i].name, name) == 0)
            return i;
    return -1;
}

int graph_find_node(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->node_count; i++)
        if (strcmp(graph->nodes[i].name, name) == 0)
            return i;
    return -1;
}

static bool node_reads(const struct node *node, int tensor)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] == tensor)
            return true;
    return false;
}

int graph_reader_count(const struct graph *graph, int tensor)
{
    int count = graph->output == tensor;
    for (int i = 0; i < graph->node_count; i++)
        count += node_reads(&graph->nodes[i], tensor);
    return count;
}

int graph_only_reader(const struct graph *graph, int tensor)
{
    if (graph->output == tensor)
        return -1;
    int reader = -1;
    for (int i = 0; i < graph->node_count; i++) {
        if (!node_reads(&graph->nodes[i], tensor))
            continue;
        if (reader >= 0)
            return -1;
        reader = i;
    }
    return reader;
}

int graph_before_softmax(const struct graph *graph, int tensor)
{
    int producer = graph->tensors[tensor].producer;
    bool is_softmax = producer >= 0 && strcmp(graph->nodes[producer].op_type, "Softmax") == 0;
    return is_softmax ? graph->nodes[producer].inputs[0] : tensor;
}

const struct attribute *node_attribute(const struct node *node, const char *name)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}
