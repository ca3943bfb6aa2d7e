#pragma once

/* Products of maps whose lanes do not meet, a whole line of places at a time, with the sums of all
 * distances in registers; by AVX-512. A vector is GRAM_CELL_LANES lanes, floats or quads. */

#include "gram_cells.h"

enum {
    GRAM_LINES_ROWS = 3,   /* distances of rows at once */
    GRAM_LINES_SLOTS = 14, /* sums of each, at most */
};

struct gram_lines_part;
struct gram_lines;
typedef void gram_add_lines(const struct gram_lines *lines, const struct gram_lines_part *part);

/* How a line is read, in bytes, and which sums are made. */
struct gram_lines {
    gram_add_lines *add;
    int most;                       /* distances of rows at once */
    bool codes;                     /* quads; or floats */
    int form;                       /* of the lines */
    bool sums;                      /* of the places alone are made, too */
    int64_t first, step, width;     /* places: from the left, or from the right */
    int64_t slot[GRAM_LINES_SLOTS]; /* of each sum: its segment of columns among the products */
};

/* For places so many bytes apart. False where the segments of columns are others than those that
 * there is code for: filters of three columns, with a padding that keeps the size, or, with stride
 * 2, halves an even one, and of four, with the same; or where the instructions are missing. */
bool gram_lines_match(const struct gram_shift *shift, int64_t place, bool codes,
                      struct gram_lines *out);

/* Some lines of one group, and their products with those of some lines each; steps and distances in
 * bytes. */
struct gram_lines_part {
    const uint8_t *left, *right; /* first column of the first line */
    struct gram_span planes, lines;
    int distances;                      /* 1 … the most at once */
    int64_t distance[GRAM_LINES_ROWS];  /* to the other lines */
    uint8_t *products[GRAM_LINES_ROWS]; /* vectors of the segments of columns of each */
    uint8_t *sums;                      /* of floats: the same, of the places themselves; or NULL */
    bool half;       /* of the first distance, which is 0, only columns to the right; with sums */
    uintptr_t ahead; /* with the sums: what is asked for meanwhile, a vector for each place */
};
