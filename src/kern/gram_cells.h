#pragma once

/* Products of maps whose channels do not meet, by their shift structure. */

#include "gram_shift.h"

enum { GRAM_CELL_LANES = 16 };

/* Some planes of maps, of groups of GRAM_CELL_LANES channels, and what is made of them: for each
 * segment of rows and of columns whose products are made, products[group][row][column][…] of the
 * same lanes of `left` and `right`; of those where a tap meets itself, sums of `left`, too. */
struct gram_cells {
    const float *left, *right;
    int64_t planes, groups;
    int64_t group_step;    /* floats from a group's maps to the next one's, ... */
    int64_t products_step; /* ... and from its products and sums */
    float *products, *sums;
    const float *ahead; /* maps like `left` that are read next: brought to a cache meanwhile */
};

void gram_cells_add(const struct gram_shift *shift, const struct gram_cells *maps);
