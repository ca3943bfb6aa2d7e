#pragma once

/* The integer products behind gram_codes.h, once for each instruction set. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRAM_QUAD = 4,    /* positions side by side */
    GRAM_ROWS = 8,    /* columns that a version may read in steps of: on the left, ... */
    GRAM_LANES = 16,  /* ... and on the right */
    GRAM_SHIFT = 128, /* of the codes on the left, so that they fit a signed byte */
};

/* Columns of codes q, four positions side by side: [quads][D][GRAM_QUAD]. */
struct gram_tile {
    const uint8_t *codes;   /* q */
    const uint8_t *shifted; /* q − GRAM_SHIFT as a signed byte */
    int64_t quads;
    int64_t stride; /* bytes from quad to quad: for D rounded up to GRAM_LANES or more */
    int64_t D;
};

/* For j ≤ i < D, over all positions of the tile,
 *
 *     products[i][j] += Σ (q_i − GRAM_SHIFT) q_j        sums[j] += Σ q_j
 *
 * Rows of `products` are `row` elements apart. There, in `sums` and in the tile, D is rounded up to
 * GRAM_ROWS i and GRAM_LANES j: what is beyond D or above the diagonal is overwritten at will. No
 * sum may exceed 32 bits. */
typedef void gram_products(const struct gram_tile *tile, int32_t *products, int64_t row,
                           int32_t *sums);

struct gram_version {
    const char *name;
    bool (*runs_here)(void);
    gram_products *add;
};

/* The fastest first; the last one runs everywhere. */
extern const struct gram_version gram_versions[];
extern const int gram_version_count;
