/* BatchNormalization at inference: y = (x − mean) · scale / sqrt(variance + epsilon) + bias, per
 * channel. All but x are constants. */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>
#include <math.h>

enum input { X, SCALE, BIAS, MEAN, VARIANCE, INPUT_COUNT };

struct batch_normalization_detail {
    double epsilon;
};

/* x is [outer][C][inner]; inner is 1 where channels are last. */
struct extents {
    int64_t outer, C, inner;
};

static struct extents extents_of(const struct tensor *x, int64_t samples)
{
    const struct shape *shape = &x->shape;
    struct extents at = {.outer = shape->dim[0] * (x->batched ? samples : 1), .inner = 1};
    int channel = x->channels_last ? shape->rank - 1 : 1;
    at.C = shape->rank > 1 ? shape->dim[channel] : 1;
    for (int i = 1; i < channel; i++)
        at.outer *= shape->dim[i];
    for (int i = channel + 1; i < shape->rank; i++)
        at.inner *= shape->dim[i];
    return at;
}

static bool check_mode(const struct graph *graph, const struct node *node, struct error *err)
{
    int64_t training, test, spatial;
    if (!attribute_int(node, "training_mode", 0, &training, err) ||
        !attribute_int(node, "is_test", 0, &test, err) ||
        !attribute_int(node, "spatial", 1, &spatial, err))
        return false;
    if (training != 0)
        return FAIL(err, E_UNSUPPORTED, "training_mode is %" PRId64 "; only 0 is supported",
                    training);
    if (graph->opset < 7 && test == 0)
        return FAIL(err, E_UNSUPPORTED,
                    "is_test is 0 (operator set %" PRId64 "); only 1 is supported", graph->opset);
    if (spatial != 1)
        return FAIL(err, E_UNSUPPORTED, "spatial is %" PRId64 "; only 1 is supported", spatial);
    return true;
}

static bool check_parameter(const struct graph *graph, const struct node *node, int input,
                            int64_t C, struct error *err)
{
    const struct tensor *tensor;
    if (!infer_input(graph, node, input, &tensor, err))
        return false;
    if (tensor->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is computed; it must be a constant", input,
                    tensor->name);
    if (tensor->shape.rank != 1 || tensor->shape.dim[0] != C)
        return FAIL(err, E_INVALID,
                    "input %d '%s' has %" PRId64 " elements in %d axes; it must have one for each "
                    "of %" PRId64 " channels",
                    input, tensor->name, shape_elements(&tensor->shape), tensor->shape.rank, C);
    return true;
}

/* The square root and the division by it need it. */
static bool check_variance(const struct graph *graph, const struct node *node, int64_t C,
                           double epsilon, struct error *err)
{
    const struct tensor *variance = &graph->tensors[node->inputs[VARIANCE]];
    for (int64_t c = 0; c < C; c++)
        if (!((double)variance->values[c] + epsilon > 0))
            return FAIL(err, E_INVALID,
                        "variance %" PRId64 " of '%s' is %g, epsilon %g; their sum must be > 0", c,
                        variance->name, (double)variance->values[c], epsilon);
    return true;
}

static bool batch_normalization_infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *x;
    float epsilon;
    if (!infer_counts(node, INPUT_COUNT, INPUT_COUNT, err) || !check_mode(graph, node, err) ||
        !attribute_real(node, "epsilon", 1e-5f, &epsilon, err) ||
        !infer_input(graph, node, X, &x, err))
        return false;
    if (x->shape.rank < 1)
        return FAIL(err, E_INVALID, "input 0 '%s' is a scalar; it must have channels", x->name);
    struct extents at = extents_of(x, 1);
    for (int input = SCALE; input <= VARIANCE; input++)
        if (!check_parameter(graph, node, input, at.C, err))
            return false;
    struct batch_normalization_detail *detail =
        ARENA_NEW(graph->arena, struct batch_normalization_detail, err);
    if (detail == NULL || !check_variance(graph, node, at.C, (double)epsilon, err))
        return false;
    detail->epsilon = (double)epsilon;
    node->detail = detail;
    struct shape shape = x->shape;
    return infer_output(graph, node, 0, &shape, err);
}

/* The values of channel c. */
struct channel {
    double scale, bias, mean;
    double inverse; /* 1 / sqrt(variance + epsilon) */
};

static struct channel channel_at(const struct op_call *call, int64_t c)
{
    const struct batch_normalization_detail *detail = call->node->detail;
    return (struct channel){
        .scale = (double)call->in[SCALE][c],
        .bias = (double)call->in[BIAS][c],
        .mean = (double)call->in[MEAN][c],
        .inverse = 1 / sqrt((double)call->in[VARIANCE][c] + detail->epsilon),
    };
}

static bool batch_normalization_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct tensor *x = &call->graph->tensors[call->node->inputs[X]];
    struct extents at = extents_of(x, call->samples);
    for (int64_t c = 0; c < at.C; c++) {
        struct channel channel = channel_at(call, c);
        double slope = channel.scale * channel.inverse;
        double offset = channel.bias - channel.mean * slope;
        for (int64_t o = 0; o < at.outer; o++) {
            int64_t first = (o * at.C + c) * at.inner;
            for (int64_t i = first; i < first + at.inner; i++)
                call->out[0][i] = (float)((double)call->in[X][i] * slope + offset);
        }
    }
    return true;
}

/* Sums over a channel that its parameters' gradients are made of. */
struct channel_sums {
    double grad_y;        /* Σ grad_y */
    double grad_y_offset; /* Σ grad_y · (x − mean) */
};

static struct channel_sums sum_channel(const struct op_call *call, struct extents at, int64_t c,
                                       double mean)
{
    struct channel_sums sums = {0};
    for (int64_t o = 0; o < at.outer; o++) {
        int64_t first = (o * at.C + c) * at.inner;
        for (int64_t i = first; i < first + at.inner; i++) {
            double grad = (double)call->grad_out[0][i];
            sums.grad_y += grad;
            sums.grad_y_offset += grad * ((double)call->in[X][i] - mean);
        }
    }
    return sums;
}

static bool wants_parameters(const struct op_call *call)
{
    for (int input = SCALE; input <= VARIANCE; input++)
        if (call->grad_in[input] != NULL)
            return true;
    return false;
}

static void add_grad_parameters(const struct op_call *call, struct extents at, int64_t c,
                                const struct channel *channel)
{
    struct channel_sums sums = sum_channel(call, at, c, channel->mean);
    double slope = channel->scale * channel->inverse;
    double square = channel->inverse * channel->inverse;
    const double gradient[INPUT_COUNT] = {
        [SCALE] = sums.grad_y_offset * channel->inverse,
        [BIAS] = sums.grad_y,
        [MEAN] = -sums.grad_y * slope,
        [VARIANCE] = -0.5 * sums.grad_y_offset * slope * square,
    };
    for (int input = SCALE; input <= VARIANCE; input++)
        if (call->grad_in[input] != NULL)
            call->grad_in[input][c] += (float)gradient[input];
}

static void add_grad_x(const struct op_call *call, struct extents at, int64_t c,
                       const struct channel *channel)
{
    float slope = (float)(channel->scale * channel->inverse);
    for (int64_t o = 0; o < at.outer; o++) {
        int64_t first = (o * at.C + c) * at.inner;
        for (int64_t i = first; i < first + at.inner; i++)
            call->grad_in[X][i] += slope * call->grad_out[0][i];
    }
}

static bool batch_normalization_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct tensor *x = &call->graph->tensors[call->node->inputs[X]];
    struct extents at = extents_of(x, call->samples);
    bool parameters = wants_parameters(call);
    for (int64_t c = 0; c < at.C; c++) {
        struct channel channel = channel_at(call, c);
        if (parameters)
            add_grad_parameters(call, at, c, &channel);
        if (call->grad_in[X] != NULL)
            add_grad_x(call, at, c, &channel);
    }
    return true;
}

const struct op op_batch_normalization = {
    .name = "BatchNormalization",
    .layout = LAYOUT_FOLLOW,
    .infer = batch_normalization_infer,
    .forward = batch_normalization_forward,
    .backward = batch_normalization_backward,
    .in_place = true,
    .limits = "inference only; scale, bias, mean and variance must be constants",
};
