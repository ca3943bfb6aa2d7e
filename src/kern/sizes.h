#pragma once

/* Sizes of workspaces and loops. */

#include "ptqd/kern/conv.h"

#include <stdint.h>

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t at_least_one(int64_t count)
{
    return count < 1 ? 1 : count;
}

static inline int64_t divided_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step;
}

static inline int64_t round_up(int64_t value, int64_t step)
{
    return divided_up(value, step) * step;
}

/* Whole cache lines. */
static inline int64_t lines(int64_t bytes)
{
    return round_up(bytes, 64);
}

/* The same filter on channels that are not kept apart. */
static inline struct conv_shape joined(const struct conv_shape *shape)
{
    struct conv_shape one = *shape;
    one.G = 1;
    return one;
}
