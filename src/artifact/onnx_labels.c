/* Names of tensors and nodes in the file.
 *
 * A tensor keeps the name it has in the graph. Two exceptions: the output of a Transpose that
 * vanishes is the tensor before it (and the network's output gives its own name to that tensor);
 * and a constant whose name another tensor has (one weight tensor quantized for two layers, a bias
 * that folding has made) gets a number. So does a node whose name an earlier one has: files need
 * not name their nodes, and those that did not get a name from their operator, which may be taken.
 */

#include "onnx_order.h"
#include "onnx_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct label {
    const char *name;
    bool fixed; /* it stays: before those of equal names that do not */
    int index;  /* of the tensor or node */
};

bool onnx_transpose_vanishes(const struct graph *graph, const struct node *node)
{
    if (strcmp(node->op_type, "Transpose") != 0)
        return false;
    const struct tensor *in = &graph->tensors[node->inputs[0]];
    const struct tensor *out = &graph->tensors[node->outputs[0]];
    int64_t perm[SHAPE_RANK_MAX];
    onnx_order_perm(in, out, node, perm);
    for (int i = 0; i < in->shape.rank; i++)
        if (perm[i] != i)
            return false;
    return true;
}

static size_t longest_run(const char *name)
{
    size_t longest = 0;
    for (const char *at = strchr(name, ':'); at;) {
        size_t run = strspn(at, ":");
        longest = run > longest ? run : longest;
        at = strchr(at + run, ':');
    }
    return longest;
}

/* The run of colons that no name contains. */
static const char *choose_separator(struct onnx_state *state)
{
    size_t longest = 0;
    const struct graph *graph = state->graph;
    for (int i = 0; i < graph->tensor_count + graph->node_count; i++) {
        int node = i - graph->tensor_count;
        size_t run = longest_run(node < 0 ? graph->tensors[i].name : graph->nodes[node].name);
        longest = run > longest ? run : longest;
    }
    char *separator = arena_alloc(state->file.arena, longest + 2, state->file.err);
    if (!separator) {
        onnx_file_fail(&state->file);
        return "";
    }
    memset(separator, ':', longest + 1);
    return separator;
}

/* "<name><separator><what>" */
static const char *derive(struct onnx_state *state, const char *name, const char *what)
{
    const char *derived =
        arena_printf(state->file.arena, state->file.err, "%s%s%s", name, state->separator, what);
    if (!derived)
        onnx_file_fail(&state->file);
    return derived ? derived : "";
}

const char *onnx_derived_name(struct onnx_state *state, int tensor, const char *what)
{
    return derive(state, state->names[tensor], what);
}

static void name_used_tensors(struct onnx_state *state)
{
    const struct graph *graph = state->graph;
    state->names[graph->input] = graph->tensors[graph->input].name;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] != NODE_ABSENT && !state->names[node->inputs[i]])
                state->names[node->inputs[i]] = graph->tensors[node->inputs[i]].name;
        for (int i = 0; i < node->output_count; i++)
            if (node->outputs[i] != NODE_ABSENT)
                state->names[node->outputs[i]] = graph->tensors[node->outputs[i]].name;
    }
}

/* Backwards over Transposes that vanish, from the output to the tensor that gets its name. */
static void pass_output_name_back(struct onnx_state *state)
{
    const struct graph *graph = state->graph;
    int tensor = graph->output;
    for (;;) {
        int producer = graph->tensors[tensor].producer;
        if (producer < 0 || !onnx_transpose_vanishes(graph, &graph->nodes[producer]))
            break;
        tensor = graph->nodes[producer].inputs[0];
    }
    if (tensor != graph->input)
        state->names[tensor] = graph->tensors[graph->output].name;
}

static void pass_names_on(struct onnx_state *state)
{
    const struct graph *graph = state->graph;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (onnx_transpose_vanishes(graph, node) && node->outputs[0] != graph->output)
            state->names[node->outputs[0]] = state->names[node->inputs[0]];
    }
}

static int compare_labels(const void *a, const void *b)
{
    const struct label *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    if (order != 0)
        return order;
    if (left->fixed != right->fixed)
        return left->fixed ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

/* Puts numbers behind names that are there already, but for fixed ones; [index] of `names`. */
static void number_equal(struct onnx_state *state, struct label *labels, size_t count,
                         const char **names)
{
    qsort(labels, count, sizeof(*labels), compare_labels);
    for (size_t i = 1; i < count; i++) {
        if (labels[i].fixed || strcmp(labels[i].name, labels[i - 1].name) != 0)
            continue;
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", labels[i].index);
        names[labels[i].index] = derive(state, labels[i].name, number);
    }
}

static void number_constants(struct onnx_state *state, struct label *labels)
{
    const struct graph *graph = state->graph;
    size_t count = 0;
    for (int t = 0; t < graph->tensor_count; t++) {
        bool constant = graph->tensors[t].values || graph->tensors[t].integers;
        if (state->names[t])
            labels[count++] = (struct label){state->names[t], .fixed = !constant, .index = t};
    }
    number_equal(state, labels, count, state->names);
}

static void number_nodes(struct onnx_state *state, struct label *labels)
{
    const struct graph *graph = state->graph;
    for (int n = 0; n < graph->node_count; n++) {
        state->node_names[n] = graph->nodes[n].name;
        labels[n] = (struct label){state->node_names[n], .fixed = false, .index = n};
    }
    number_equal(state, labels, (size_t)graph->node_count, state->node_names);
}

static void number_equal_names(struct onnx_state *state)
{
    int tensors = state->graph->tensor_count, nodes = state->graph->node_count;
    struct label *labels = ARENA_ARRAY(state->file.arena, struct label,
                                       tensors > nodes ? tensors : nodes, state->file.err);
    if (!labels) {
        onnx_file_fail(&state->file);
        return;
    }
    number_constants(state, labels);
    number_nodes(state, labels);
}

void onnx_label(struct onnx_state *state)
{
    state->separator = choose_separator(state);
    name_used_tensors(state);
    pass_output_name_back(state);
    pass_names_on(state);
    number_equal_names(state);
}
