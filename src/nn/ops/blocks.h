#pragma once

/* What joining and splitting along an axis share. */

#include "ptqd/nn/op.h"

/* A tensor as blocks [before the axis] of [axis and after it] elements. */
struct blocks {
    int64_t count, size;
};

/* In this execution. A constant has the blocks of one sample, which every sample gets. */
struct blocks blocks_of(const struct op_call *call, int tensor, int axis);
