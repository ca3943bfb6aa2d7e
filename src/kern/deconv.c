/* Transposed convolution through the convolution whose gradient it is.
 *
 * Its partner is the convolution from y to x with the same stride, padding and dilation, and
 * weights v [C][R][S][K/G] with v[c][r][s][k] = w[k][R−1−r][S−1−s][c], group by group. Then
 *
 *   y = partner's gradient of its input      grad x = partner's output
 *                                            grad w = partner's gradient of its weights
 *
 * and no zero between the elements of x is multiplied. The weights change their order on each call;
 * that is linear in their number, where every one of them is used at each position. */

#include "ptqd/kern/deconv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int64_t deconv_reach(int64_t input, int64_t filter, int64_t stride, int64_t dilation)
{
    return (input - 1) * stride + (filter - 1) * dilation + 1;
}

int64_t deconv_macs(const struct deconv_shape *shape)
{
    return shape->H * shape->W * shape->C * shape->R * shape->S * (shape->K / shape->G);
}

/* Elements of one axis when the zeros are between them. */
static int64_t stuffed_extent(int64_t extent, int64_t stride)
{
    return (extent - 1) * stride + 1;
}

struct conv_shape deconv_as_conv(const struct deconv_shape *shape)
{
    struct conv_shape conv = {
        .N = shape->N,
        .H = stuffed_extent(shape->H, shape->stride_h),
        .W = stuffed_extent(shape->W, shape->stride_w),
        .C = shape->C,
        .K = shape->K,
        .R = shape->R,
        .S = shape->S,
        .G = shape->G,
        .stride_h = 1,
        .stride_w = 1,
        .pad_top = shape->dilation_h * (shape->R - 1) - shape->pad_top,
        .pad_left = shape->dilation_w * (shape->S - 1) - shape->pad_left,
        .dilation_h = shape->dilation_h,
        .dilation_w = shape->dilation_w,
        .OH = shape->OH,
        .OW = shape->OW,
    };
    conv.pad_bottom = shape->OH + shape->dilation_h * (shape->R - 1) - conv.pad_top - conv.H;
    conv.pad_right = shape->OW + shape->dilation_w * (shape->S - 1) - conv.pad_left - conv.W;
    return conv;
}

void deconv_stuff_f32(const struct deconv_shape *shape, const float *x, float *stuffed)
{
    int64_t height = stuffed_extent(shape->H, shape->stride_h);
    int64_t width = stuffed_extent(shape->W, shape->stride_w);
    memset(stuffed, 0, (size_t)(shape->N * height * width * shape->C) * sizeof(*stuffed));
    for (int64_t n = 0; n < shape->N; n++)
        for (int64_t h = 0; h < shape->H; h++)
            for (int64_t w = 0; w < shape->W; w++, x += shape->C) {
                int64_t row = n * height + h * shape->stride_h;
                memcpy(stuffed + (row * width + w * shape->stride_w) * shape->C, x,
                       (size_t)shape->C * sizeof(*x));
            }
}

struct deconv_plan {
    struct deconv_shape shape;
    struct conv_plan *partner;
    float *weights; /* v, or its gradient */
    float *inputs;  /* gradient of x; NULL without gradients */
};

static struct conv_shape partner_shape(const struct deconv_shape *shape)
{
    return (struct conv_shape){
        .N = shape->N,
        .H = shape->OH,
        .W = shape->OW,
        .C = shape->K,
        .K = shape->C,
        .R = shape->R,
        .S = shape->S,
        .G = shape->G,
        .stride_h = shape->stride_h,
        .stride_w = shape->stride_w,
        .pad_top = shape->pad_top,
        .pad_left = shape->pad_left,
        .pad_bottom = deconv_reach(shape->H, shape->R, shape->stride_h, shape->dilation_h) -
                      shape->pad_top - shape->OH,
        .pad_right = deconv_reach(shape->W, shape->S, shape->stride_w, shape->dilation_w) -
                     shape->pad_left - shape->OW,
        .dilation_h = shape->dilation_h,
        .dilation_w = shape->dilation_w,
        .OH = shape->H,
        .OW = shape->W,
    };
}

/* Where v has w[k][rs][c]. */
static int64_t mirrored(const struct deconv_shape *shape, int64_t k, int64_t rs, int64_t c)
{
    int64_t taps = shape->R * shape->S, outputs = shape->K / shape->G;
    int64_t channel = k / outputs * (shape->C / shape->G) + c;
    return (channel * taps + taps - 1 - rs) * outputs + k % outputs;
}

static void mirror_weights(const struct deconv_shape *shape, const float *w, float *v)
{
    for (int64_t k = 0; k < shape->K; k++)
        for (int64_t rs = 0; rs < shape->R * shape->S; rs++)
            for (int64_t c = 0; c < shape->C / shape->G; c++)
                v[mirrored(shape, k, rs, c)] = *w++;
}

static void add_mirrored(const struct deconv_shape *shape, const float *v, float *w)
{
    for (int64_t k = 0; k < shape->K; k++)
        for (int64_t rs = 0; rs < shape->R * shape->S; rs++)
            for (int64_t c = 0; c < shape->C / shape->G; c++)
                *w++ += v[mirrored(shape, k, rs, c)];
}

static int64_t weight_count(const struct deconv_shape *shape)
{
    return shape->K * shape->R * shape->S * (shape->C / shape->G);
}

static int64_t input_count(const struct deconv_shape *shape, int64_t N)
{
    return N * shape->H * shape->W * shape->C;
}

bool deconv_plan_create(const struct deconv_shape *shape, bool gradients,
                        struct deconv_plan **out_plan, struct error *err)
{
    struct conv_shape partner = partner_shape(shape);
    int64_t weights = weight_count(shape);
    int64_t count = weights + (gradients ? input_count(shape, shape->N) : 0);
    struct deconv_plan *plan = calloc(1, sizeof(*plan));
    if (plan != NULL) {
        plan->shape = *shape;
        plan->weights = calloc((size_t)count, sizeof(float));
    }
    if (plan == NULL || plan->weights == NULL) {
        deconv_plan_destroy(plan);
        return FAIL(err, E_MEMORY, "no memory for a transposed convolution (%lld floats)",
                    (long long)count);
    }
    plan->inputs = gradients ? plan->weights + weights : NULL;
    if (!conv_plan_create(&partner, CONV_GRADIENTS, &plan->partner, err)) {
        deconv_plan_destroy(plan);
        return error_context(err, "transposed convolution");
    }
    *out_plan = plan;
    return true;
}

void deconv_plan_destroy(struct deconv_plan *plan)
{
    if (plan == NULL)
        return;
    conv_plan_destroy(plan->partner);
    free(plan->weights);
    free(plan);
}

/* y begins as the bias: gradients are added to. */
static void fill_bias(const struct deconv_shape *shape, int64_t N, const float *bias, float *y)
{
    int64_t positions = N * shape->OH * shape->OW;
    for (int64_t p = 0; p < positions; p++)
        for (int64_t k = 0; k < shape->K; k++)
            *y++ = bias != NULL ? bias[k] : 0;
}

bool deconv_plan_forward(struct deconv_plan *plan, int64_t N, const float *x, const float *w,
                         const float *bias, float *y, struct error *err)
{
    mirror_weights(&plan->shape, w, plan->weights);
    fill_bias(&plan->shape, N, bias, y);
    return conv_plan_grad_x(plan->partner, N, plan->weights, x, false, y, err);
}

bool deconv_plan_grad_x(struct deconv_plan *plan, int64_t N, const float *w, const float *grad_y,
                        float *grad_x, struct error *err)
{
    assert(plan->inputs != NULL);
    mirror_weights(&plan->shape, w, plan->weights);
    if (!conv_plan_forward(plan->partner, N, grad_y, plan->weights, NULL, plan->inputs, err))
        return false;
    int64_t count = input_count(&plan->shape, N);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += plan->inputs[i];
    return true;
}

bool deconv_plan_grad_w(struct deconv_plan *plan, int64_t N, const float *x, const float *grad_y,
                        float *grad_w, struct error *err)
{
    assert(plan->inputs != NULL);
    memset(plan->weights, 0, (size_t)weight_count(&plan->shape) * sizeof(*plan->weights));
    if (!conv_plan_grad_w(plan->partner, N, grad_y, x, plan->weights, err))
        return false;
    add_mirrored(&plan->shape, plan->weights, grad_w);
    return true;
}
