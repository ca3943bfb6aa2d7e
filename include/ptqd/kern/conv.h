#pragma once

/* Convolution of float32 activations, channels-last, in one and two dimensions (1-D is H = R = 1),
 * with groups, strides, dilation and padding on each side.
 *
 *   x [N][H][W][C]   w [K][R][S][C/G]   bias [K]   y [N][OH][OW][K]
 *
 * Group g reads channels g·C/G … and writes channels g·K/G …; depthwise is G = C. Outside the map
 * an activation is zero. Gradients are added to.
 */

#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conv_shape {
    int64_t N;       /* samples */
    int64_t H, W, C; /* input map and channels */
    int64_t K;       /* output channels, a multiple of G */
    int64_t R, S;    /* filter height and width */
    int64_t G;       /* groups; divides C */
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t dilation_h, dilation_w; /* 1: dense filter */
    int64_t OH, OW;                 /* output map, as conv_extent gives it */
};

/* Output extent of one axis; below 1 when the filter is larger than the padded input. */
int64_t conv_extent(int64_t input, int64_t filter, int64_t stride, int64_t dilation,
                    int64_t pad_before, int64_t pad_after);

/* Elements of the tensors of a shape, and of one weight vector (D = R·S·C/G). */
int64_t conv_input_elements(const struct conv_shape *shape);
int64_t conv_weight_elements(const struct conv_shape *shape);
int64_t conv_output_elements(const struct conv_shape *shape);
int64_t conv_column_elements(const struct conv_shape *shape);

/* Multiply-accumulates for one sample, taps on the padding included. */
int64_t conv_macs(const struct conv_shape *shape);

/* The reference: plain loops. `bias` may be NULL. */
void conv2d_f32(const struct conv_shape *shape, const float *x, const float *w, const float *bias,
                float *y);
void conv2d_f32_grad_x(const struct conv_shape *shape, const float *w, const float *grad_y,
                       float *grad_x);
void conv2d_f32_grad_w(const struct conv_shape *shape, const float *x, const float *grad_y,
                       float *grad_w);

/* grad_bias[k] += Σ grad_y[…][k]; also for dense layers, with OH = OW = 1. */
void conv2d_f32_grad_bias(const struct conv_shape *shape, const float *grad_y, float *grad_bias);

/* Prepared execution of one layer through oneDNN, through kernels of this room's own where these
 * are faster, or through the reference where oneDNN has nothing for the shape. Same arguments, same
 * machine: same bits, whatever the calling thread and however many threads there are. A plan serves
 * one thread at a time. */
struct conv_plan;

/* What a plan is for. */
enum conv_use {
    CONV_FORWARD,   /* conv_plan_grad_* may not be called */
    CONV_GRADIENTS, /* all passes */
    /* The same two, which may round more coarsely where that is faster: errors are four times as
     * large. */
    CONV_INFERENCE,
    CONV_TRAINING,
    CONV_USE_COUNT
};

/* For up to shape->N samples. */
bool conv_plan_create(const struct conv_shape *shape, enum conv_use use,
                      struct conv_plan **out_plan, struct error *err);
/* The same with Relu behind the forward pass (a NaN may become 0); the gradients are those of the
 * convolution alone. */
bool conv_plan_create_relu(const struct conv_shape *shape, enum conv_use use,
                           struct conv_plan **out_plan, struct error *err);
void conv_plan_destroy(struct conv_plan *plan);

/* The first N samples, 1 ≤ N ≤ the plan's; `bias` may be NULL. E_MEMORY when the library can't
 * prepare for a number of samples it has not seen before. */
bool conv_plan_forward(struct conv_plan *plan, int64_t N, const float *x, const float *w,
                       const float *bias, float *y, struct error *err);
/* Added to `grad_x`, or written there when it is `fresh`: without a value yet. */
bool conv_plan_grad_x(struct conv_plan *plan, int64_t N, const float *w, const float *grad_y,
                      bool fresh, float *grad_x, struct error *err);
bool conv_plan_grad_w(struct conv_plan *plan, int64_t N, const float *x, const float *grad_y,
                      float *grad_w, struct error *err);
