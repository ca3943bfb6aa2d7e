#pragma once

/* Where the gradient of a unit's squared error begins, and what it is there. Behind a last Relu
 * that nobody else reads the Relu's slope is taken with the difference: a pass over memory instead
 * of two, with the same bits. */

#include "ptqd/nn/graph.h"

struct unit_loss {
    int tensor; /* the output, or what is in front of its Relu */
    /* factor (output − target), as the gradient of `tensor`. */
    void (*differ)(const float *output, const float *target, int64_t count, float factor,
                   float *out_gradient);
};

struct unit_loss unit_loss_of(const struct graph *unit);
