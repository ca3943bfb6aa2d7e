#pragma once

/* A layer and its linear problem from the data of a golden file (golden/layer_data.py). */

#include "ptqd/recon/linear_problem.h"

struct golden_data {
    int64_t positions, K, D;
    const float *inputs;  /* [positions][D] */
    const float *weights; /* [K][D] */
    const float *targets; /* [positions][K] */
    int bits;
    const float *scales;        /* [K] */
    const int32_t *zero_points; /* [K]; NULL: the format is symmetric */
};

struct golden_layer {
    struct quant_layer layer; /* its codes are those of zero */
    struct linear_problem problem;
};

void golden_layer_init(struct golden_layer *golden, struct arena *arena,
                       const struct golden_data *data);
