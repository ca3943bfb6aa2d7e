#pragma once

/* Depthwise convolution: groups of one input and one output channel. Arguments and results as those
 * of conv.h. The order of every sum is fixed by the shape. */

#include "ptqd/base/error.h"
#include "ptqd/kern/conv.h"

/* Whether it is depthwise, and faster here than in oneDNN. */
bool depthwise_takes(const struct conv_shape *shape);

struct depthwise;

/* For both passes, or without `gradients` for the first one. E_MEMORY. */
bool depthwise_create(const struct conv_shape *shape, bool gradients,
                      struct depthwise **out_depthwise, struct error *err);
void depthwise_destroy(struct depthwise *depthwise);

/* `bias` may be NULL. */
void depthwise_forward(struct depthwise *depthwise, int64_t N, const float *x, const float *w,
                       const float *bias, bool relu, float *y);
void depthwise_grad_x(struct depthwise *depthwise, int64_t N, const float *w, const float *grad_y,
                      bool fresh, float *grad_x);
