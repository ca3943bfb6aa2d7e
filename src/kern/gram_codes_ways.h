#pragma once

/* The ways to the moments of codes, of the same bits: columns packed for every position, with
 * products of all of them, or the products that the shift structure needs, of the channels of a
 * place, of each channel with itself, or of samples side by side (gram_lanes.h). Arguments as those
 * of gram_codes_add_conv, but gram->positions is not theirs. */

#include "gram_products.h"
#include "ptqd/kern/gram_codes.h"

#include <assert.h>

/* Positions, at most, whose sums are in 32 bits. */
enum { GRAM_CODES_BLOCK = 65536 };
static_assert((int64_t)GRAM_CODES_BLOCK * UINT8_MAX * GRAM_SHIFT <= INT32_MAX, "a block overflows");

size_t gram_codes_columns_scratch_bytes(const struct conv_shape *shape);
void gram_codes_columns_add(const struct gram_version *version, struct gram *gram,
                            const struct conv_shape *shape, const struct gram_grid *grid,
                            const uint8_t *codes, void *scratch);

size_t gram_codes_shift_scratch_bytes(const struct conv_shape *shape);
void gram_codes_shift_add(const struct gram_version *version, struct gram *gram,
                          const struct conv_shape *shape, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch);

/* For depthwise filters. */
bool gram_codes_depthwise_takes(const struct conv_shape *shape);
size_t gram_codes_depthwise_scratch_bytes(const struct conv_shape *shape);
void gram_codes_depthwise_add(const struct gram_version *version, struct gram *gram,
                              const struct conv_shape *shape, const struct gram_grid *grid,
                              const uint8_t *codes, void *scratch);

size_t gram_codes_lanes_scratch_bytes(const struct conv_shape *shape);
void gram_codes_lanes_add(const struct gram_version *version, struct gram *gram,
                          const struct conv_shape *shape, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch);
