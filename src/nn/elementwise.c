#include "ptqd/nn/elementwise.h"

#include "ptqd/kern/add.h"
#include "ptqd/nn/infer.h"

#include <string.h>

int64_t elementwise_count(const struct op_call *call)
{
    return tensor_elements(&call->graph->tensors[call->node->inputs[0]], call->samples);
}

bool elementwise_output(struct graph *graph, const struct node *node, struct error *err)
{
    const struct tensor *input;
    if (!infer_input(graph, node, 0, &input, err))
        return false;
    struct shape shape = input->shape;
    return infer_output(graph, node, 0, &shape, err);
}

bool elementwise_infer(struct graph *graph, struct node *node, struct error *err)
{
    return infer_counts(node, 1, 1, err) && elementwise_output(graph, node, err);
}

bool elementwise_keep(struct graph *graph, struct node *node, const void *detail, size_t size,
                      struct error *err)
{
    node->detail = arena_memdup(graph->arena, detail, size, err);
    return node->detail != NULL;
}

bool view_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    if (call->out[0] != call->in[0])
        memcpy(call->out[0], call->in[0], (size_t)elementwise_count(call) * sizeof(*call->out[0]));
    return true;
}

bool view_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    float *grad_x = call->grad_in[0];
    const float *grad_y = call->grad_out[0];
    if (grad_x == NULL)
        return true;
    add_f32(grad_x, grad_y, elementwise_count(call), false, grad_x);
    return true;
}
