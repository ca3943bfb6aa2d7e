#pragma once

/* Second moments of columns whose values are codes of at most 8 bits: gram.h in integers. x̂ is
 * scale · (q − zero), so Σ x̂ x̂ᵀ = scale² · Σ (q − zero)(q − zero)ᵀ. Products and sums are exact
 * integers over up to 65536 positions (the rest of a call is further blocks), and only then scaled
 * and added in float64: the same bits on every machine. Padding is q = zero. */

#include "ptqd/kern/conv.h"
#include "ptqd/kern/gram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values scale · (q − zero), q = 0 … last. Codes that do not start at 0 are moved there. */
struct gram_grid {
    float scale;  /* finite, > 0 */
    int32_t zero; /* 0 … last */
    int32_t last; /* at most 255 */
};

/* The codes of values that fake_quantize_f32 has put on the grid. False when one of them is not on
 * it to the last bit; then `codes` is undefined. */
bool gram_codes_of(const struct gram_grid *grid, const float *x_quantized, size_t count,
                   uint8_t *codes);

/* Whether gram_codes_add_conv is faster than gram_add_conv here: for depthwise filters where one
 * instruction makes four products and adds them. */
bool gram_codes_pay(const struct conv_shape *shape);

/* Bytes of scratch (64-byte aligned) for gram_codes_add_conv and gram_codes_add_dense; N does not
 * matter. */
size_t gram_codes_conv_scratch_bytes(const struct conv_shape *shape);
size_t gram_codes_dense_scratch_bytes(int64_t C);

/* Adds shape->N samples of a convolution to gram->inner and gram->sum_quantized: codes
 * [N][H][W][C]. gram->G and gram->D must be those of the shape; gram->cross must be NULL: x is on
 * no grid. A call adds whole matrices at least once, so give it as many samples as there are. */
void gram_codes_add_conv(struct gram *gram, const struct conv_shape *shape,
                         const struct gram_grid *grid, const uint8_t *codes, void *scratch);

/* Adds N rows of a dense layer: codes [N][C], gram->G = 1, gram->D = C. */
void gram_codes_add_dense(struct gram *gram, int64_t N, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch);
