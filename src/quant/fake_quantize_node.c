/* FakeQuantize: simulated quantization of an activation as an operator of the graph.
 *
 * detail is the node's struct quantizer (borrowed from the network). While the quantizer is not
 * calibrated, values pass through. Gradient: straight-through inside the grid's range, zero outside
 * (Bengio et al., arXiv 1308.3432).
 */

#include "ptqd/kern/fake_quantize.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/network.h"

#include <string.h>

static bool fake_quantize_infer(struct graph *graph, struct node *node, struct error *err)
{
    (void)err; /* the network is built with one input and one output */
    const struct tensor *input = &graph->tensors[node->inputs[0]];
    struct tensor *output = &graph->tensors[node->outputs[0]];
    output->type = TENSOR_F32;
    output->shape = input->shape;
    output->channels_last = input->channels_last;
    output->batched = input->batched;
    return true;
}

static size_t element_count(const struct op_call *call)
{
    const struct tensor *input = &call->graph->tensors[call->node->inputs[0]];
    return (size_t)tensor_elements(input, call->samples);
}

static bool fake_quantize_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* arithmetic on given memory */
    const struct quantizer *quantizer = call->node->detail;
    size_t count = element_count(call);
    if (quantizer_ready(quantizer))
        quantizer_apply(quantizer, 0, call->in[0], count, call->out[0]);
    else if (call->out[0] != call->in[0])
        memcpy(call->out[0], call->in[0], count * sizeof(float));
    return true;
}

static bool fake_quantize_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* arithmetic on given memory */
    const struct quantizer *quantizer = call->node->detail;
    size_t count = element_count(call);
    if (!call->grad_in[0])
        return true;
    if (quantizer_ready(quantizer)) {
        fake_quantize_f32_grad_x(call->in[0], count, quantizer->scales[0],
                                 quantizer->zero_points[0], quantizer->low, quantizer->high,
                                 call->grad_out[0], call->fresh[0], call->grad_in[0]);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        call->grad_in[0][i] = (call->fresh[0] ? 0.0f : call->grad_in[0][i]) + call->grad_out[0][i];
    return true;
}

const struct op op_fake_quantize = {
    .name = "FakeQuantize",
    .layout = LAYOUT_FOLLOW,
    .infer = fake_quantize_infer,
    .forward = fake_quantize_forward,
    .backward = fake_quantize_backward,
    .writes_fresh = true,
};
