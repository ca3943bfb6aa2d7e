#pragma once

/* Products of small matrices: out[i][j] = Σ over n of
 * left[i · left_row + n · left_step] · right[n · right_step + j]. */

#include <stdbool.h>
#include <stdint.h>

struct winograd_product {
    const float *left, *right;
    float *out;                   /* rows `out_row` elements apart */
    int64_t rows, columns, terms; /* columns: a multiple of LANES */
    int64_t left_row, left_step, right_step, out_row;
    bool added; /* to what is in `out` */
};

/* Adds in the order of n. */
void winograd_multiply(const struct winograd_product *product);
