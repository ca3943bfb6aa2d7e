#pragma once

/* Convolution of few input channels, as first layers are: a line of the filter sees S · C elements
 * that lie one behind the other. Arguments as those of conv.h. The order of every sum is fixed by
 * the shape. */

#include "ptqd/base/error.h"
#include "ptqd/kern/conv.h"

/* Whether it is such a filter, and this processor faster at it here than in oneDNN. */
bool shallow_takes(const struct conv_shape *shape);

struct shallow;

/* E_MEMORY. */
bool shallow_create(const struct conv_shape *shape, struct shallow **out_shallow,
                    struct error *err);
void shallow_destroy(struct shallow *shallow);

/* Of N samples. `bias` may be NULL. */
void shallow_forward(struct shallow *shallow, int64_t N, const float *x, const float *w,
                     const float *bias, bool relu, float *y);
