/* Add: y = a + b with broadcasting; dy/da = dy/db = 1.
 *
 * Opset 1 and 6 have `broadcast` and `axis`, 7 to 14 numpy's rule; they differ in types
 * otherwise. */

#include "ptqd/kern/add.h"
#include "ptqd/kern/relu.h"
#include "ptqd/nn/broadcast.h"

#include <string.h>

static void row(int64_t count, const float *a, int64_t a_step, const float *b, int64_t b_step,
                float *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i * a_step] + b[i * b_step];
}

static int64_t executed_elements(const struct op_call *call, int tensor)
{
    return tensor_elements(&call->graph->tensors[tensor], call->samples);
}

/* Nothing is repeated: both inputs have the elements of the output, in its order. */
static bool is_plain(const struct op_call *call)
{
    const struct node *node = call->node;
    int64_t count = executed_elements(call, node->outputs[0]);
    return executed_elements(call, node->inputs[0]) == count &&
           executed_elements(call, node->inputs[1]) == count;
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    int64_t count = executed_elements(call, call->node->outputs[0]);
    if (is_plain(call)) {
        add_f32(call->in[0], call->in[1], count, call->relu, call->out[0]);
        return true;
    }
    broadcast_forward(call, row);
    if (call->relu)
        relu_f32(call->out[0], count, call->out[0]);
    return true;
}

static void term(int64_t count, const float *a, int64_t a_step, const float *b, int64_t b_step,
                 const float *grad_y, float *terms)
{
    (void)a, (void)a_step, (void)b, (void)b_step; /* the slope is constant */
    memcpy(terms, grad_y, (size_t)count * sizeof(*terms));
}

static void pass_on(const struct op_call *call, int input)
{
    int64_t count = executed_elements(call, call->node->outputs[0]);
    float *grad = call->grad_in[input];
    if (grad == NULL || !is_plain(call))
        broadcast_backward(call, input, term);
    else if (call->fresh[input])
        memcpy(grad, call->grad_out[0], (size_t)count * sizeof(*grad));
    else
        add_f32(grad, call->grad_out[0], count, false, grad);
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    pass_on(call, 0);
    pass_on(call, 1);
    return true;
}

const struct op op_add = {
    .name = "Add",
    .layout = LAYOUT_MATCH,
    .infer = broadcast_infer,
    .forward = forward,
    .backward = backward,
    .writes_fresh = true,
    .joins_relu = true,
    .in_place = true,
    .limits = "before opset 7, broadcasting of the last axes only",
};
