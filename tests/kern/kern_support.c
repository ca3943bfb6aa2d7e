#include "kern_support.h"

#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *exact_alloc(size_t bytes)
{
    void *memory = NULL;
    ck_assert_int_eq(posix_memalign(&memory, 64, bytes > 0 ? bytes : 1), 0);
    return memory;
}

float *exact_floats(int64_t count)
{
    float *values = exact_alloc((size_t)count * sizeof(*values));
    for (int64_t i = 0; i < count; i++)
        values[i] = 0;
    return values;
}

double *exact_doubles(int64_t count)
{
    double *values = exact_alloc((size_t)count * sizeof(*values));
    for (int64_t i = 0; i < count; i++)
        values[i] = 0;
    return values;
}

void fill_random(struct rng *rng, float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(2 * rng_uniform(rng) - 1);
}

float *random_floats(struct rng *rng, int64_t count)
{
    float *values = exact_floats(count);
    fill_random(rng, values, count);
    return values;
}

float *copy_floats(const float *values, int64_t count)
{
    float *copy = exact_floats(count);
    memcpy(copy, values, (size_t)count * sizeof(*copy));
    return copy;
}

int64_t random_between(struct rng *rng, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low + 1));
}

static struct conv_shape random_candidate(struct rng *rng)
{
    int64_t one_dimension = random_between(rng, 0, 3) == 0;
    int64_t G = random_between(rng, 0, 1) == 0 ? 1 : random_between(rng, 2, 20);
    int64_t depthwise = random_between(rng, 0, 1);
    struct conv_shape shape = {
        .N = random_between(rng, 1, 4),
        .H = one_dimension ? 1 : random_between(rng, 1, 12),
        .W = random_between(rng, 1, 12),
        .C = G * (depthwise ? 1 : random_between(rng, 1, 20)),
        .K = G * (depthwise ? 1 : random_between(rng, 1, 20)),
        .R = one_dimension ? 1 : random_between(rng, 1, 4),
        .S = random_between(rng, 1, 5),
        .G = G,
        .stride_h = random_between(rng, 1, 3),
        .stride_w = random_between(rng, 1, 3),
        .dilation_h = random_between(rng, 1, 2),
        .dilation_w = random_between(rng, 1, 2),
    };
    shape.pad_top = one_dimension ? 0 : random_between(rng, 0, shape.R - 1);
    shape.pad_bottom = one_dimension ? 0 : random_between(rng, 0, shape.R - 1);
    shape.pad_left = random_between(rng, 0, shape.S - 1);
    shape.pad_right = random_between(rng, 0, shape.S - 1);
    shape.OH = conv_extent(shape.H, shape.R, shape.stride_h, shape.dilation_h, shape.pad_top,
                           shape.pad_bottom);
    shape.OW = conv_extent(shape.W, shape.S, shape.stride_w, shape.dilation_w, shape.pad_left,
                           shape.pad_right);
    return shape;
}

const struct conv_shape gram_shapes[GRAM_SHAPES] = {
    {2, 70, 70, 2, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 70, 70},
    {3, 60, 50, 5, 5, 3, 3, 5, 1, 1, 1, 1, 1, 1, 1, 1, 60, 50},
    {2, 1, 9000, 3, 3, 1, 2, 1, 1, 2, 0, 0, 0, 0, 1, 1, 1, 4500},
    {40, 12, 12, 3, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 12, 12},
    {2, 4, 4, 50, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4},
    {5, 90, 20, 50, 2, 3, 2, 2, 1, 1, 1, 0, 1, 1, 1, 1, 90, 20},
    {3, 9, 11, 20, 2, 3, 2, 2, 2, 2, 1, 0, 1, 1, 2, 2, 4, 5},
    {2, 9, 9, 17, 2, 3, 3, 1, 1, 1, -1, -2, -3, -1, 1, 1, 3, 4},
    {3, 3, 2, 10, 1, 7, 5, 1, 1, 2, 4, 3, 4, 3, 1, 1, 5, 2},
    {3, 9, 11, 20, 2, 2, 2, 1, 5, 4, 3, 0, 2, 1, 1, 1, 3, 3},
    {9, 20, 3, 9, 1, 5, 2, 1, 3, 1, 4, 0, 2, 1, 2, 3, 6, 1},
    {7, 32, 32, 16, 2, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 16, 16},
    {70, 49, 10, 1, 4, 10, 4, 1, 2, 2, 4, 1, 5, 1, 1, 1, 25, 5},
    {100, 9, 8, 1, 4, 3, 4, 1, 1, 2, 1, 1, 1, 1, 1, 1, 9, 4},
    {33, 7, 14, 1, 1, 2, 4, 1, 3, 2, 0, 1, 1, 1, 1, 1, 3, 7},
    {5, 9, 12, 20, 20, 3, 4, 20, 2, 2, 1, 1, 1, 1, 1, 1, 5, 6},
    {5, 21, 33, 8, 4, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 21, 33},
    {3, 17, 15, 8, 2, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1, 1, 9, 15},
};

struct conv_shape random_conv_shape(struct rng *rng)
{
    struct conv_shape shape = random_candidate(rng);
    while (shape.OH < 1 || shape.OW < 1)
        shape = random_candidate(rng);
    return shape;
}

void check_close(const float *a, const float *b, int64_t count, int64_t terms, const char *what)
{
    double root = sqrt((double)terms);
    double tolerance = 4 * (root + 4) * root * (double)FLT_EPSILON;
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        ck_assert_element(difference <= tolerance,
                          "%s, element %lld: %g and %g differ by more than %g", what, (long long)i,
                          (double)a[i], (double)b[i], tolerance);
        largest = difference > largest ? difference : largest;
    }
    if (largest > tolerance / 4)
        fprintf(stderr, "warning: %s: difference %g of %g\n", what, largest, tolerance);
}

void check_float(float value, float expected)
{
    ck_assert_element(value == expected, "%.9g instead of %.9g", (double)value, (double)expected);
}

void check_same_bits(const float *a, const float *b, int64_t count, const char *what)
{
    for (int64_t i = 0; i < count; i++)
        ck_assert_element(memcmp(&a[i], &b[i], sizeof(a[i])) == 0,
                          "%s, element %lld: %.9g and %.9g", what, (long long)i, (double)a[i],
                          (double)b[i]);
}
