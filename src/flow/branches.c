/* Where the branches of a residual sum meet. */

#include "ptqd/flow/branches.h"

#include "ptqd/nn/op.h"

#include <string.h>

int branch_addend(const struct graph *graph, int tensor)
{
    int reader = graph_only_reader(graph, tensor);
    if (reader >= 0 && graph->nodes[reader].op == &op_fake_quantize) {
        tensor = graph->nodes[reader].outputs[0];
        reader = graph_only_reader(graph, tensor);
    }
    if (reader < 0 || strcmp(graph->nodes[reader].op_type, "Add") != 0)
        return -1;
    const struct node *add = &graph->nodes[reader];
    int other = add->inputs[add->inputs[0] == tensor];
    return shape_equal(&graph->tensors[other].shape, &graph->tensors[tensor].shape) ? other : -1;
}

bool branch_is_rectified(const struct graph *graph, int tensor)
{
    for (;;) {
        int reader = graph_only_reader(graph, tensor);
        if (reader < 0)
            return false;
        const struct node *node = &graph->nodes[reader];
        if (strcmp(node->op_type, "Relu") == 0)
            return true;
        if (node->op != &op_fake_quantize && strcmp(node->op_type, "Add") != 0)
            return false;
        tensor = node->outputs[0];
    }
}

int branch_executed(const struct walk *walk, const struct graph *graph, int tensor)
{
    if (tensor >= 0 && !walk_quantized(walk, tensor)) {
        int producer = graph->tensors[tensor].producer;
        bool is_copy = producer >= 0 && graph->nodes[producer].op == &op_fake_quantize;
        tensor = is_copy ? graph->nodes[producer].inputs[0] : -1;
    }
    bool executed = tensor >= 0 && walk_float(walk, tensor) && walk_quantized(walk, tensor);
    return executed ? tensor : -1;
}
