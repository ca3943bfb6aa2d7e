#pragma once

/* Reconstruction methods: how the codes of one layer's weights are found. One file in
 * recon/methods/ and one row in methods.def each. */

#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/trainee.h"

struct method_options {
    int64_t iterations;   /* 0: the method's own default, as for the learning rate */
    double learning_rate; /* of Adam */
    double effort;        /* share of the iterations: below 1 for a solution in between */
    double regularization;
    double warm_start;         /* share of the iterations without the regularizing term */
    const float *least_scales; /* [channels] below which no scale may go; NULL: any positive one */
};

struct method {
    const char *name; /* "round" */
    const char *help; /* one sentence */
    /* True when `solve` needs the problem; otherwise it is NULL. */
    bool uses_data;
    bool changes_scales;      /* of the layer's quantizer */
    bool changes_zero_points; /* likewise, where the format is asymmetric */
    /* What is trained where the same is wanted of blocks or the network; TRAIN_NOTHING: it can't be
     * had there, and `only_layers` says why. */
    enum trainee_variable trained;
    const char *only_layers;
    const char *only_symmetric; /* why formats with zero points are refused; NULL: they are taken */
    /* Scratch of `solve`: bytes for each element of H [G][D][D], and for each weight. */
    size_t moment_bytes, weight_bytes;
    /* Sets codes, weight_values and bias_values of the layer, whose quantizer is calibrated and
     * whose codes are a start (rounded to nearest, or found before). Deterministic. `scratch` is
     * reset by the caller. */
    bool (*solve)(const struct linear_problem *problem, const struct method_options *options,
                  const struct recon_monitor *monitor, struct arena *scratch,
                  struct quant_layer *layer, struct error *err);
};

/* What is asked for, or else what the method says is its default; iterations are at least 1. */
int64_t method_iterations(const struct method_options *options, int64_t own);
double method_learning_rate(const struct method_options *options, double own);

/* Rows of methods.def, NULL-terminated. */
const struct method *const *method_table(void);
extern const struct method method_none; /* rounds to nearest */
const struct method *method_find(const char *name);
