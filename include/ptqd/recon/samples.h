#pragma once

/* The calibration samples of one run: all of a data set, or those that the seed draws. */

#include "ptqd/base/rng.h"
#include "ptqd/nn/dataset.h"

struct samples {
    const struct dataset *dataset; /* borrowed */
    const int64_t *indices;        /* [count] into the data set */
    int64_t count;
};

/* All samples in order when `wanted` is 0 or at least as many as there are; else that many,
 * different ones, drawn by `rng`, in the order of the data set. */
bool samples_draw(struct arena *arena, const struct dataset *dataset, int64_t wanted,
                  struct rng *rng, struct samples *out_samples, struct error *err);

/* Sample `index` of the selection as float32. */
void samples_read(const struct samples *samples, int64_t index, float *out);
