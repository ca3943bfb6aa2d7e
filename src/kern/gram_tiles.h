#pragma once

/* Products of vectors whose lanes do not meet: of maps with samples side by side (gram_lanes.h). A
 * vector is GRAM_LANES lanes, floats or quads. */

#include "gram_products.h"

enum {
    GRAM_VECTOR = GRAM_LANES * GRAM_QUAD, /* bytes */
    GRAM_TILE_ROWS = 4,                   /* vectors on the left, at most, ... */
    GRAM_TILE_COUNT = 13,                 /* ... and on the right, ... */
    GRAM_TILE_READ = 15,                  /* ... with what a version may read beyond */
};

/* Neighbours on the left against others on the right, at the places of three nested loops. */
struct gram_tile {
    const uint8_t *left, *right;
    int64_t rows, count;              /* count: at most gram_tile_most */
    int64_t distance[GRAM_TILE_READ]; /* bytes from `right`; set in all, whatever the count */
    uint8_t *out[GRAM_TILE_COUNT]; /* where sums of the first row go, those of the next row ... */
    int64_t step;                  /* ... so many bytes on */
    struct gram_span outer, middle, inner;
};

/* Vectors on the right of a tile of so many rows, whose sums stay in registers. */
int64_t gram_tile_most(int64_t rows);

/* out[j] + i step, lane by lane, += Σ left_i right_j. Of codes all four products of a lane are
 * added, (q_i − GRAM_SHIFT) q_j; neither operand is shifted. */
gram_add_tile gram_tile_floats_plain, gram_tile_codes_plain;
#if defined(__x86_64__)
gram_add_tile gram_tile_floats_avx2, gram_tile_codes_avx2;
gram_add_tile gram_tile_floats_avx512, gram_tile_codes_avx512;
#endif
