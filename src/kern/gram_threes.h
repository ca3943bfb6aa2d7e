#pragma once

/* Products of maps whose channels do not meet, for filters of three columns, a whole line of places
 * at a time; by AVX-512. */

#include "gram_cells.h"

enum {
    GRAM_THREES_ROWS = 3,  /* distances of rows at once */
    GRAM_THREES_SLOTS = 9, /* sums of each, at most */
};

/* How a line is read, in floats, and which sums are made. */
struct gram_threes {
    int64_t first, step, width;      /* places: from the left, or from the right */
    bool halved;                     /* stride 2 */
    int64_t slot[GRAM_THREES_SLOTS]; /* of each sum: its segment of columns among the products */
};

/* False where the segments of columns are others than those of a padding that keeps the size, or,
 * with stride 2, halves an even one; or where the instructions are missing. */
bool gram_threes_match(const struct gram_shift *shift, struct gram_threes *out);

/* Some lines of one group, and their products with those of up to three lines each; steps and
 * distances in floats. */
struct gram_threes_part {
    const float *left, *right; /* first column of the first line */
    struct gram_span planes, lines;
    int distances;                      /* 1 … GRAM_THREES_ROWS */
    int64_t distance[GRAM_THREES_ROWS]; /* to the other lines */
    float *products[GRAM_THREES_ROWS];  /* [segments of columns][GRAM_CELL_LANES] of each */
    float *sums;                        /* the same, of the places themselves; or NULL */
    bool half;     /* of the first distance, which is 0, only columns to the right; with sums */
    int64_t ahead; /* from each place to one that is asked for, with the sums */
};

void gram_threes_add(const struct gram_threes *threes, const struct gram_threes_part *part);
