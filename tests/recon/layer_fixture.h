#pragma once

/* A random layer with its data, for tests of what reads the linear objective. Columns are made
 * directly, so a problem can be compared with the plain sums over the data. */

#include "ptqd/recon/linear_problem.h"

struct layer_fixture {
    int64_t K, D, G, positions;
    bool still;
    float *x, *x_quantized; /* [G][positions][D] */
    float *weights, *bias;  /* [K][D], [K] */
    struct quant_layer layer;
    struct linear_problem problem;
};

struct layer_fixture_options {
    int64_t K, D, G, positions;
    int bits;
    bool asymmetric, per_tensor; /* format of the weights */
    double noise;                /* of x̂ against x */
    double correlation;          /* 0 to 1: how alike the columns' elements are */
    bool still;                  /* x̂ hardly changes, and sums are rounded to float32 */
    uint64_t seed;
};

/* Weights are calibrated with the mse observer, and rounded to nearest. */
void layer_fixture_init(struct layer_fixture *fixture, struct arena *arena,
                        const struct layer_fixture_options *options);

/* The sums of the wanted outputs, as they were set by layer_fixture_init. */
void layer_fixture_targets(const struct layer_fixture *fixture, struct arena *arena,
                           struct linear_targets *out_targets);

/* Mean over the positions of ((w·x + b) − (ŵ·x̂ + b̂))² for channel k, by plain sums. */
double layer_fixture_error(const struct layer_fixture *fixture, int64_t k, const float *weights,
                           float bias);
