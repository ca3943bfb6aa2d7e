#pragma once

/* Convolution with a dense 3 × 3 filter by Winograd's minimal filtering F(4 × 4, 3 × 3): 36
 * products for the 16 places of a tile in place of 144. Arguments as those of conv.h, results with
 * a rounding error four times as large. The order of every sum is fixed by the shape. */

#include "ptqd/base/error.h"
#include "ptqd/kern/conv.h"

/* Whether it is such a filter, this processor can do it, and it is faster than oneDNN here. */
bool winograd_takes(const struct conv_shape *shape);

struct winograd;

/* For up to shape->N samples. E_MEMORY. */
bool winograd_create(const struct conv_shape *shape, struct winograd **out_winograd,
                     struct error *err);
void winograd_destroy(struct winograd *winograd);

/* `bias` may be NULL. */
void winograd_forward(struct winograd *winograd, int64_t N, const float *x, const float *w,
                      const float *bias, bool relu, float *y);
void winograd_grad_x(struct winograd *winograd, int64_t N, const float *w, const float *grad_y,
                     bool fresh, float *grad_x);
void winograd_grad_w(struct winograd *winograd, int64_t N, const float *x, const float *grad_y,
                     float *grad_w);
