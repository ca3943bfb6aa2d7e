#pragma once

/* Products of a vector of columns with itself turned by some lanes, by AVX-512. */

#include "gram_products.h"

/* Columns j … j + GRAM_LANES − 1 of the operands on the right, or as many as there are, with
 * themselves, the lower triangle, and with at->sums their sums: arguments as those of
 * gram_add_products with `lower`. */
void gram_turned_add(bool floats, const struct gram_operands *at, int64_t j, uint32_t *products,
                     int64_t row);
