#pragma once

/* Sizes that can't overflow. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out_product = a · b; false (and *out_product untouched) when it does not fit a size_t. */
bool mem_mul(size_t a, size_t b, size_t *out_product);

/* *out_sum = a + b; false when it does not fit. */
bool mem_add(size_t a, size_t b, size_t *out_sum);

/* *out_product = a · b for non-negative extents; false when negative or above INT64_MAX. */
bool mem_mul_i64(int64_t a, int64_t b, int64_t *out_product);
