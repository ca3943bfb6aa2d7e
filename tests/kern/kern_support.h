#pragma once

/* What tests of the kernels share: exact-sized memory, random values and shapes, comparisons. */

#include "ptqd/base/rng.h"
#include "ptqd/kern/conv.h"

#include <check.h>
#include <stddef.h>
#include <stdint.h>

/* Memory of exactly this size, aligned to 64 bytes, so that a sanitizer sees the first byte beyond
 * it; freed with free. */
void *exact_alloc(size_t bytes);
float *exact_floats(int64_t count);   /* zeroed */
double *exact_doubles(int64_t count); /* zeroed */

/* Uniform in [−1, 1). */
float *random_floats(struct rng *rng, int64_t count);
void fill_random(struct rng *rng, float *values, int64_t count);
float *copy_floats(const float *values, int64_t count);

/* Uniform in [low, high]. */
int64_t random_between(struct rng *rng, int64_t low, int64_t high);

/* A convolution of up to a few thousand elements with everything in it that a shape can have:
 * strides, dilation, padding that differs on all sides, groups, sizes that no vector divides. */
struct conv_shape random_conv_shape(struct rng *rng);

/* Convolutions of many positions for Gram matrices, of floats and of codes: more than one block,
 * bands and their rest; grouped, dilated, strided, pointwise, one channel, eight columns; filters
 * larger than the map, steps larger than filters; padding below zero cuts the map, as that of a
 * ConvTranspose may. */
enum { GRAM_SHAPES = 18 };
extern const struct conv_shape gram_shapes[GRAM_SHAPES];

/* A sum of `terms` products of values in [−1, 1) is off by at most terms²·ε/2 in the worst case and
 * by about √terms·ε when roundings are independent. Checks |a − b| ≤ 4·(√terms + 4)·ε·√terms (the
 * sum itself grows as √terms), and says so on standard error above a quarter of that. */
void check_close(const float *a, const float *b, int64_t count, int64_t terms, const char *what);

/* Checks that two numbers are equal (and no NaN). */
void check_float(float value, float expected);

/* Checks that all bits are the same. */
void check_same_bits(const float *a, const float *b, int64_t count, const char *what);
