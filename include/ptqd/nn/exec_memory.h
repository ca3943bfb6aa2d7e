#pragma once

/* Placement of blocks with known lifetimes in one piece of memory. For this room only. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stddef.h>

/* Wanted from step `first` to step `last`, both included. */
struct block {
    size_t bytes;
    int first, last;
    size_t offset; /* set by block_place: a multiple of 64 */
};

enum { BLOCK_ALIGNMENT = 64 };

/* Sets the offsets so that blocks alive at one time don't overlap: largest first, each at the
 * lowest place that is free for all of its life. E_MEMORY when the sum does not fit a size_t. */
bool block_place(struct block *blocks, int count, struct arena *arena, size_t *out_bytes,
                 struct error *err);
