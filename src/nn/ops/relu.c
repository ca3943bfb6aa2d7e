/* Relu: y = max(x, 0); NaN stays NaN. The gradient at 0 is 0.
 *
 * Opset 1 to 14 differ in types and in `consumed_inputs`, a memory hint that is ignored. */

#include "ptqd/kern/relu.h"
#include "ptqd/nn/elementwise.h"

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    relu_f32(call->in[0], elementwise_count(call), call->out[0]);
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    if (call->grad_in[0] != NULL)
        relu_f32_grad_x(call->in[0], elementwise_count(call), call->grad_out[0], call->fresh[0],
                        call->grad_in[0]);
    return true;
}

const struct op op_relu = {
    .name = "Relu",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = forward,
    .backward = backward,
    .writes_fresh = true,
    .rectifies = true,
    .in_place = true,
    .pointwise = true,
    .keeps_grid = true,
    .homogeneous = true,
};
