/* Softmax and LogSoftmax along one axis:
 *
 *   y = exp(x - m) / Σ exp(x - m)      dx = y (dy - Σ y dy)
 *   y = x - m - log Σ exp(x - m)       dx = dy - exp(y) Σ dy        m = max x
 *
 * One of the terms of the sum is 1, so the divisor is at least 1 for finite x; NaN or infinity make
 * the whole line NaN. Sums are float64.
 *
 * Opset 1 and 11: axis (default 1) and all after it are one axis. Opset 13: that axis alone,
 * default -1. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <math.h>

/* Lines of `extent` elements, `inner` apart; `outer` · `inner` of them, for one sample. */
struct softmax {
    int64_t outer, extent, inner;
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    bool flattened = graph->opset < 13;
    int64_t given;
    int axis;
    if (!infer_counts(node, 1, 1, err) || !infer_input(graph, node, 0, &input, err) ||
        !attribute_int(node, "axis", flattened ? 1 : -1, &given, err) ||
        !infer_axis(given, input->shape.rank, &axis, err))
        return false;

    struct softmax detail = {.outer = 1, .extent = 1, .inner = 1};
    for (int i = 0; i < input->shape.rank; i++) {
        if (i < axis)
            detail.outer *= input->shape.dim[i];
        else if (i == axis || flattened)
            detail.extent *= input->shape.dim[i];
        else
            detail.inner *= input->shape.dim[i];
    }
    if (axis == 0 && input->batched)
        graph->batchable = false;
    return elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           elementwise_output(graph, node, err);
}

/* A line: element i is at [i · step]. */
static double line_sum(const float *x, int64_t extent, int64_t step, float *out_max)
{
    float max = x[0];
    for (int64_t i = 1; i < extent; i++)
        max = x[i * step] > max ? x[i * step] : max;
    double sum = 0;
    for (int64_t i = 0; i < extent; i++)
        sum += (double)expf(x[i * step] - max);
    *out_max = max;
    return sum;
}

static void softmax_line(const float *x, int64_t extent, int64_t step, float *y)
{
    float max;
    double sum = line_sum(x, extent, step, &max);
    for (int64_t i = 0; i < extent; i++)
        y[i * step] = (float)((double)expf(x[i * step] - max) / sum);
}

static void log_softmax_line(const float *x, int64_t extent, int64_t step, float *y)
{
    float max;
    double log_sum = log(line_sum(x, extent, step, &max));
    for (int64_t i = 0; i < extent; i++)
        y[i * step] = (float)((double)(x[i * step] - max) - log_sum);
}

static void softmax_line_grad(const float *y, const float *grad_y, int64_t extent, int64_t step,
                              float *grad_x)
{
    double sum = 0;
    for (int64_t i = 0; i < extent; i++)
        sum += (double)y[i * step] * (double)grad_y[i * step];
    for (int64_t i = 0; i < extent; i++)
        grad_x[i * step] += (float)((double)y[i * step] * ((double)grad_y[i * step] - sum));
}

static void log_softmax_line_grad(const float *y, const float *grad_y, int64_t extent, int64_t step,
                                  float *grad_x)
{
    double sum = 0;
    for (int64_t i = 0; i < extent; i++)
        sum += (double)grad_y[i * step];
    for (int64_t i = 0; i < extent; i++)
        grad_x[i * step] += (float)((double)grad_y[i * step] - (double)expf(y[i * step]) * sum);
}

typedef void line_forward(const float *x, int64_t extent, int64_t step, float *y);
typedef void line_backward(const float *y, const float *grad_y, int64_t extent, int64_t step,
                           float *grad_x);

static int64_t lines(const struct op_call *call)
{
    const struct softmax *detail = call->node->detail;
    return elementwise_count(call) / detail->extent;
}

/* Offset of the first element of a line. */
static int64_t line_start(const struct softmax *detail, int64_t line)
{
    return line / detail->inner * detail->extent * detail->inner + line % detail->inner;
}

static void each_line(const struct op_call *call, line_forward *compute)
{
    const struct softmax *detail = call->node->detail;
    int64_t count = lines(call);
    for (int64_t i = 0; i < count; i++) {
        int64_t start = line_start(detail, i);
        compute(call->in[0] + start, detail->extent, detail->inner, call->out[0] + start);
    }
}

static void each_line_grad(const struct op_call *call, line_backward *compute)
{
    const struct softmax *detail = call->node->detail;
    int64_t count = call->grad_in[0] != NULL ? lines(call) : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t start = line_start(detail, i);
        compute(call->out[0] + start, call->grad_out[0] + start, detail->extent, detail->inner,
                call->grad_in[0] + start);
    }
}

static bool softmax_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_line(call, softmax_line);
    return true;
}

static bool softmax_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_line_grad(call, softmax_line_grad);
    return true;
}

static bool log_softmax_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_line(call, log_softmax_line);
    return true;
}

static bool log_softmax_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_line_grad(call, log_softmax_line_grad);
    return true;
}

const struct op op_softmax = {
    .name = "Softmax",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = softmax_forward,
    .backward = softmax_backward,
    .in_place = true,
};

const struct op op_log_softmax = {
    .name = "LogSoftmax",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = log_softmax_forward,
    .backward = log_softmax_backward,
    .in_place = true,
};
