#pragma once

/* From the products of pairs of taps to the Gram matrix, by squares: both sides of a mirrored
 * matrix fit the first-level cache. */

#include "gram_shift.h"

enum { GRAM_SQUARE = 32 };

struct gram_square {
    int64_t i, j, rows, columns; /* first channels of both taps, and how many */
    double value[GRAM_SQUARE][GRAM_SQUARE];
};

typedef void gram_fill_square(const void *context, const struct gram_pair *pair,
                              struct gram_square *square);

/* Adds the product of a pair of taps of one channel to the Gram matrix [D][D]. */
static inline void gram_pair_add_single(const struct gram_pair *pair, double value, bool all,
                                        int64_t D, double *gram)
{
    gram[pair->row * D + pair->column] += value;
    if (!all && !pair->same)
        gram[pair->column * D + pair->row] += value;
}

/* Adds what `fill` makes of a pair to the Gram matrix [D][D] of a group; to both triangles, unless
 * all distances have products of their own. */
void gram_pair_add(const struct gram_shift *shift, const struct gram_pair *pair,
                   gram_fill_square *fill, const void *context, double *gram);
