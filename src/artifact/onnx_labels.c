/* Names of tensors in the file.
 *
 * A tensor keeps the name it has in the graph. Two exceptions: the output of a Transpose that
 * vanishes is the tensor before it (and the network's output gives its own name to that tensor);
 * and of constants with equal names (one weight tensor quantized for two layers) the later get a
 * number.
 */

#include "onnx_order.h"
#include "onnx_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct label {
    const char *name;
    int tensor;
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

/* The run of colons that no name contains. */
static const char *choose_separator(struct onnx_state *state)
{
    size_t longest = 0;
    for (int t = 0; t < state->graph->tensor_count; t++)
        for (const char *at = strchr(state->graph->tensors[t].name, ':'); at;) {
            size_t run = strspn(at, ":");
            longest = run > longest ? run : longest;
            at = strchr(at + run, ':');
        }
    char *separator = arena_alloc(state->file.arena, longest + 2, state->file.err);
    if (!separator) {
        onnx_file_fail(&state->file);
        return "";
    }
    memset(separator, ':', longest + 1);
    return separator;
}

const char *onnx_derived_name(struct onnx_state *state, int tensor, const char *what)
{
    const char *name = arena_printf(state->file.arena, state->file.err, "%s%s%s",
                                    state->names[tensor], state->separator, what);
    if (!name)
        onnx_file_fail(&state->file);
    return name ? name : "";
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
    return (left->tensor > right->tensor) - (left->tensor < right->tensor);
}

static void number_equal_constants(struct onnx_state *state)
{
    const struct graph *graph = state->graph;
    struct label *labels =
        ARENA_ARRAY(state->file.arena, struct label, graph->tensor_count, state->file.err);
    if (!labels) {
        onnx_file_fail(&state->file);
        return;
    }
    size_t count = 0;
    for (int t = 0; t < graph->tensor_count; t++)
        if (state->names[t] && (graph->tensors[t].values || graph->tensors[t].integers))
            labels[count++] = (struct label){.name = state->names[t], .tensor = t};
    qsort(labels, count, sizeof(*labels), compare_labels);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(labels[i].name, labels[i - 1].name) != 0)
            continue;
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", labels[i].tensor);
        state->names[labels[i].tensor] = onnx_derived_name(state, labels[i].tensor, number);
    }
}

void onnx_label(struct onnx_state *state)
{
    state->separator = choose_separator(state);
    name_used_tensors(state);
    pass_output_name_back(state);
    pass_names_on(state);
    number_equal_constants(state);
}
