#pragma once

/* The part of gram.h for filters that see one channel each. */

#include "ptqd/kern/gram.h"

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape);
void gram_add_depthwise(struct gram *gram, const struct conv_shape *shape, const float *x,
                        const float *x_quantized, void *scratch);
