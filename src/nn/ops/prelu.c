/* PRelu: y = x for x >= 0, slope x below, the slope a constant; dy/dslope = x below 0 (He et al.,
 * arXiv 1502.01852). The gradient with respect to x at 0 is 1.
 *
 * Opset 7 to 16 broadcast the slope to the shape of x by numpy's rule. In 1 and 6 a slope has one
 * element, or one for each channel (axis 1), which gets the axes that the later rule needs. */

#include "ptqd/nn/broadcast.h"
#include "ptqd/nn/infer.h"

enum { X, SLOPE };

/* A slope [C] of the first versions becomes [C][1]…, as a tensor of its own. */
static bool widen_slope(struct graph *graph, struct node *node, struct error *err)
{
    const struct shape *x = &graph->tensors[node->inputs[X]].shape;
    struct tensor wide = graph->tensors[node->inputs[SLOPE]];
    if (graph->opset >= 7 || x->rank <= 2 || wide.shape.rank != 1 || wide.shape.dim[0] == 1)
        return true;
    int64_t channels = wide.shape.dim[0];
    wide.shape = (struct shape){.rank = x->rank - 1};
    for (int i = 0; i < wide.shape.rank; i++)
        wide.shape.dim[i] = i == 0 ? channels : 1;
    return graph_add_tensor(graph, &wide, false, &node->inputs[SLOPE], err);
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *x, *slope;
    if (!infer_counts(node, 2, 2, err) || !infer_input(graph, node, X, &x, err) ||
        !infer_input(graph, node, SLOPE, &slope, err))
        return false;
    if (slope->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "slope '%s' is computed; it must be a constant",
                    slope->name);
    if (!widen_slope(graph, node, err) || !broadcast_infer(graph, node, err))
        return false;

    x = &graph->tensors[node->inputs[X]];
    slope = &graph->tensors[node->inputs[SLOPE]];
    if (shape_equal(&graph->tensors[node->outputs[0]].shape, &x->shape))
        return true;
    char x_text[96], slope_text[96];
    shape_print(&x->shape, x_text, sizeof(x_text));
    shape_print(&slope->shape, slope_text, sizeof(slope_text));
    return FAIL(err, E_INVALID, "slope '%s' is %s; it must broadcast to the input's shape %s",
                slope->name, slope_text, x_text);
}

static void row(int64_t count, const float *x, int64_t x_step, const float *slope,
                int64_t slope_step, float *y)
{
    for (int64_t i = 0; i < count; i++) {
        float value = x[i * x_step];
        y[i] = value < 0 ? slope[i * slope_step] * value : value;
    }
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    broadcast_forward(call, row);
    return true;
}

static void term_x(int64_t count, const float *x, int64_t x_step, const float *slope,
                   int64_t slope_step, const float *grad_y, float *terms)
{
    for (int64_t i = 0; i < count; i++)
        terms[i] = x[i * x_step] < 0 ? slope[i * slope_step] * grad_y[i] : grad_y[i];
}

static void term_slope(int64_t count, const float *x, int64_t x_step, const float *slope,
                       int64_t slope_step, const float *grad_y, float *terms)
{
    (void)slope, (void)slope_step; /* y is linear in it */
    for (int64_t i = 0; i < count; i++)
        terms[i] = x[i * x_step] < 0 ? x[i * x_step] * grad_y[i] : 0;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    broadcast_backward(call, X, term_x);
    broadcast_backward(call, SLOPE, term_slope);
    return true;
}

const struct op op_prelu = {
    .name = "PRelu",
    .layout = LAYOUT_MATCH,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = true,
    .homogeneous = true,
    .limits = "the slope must be a constant",
};
