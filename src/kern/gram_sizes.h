#pragma once

/* Sizes of the workspaces and loops of src/kern/gram*. */

#include <stdint.h>

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* Whole cache lines. */
static inline int64_t lines(int64_t bytes)
{
    return round_up(bytes, 64);
}
