#pragma once

/* Second moments of what a layer's filters see, for the linear objective of the reconstruction:
 * Σ ‖W x − Ŵ x̂‖² over all samples and positions depends on the data through these alone.
 *
 * x is the layer's input in the float network, x̂ in the quantized one. A column is what one filter
 * of one group sees at one position, as im2col.h orders it: D = R·S·C/G values. Products are made
 * in float32 over blocks of at most GRAM_BLOCK positions, blocks are added in float64, in order;
 * where samples are side by side, each of up to 16 sums has a block of its own.
 * Where x̂ has codes, gram_codes.h makes H faster, and exactly. */

#include "ptqd/kern/conv.h"

#include <stddef.h>
#include <stdint.h>

enum { GRAM_BLOCK = 4096 };

/* Accumulators; all memory is the caller's, zeroed before the first call. */
struct gram {
    int64_t G, D;      /* groups and length of a column: 1 and C for a dense layer */
    double *inner;     /* [G][D][D] H = Σ x̂ x̂ᵀ, symmetric, both triangles are filled */
    double *cross;     /* [G][D][D] C = Σ x x̂ᵀ: row of x, column of x̂; or NULL: not wanted */
    double *sum_float; /* [G][D] Σ x; or NULL with `cross` */
    double *sum_quantized; /* [G][D] Σ x̂ */
    int64_t positions;     /* columns added up */
};

/* Multiply-adds of H that the shift structure of a convolution needs, for one group and all
 * samples: every product of two channels a distance apart once, of a channel with itself, or of a
 * pair, only one of both orders, and none on the padding. D (D + 1) / 2 a position for a dense
 * layer. */
int64_t gram_conv_products(const struct conv_shape *shape);

/* Bytes of scratch (64-byte aligned) for gram_add_conv and gram_add_dense; N does not matter. */
size_t gram_conv_scratch_bytes(const struct conv_shape *shape);
size_t gram_dense_scratch_bytes(int64_t C);

/* Adds shape->N samples of a convolution: x and x̂ [N][H][W][C]. With x == x̂ the products are made
 * once and added to both. gram->G and gram->D must be those of the shape. A call adds whole
 * matrices at least once, so give it as many samples as there are. */
void gram_add_conv(struct gram *gram, const struct conv_shape *shape, const float *x,
                   const float *x_quantized, void *scratch);

/* Adds N rows of a dense layer: x and x̂ [N][C], gram->G = 1, gram->D = C. */
void gram_add_dense(struct gram *gram, int64_t N, const float *x, const float *x_quantized,
                    void *scratch);
