#pragma once

/* How values are distributed: what a histogram of a report is drawn from. */

#include "ptqd/base/arena.h"
#include "ptqd/recon/captured.h"

enum {
    DISTRIBUTION_BINS = 64,
    /* Of a captured tensor, evenly spread; all where there are fewer. A prime, so that they don't
     * come from some channels only. */
    DISTRIBUTION_SAMPLE = 16381,
};

struct distribution {
    double low, high;                 /* smallest and largest value; NaN: one is not finite */
    double counts[DISTRIBUTION_BINS]; /* of values; the bins divide the range evenly */
};

/* A layer's, in the float network. */
struct layer_distribution {
    struct distribution weights;     /* all of them */
    struct distribution activations; /* a sample of its input */
};

void distribution_of(const float *values, int64_t count, struct distribution *out);
bool distribution_of_captured(const struct captured *captured, struct arena *scratch,
                              struct distribution *out, struct error *err);
