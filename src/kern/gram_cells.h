#pragma once

/* Products of maps whose channels do not meet, by their shift structure. */

#include "gram_shift.h"

enum { GRAM_CELL_LANES = 16 };

/* Some planes of maps, of groups of GRAM_CELL_LANES lanes, and what is made of them: for each
 * segment of rows and of columns whose products are made, a vector products[group][row][column] of
 * the same lanes of `left` and `right`; of floats where a tap meets itself, sums of `left`, too. */
struct gram_cells {
    const uint8_t *left, *right;
    int64_t element; /* bytes from a channel of the plan to the next: a lane, or a vector */
    int64_t planes, groups;
    int64_t group_step;               /* bytes from a group's maps to the next one's, ... */
    int64_t products_step;            /* ... and from its products and sums */
    uint8_t *products, *sums;         /* sums: or NULL */
    int64_t first_row, rows;          /* of the map: places on the left are in these alone */
    const struct gram_version *coded; /* of quads, by this version; or NULL: floats */
    uintptr_t ahead; /* of floats, where what is read next starts: it is brought to a
                        cache meanwhile, as much as there is on the left */
};

void gram_cells_add(const struct gram_shift *shift, const struct gram_cells *maps);
