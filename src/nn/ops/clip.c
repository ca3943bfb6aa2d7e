/* Clip: y = min(max(x, low), high); NaN stays NaN. A bound that is not given does not cut; where
 * low > high, y = high. dy/dx = 1 where low <= x <= high, else 0.
 *
 * Opset 1 and 6 have the bounds as attributes `min` and `max`, opset 11 to 13 as inputs. */

#include "ptqd/nn/clip.h"

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <math.h>
#include <string.h>

struct clip {
    float low, high;
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct clip detail;
    return infer_counts(node, 1, 3, err) &&
           infer_scalar(graph, node, "min", 1, -INFINITY, &detail.low, err) &&
           infer_scalar(graph, node, "max", 2, INFINITY, &detail.high, err) &&
           elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           elementwise_output(graph, node, err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct clip *detail = call->node->detail;
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++) {
        float raised = x[i] < detail->low ? detail->low : x[i];
        y[i] = raised > detail->high ? detail->high : raised;
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct clip *detail = call->node->detail;
    const float *x = call->in[0];
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += x[i] >= detail->low && x[i] <= detail->high ? grad_y[i] : 0;
    return true;
}

bool clip_bounds(const struct node *node, float *out_min, float *out_max)
{
    if (strcmp(node->op_type, "Relu") == 0) {
        *out_min = 0;
        *out_max = INFINITY;
        return true;
    }
    if (strcmp(node->op_type, "Clip") != 0 || node->detail == NULL)
        return false;
    const struct clip *detail = node->detail;
    *out_min = detail->low;
    *out_max = detail->high;
    return true;
}

const struct op op_clip = {
    .name = "Clip",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .pointwise = true,
    .infinite_constants = true,
    .limits = "bounds must be constants",
};
