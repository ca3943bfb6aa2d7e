#pragma once

/* Transposed convolution of float32 activations, channels-last, in one and two dimensions (1-D is
 * H = R = 1).
 *
 *   x [N][H][W][C]   w [K][R][S][C/G]   bias [K]   y [N][OH][OW][K]
 *
 * It is the convolution, with stride 1, of x with stride − 1 zeros between its elements; w are the
 * filters of that convolution, which are the mirror image of those that ONNX and others store
 * (Dumoulin and Visin, arXiv 1603.07285, section 4). Group g reads channels g·C/G … and writes
 * channels g·K/G …. Gradients are added to. */

#include "ptqd/kern/conv.h"

struct deconv_shape {
    int64_t N;       /* samples */
    int64_t H, W, C; /* input map and channels; G divides C */
    int64_t K;       /* output channels, a multiple of G */
    int64_t R, S, G;
    int64_t stride_h, stride_w;     /* from one element of x to the next, in y */
    int64_t dilation_h, dilation_w; /* 1: dense filter */
    int64_t pad_top, pad_left;      /* cut off there: 0 … dilation · (R − 1), or (S − 1) */
    int64_t OH, OW; /* up to stride − 1 more than x reaches; those elements are the bias */
};

/* Rows (or columns) from the first to the last that an axis of the input reaches. */
int64_t deconv_reach(int64_t input, int64_t filter, int64_t stride, int64_t dilation);

/* Multiply-accumulates for one sample, those that are cut off included. */
int64_t deconv_macs(const struct deconv_shape *shape);

/* The convolution of the stuffed input that this is, and the stuffing: `stuffed` has
 * conv_input_elements of it. */
struct conv_shape deconv_as_conv(const struct deconv_shape *shape);
void deconv_stuff_f32(const struct deconv_shape *shape, const float *x, float *stuffed);

/* Prepared execution of one layer, under the rules of struct conv_plan. */
struct deconv_plan;

bool deconv_plan_create(const struct deconv_shape *shape, bool gradients,
                        struct deconv_plan **out_plan, struct error *err);
void deconv_plan_destroy(struct deconv_plan *plan);

/* The first N samples; `bias` may be NULL. */
bool deconv_plan_forward(struct deconv_plan *plan, int64_t N, const float *x, const float *w,
                         const float *bias, float *y, struct error *err);
bool deconv_plan_grad_x(struct deconv_plan *plan, int64_t N, const float *w, const float *grad_y,
                        float *grad_x, struct error *err);
bool deconv_plan_grad_w(struct deconv_plan *plan, int64_t N, const float *x, const float *grad_y,
                        float *grad_w, struct error *err);
