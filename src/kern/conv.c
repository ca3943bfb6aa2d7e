/* Convolution: extents, and the reference kernels in plain loops (conv.h has the shapes).
 *
 * The order of every sum is fixed: taps in row order, then channels; the weights' gradient adds
 * positions in row order, sample after sample. */

#include "ptqd/kern/conv.h"

#include "ptqd/kern/statistics.h"
#include "sizes.h"

int64_t conv_extent(int64_t input, int64_t filter, int64_t stride, int64_t dilation,
                    int64_t pad_before, int64_t pad_after)
{
    int64_t span = dilation * (filter - 1) + 1;
    int64_t room = input + pad_before + pad_after - span;
    return room < 0 ? 0 : room / stride + 1;
}

int64_t conv_input_elements(const struct conv_shape *shape)
{
    return shape->N * shape->H * shape->W * shape->C;
}

int64_t conv_weight_elements(const struct conv_shape *shape)
{
    return shape->K * conv_column_elements(shape);
}

int64_t conv_output_elements(const struct conv_shape *shape)
{
    return shape->N * shape->OH * shape->OW * shape->K;
}

int64_t conv_column_elements(const struct conv_shape *shape)
{
    return shape->R * shape->S * (shape->C / shape->G);
}

int64_t conv_macs(const struct conv_shape *shape)
{
    return shape->OH * shape->OW * conv_weight_elements(shape);
}

/* One tap of the filter at one output position. */
struct tap {
    int64_t x; /* first element of the input position, all channels; -1: on the padding */
    int64_t w; /* first element of the tap in one weight vector */
};

static struct tap tap_at(const struct conv_shape *shape, int64_t n, int64_t oh, int64_t ow,
                         int64_t rs)
{
    int64_t r = rs / shape->S, s = rs % shape->S;
    int64_t h = oh * shape->stride_h - shape->pad_top + r * shape->dilation_h;
    int64_t w = ow * shape->stride_w - shape->pad_left + s * shape->dilation_w;
    bool inside = h >= 0 && h < shape->H && w >= 0 && w < shape->W;
    return (struct tap){
        .x = inside ? ((n * shape->H + h) * shape->W + w) * shape->C : -1,
        .w = rs * (shape->C / shape->G),
    };
}

/* The three passes visit the same (position, output channel, tap) triples in the same order. */
struct visit {
    int64_t y;        /* element of the output: position and output channel */
    int64_t x, w;     /* first of `channels` elements in input and weights */
    int64_t channels; /* C/G */
};

typedef void (*visit_function)(const struct visit *visit, const float *a, const float *b,
                               float *out);

static void visit_taps(const struct conv_shape *shape, int64_t n, int64_t oh, int64_t ow,
                       visit_function function, const float *a, const float *b, float *out)
{
    int64_t position = (n * shape->OH + oh) * shape->OW + ow;
    int64_t group_inputs = shape->C / shape->G, group_outputs = shape->K / shape->G;
    for (int64_t k = 0; k < shape->K; k++) {
        for (int64_t rs = 0; rs < shape->R * shape->S; rs++) {
            struct tap tap = tap_at(shape, n, oh, ow, rs);
            if (tap.x < 0)
                continue;
            struct visit visit = {
                .y = position * shape->K + k,
                .x = tap.x + k / group_outputs * group_inputs,
                .w = k * conv_column_elements(shape) + tap.w,
                .channels = group_inputs,
            };
            function(&visit, a, b, out);
        }
    }
}

static void visit_positions(const struct conv_shape *shape, visit_function function, const float *a,
                            const float *b, float *out)
{
    for (int64_t n = 0; n < shape->N; n++)
        for (int64_t oh = 0; oh < shape->OH; oh++)
            for (int64_t ow = 0; ow < shape->OW; ow++)
                visit_taps(shape, n, oh, ow, function, a, b, out);
}

static void visit_forward(const struct visit *visit, const float *x, const float *w, float *y)
{
    float sum = 0;
    for (int64_t c = 0; c < visit->channels; c++)
        sum += x[visit->x + c] * w[visit->w + c];
    y[visit->y] += sum;
}

static void visit_grad_x(const struct visit *visit, const float *w, const float *grad_y,
                         float *grad_x)
{
    for (int64_t c = 0; c < visit->channels; c++)
        grad_x[visit->x + c] += w[visit->w + c] * grad_y[visit->y];
}

static void visit_grad_w(const struct visit *visit, const float *x, const float *grad_y,
                         float *grad_w)
{
    for (int64_t c = 0; c < visit->channels; c++)
        grad_w[visit->w + c] += x[visit->x + c] * grad_y[visit->y];
}

void conv2d_f32(const struct conv_shape *shape, const float *x, const float *w, const float *bias,
                float *y)
{
    int64_t positions = shape->N * shape->OH * shape->OW;
    for (int64_t p = 0; p < positions; p++)
        for (int64_t k = 0; k < shape->K; k++)
            y[p * shape->K + k] = bias != NULL ? bias[k] : 0;
    visit_positions(shape, visit_forward, x, w, y);
}

void conv2d_f32_grad_x(const struct conv_shape *shape, const float *w, const float *grad_y,
                       float *grad_x)
{
    visit_positions(shape, visit_grad_x, w, grad_y, grad_x);
}

void conv2d_f32_grad_w(const struct conv_shape *shape, const float *x, const float *grad_y,
                       float *grad_w)
{
    visit_positions(shape, visit_grad_w, x, grad_y, grad_w);
}

enum { BIASES = 64 }; /* at once: a position's, where there are no more */

void conv2d_f32_grad_bias(const struct conv_shape *shape, const float *grad_y, float *grad_bias)
{
    struct channel_rows rows = {shape->N * shape->OH * shape->OW, shape->K, BIASES};
    for (int64_t k = 0; k < shape->K; k += BIASES) {
        double sums[BIASES] = {0.0};
        rows.count = least(BIASES, shape->K - k);
        channel_sums_f32(grad_y + k, &rows, sums);
        for (int64_t i = 0; i < rows.count; i++)
            grad_bias[k + i] += (float)sums[i];
    }
}
