#pragma once

/* The ways to the moments of floats: columns packed for every position, with products of all of
 * them, the products that the shift structure needs, of the channels of a place or of samples side
 * by side (gram_lanes.h), and those for filters of one channel each.
 * Arguments as those of gram_add_conv, but gram->positions is not theirs. */

#include "gram_products.h"
#include "ptqd/kern/gram.h"

size_t gram_columns_scratch_bytes(const struct conv_shape *shape);
void gram_columns_add(const struct gram_version *version, struct gram *gram,
                      const struct conv_shape *shape, const float *x, const float *x_quantized,
                      void *scratch);

size_t gram_f32_shift_scratch_bytes(const struct conv_shape *shape);
void gram_f32_shift_add(const struct gram_version *version, struct gram *gram,
                        const struct conv_shape *shape, const float *x, const float *x_quantized,
                        void *scratch);

size_t gram_f32_lanes_scratch_bytes(const struct conv_shape *shape);
void gram_f32_lanes_add(const struct gram_version *version, struct gram *gram,
                        const struct conv_shape *shape, const float *x, const float *x_quantized,
                        void *scratch);
