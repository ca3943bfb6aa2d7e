#pragma once

/* Variants that are measured, and one run of one. Where the program has the clock of cpu_clock.c,
 * seconds are CPU time. */

#include "networks.h"

#include "ptqd/flow/run.h"

struct variant {
    const char *name;
    const char *method; /* "round" */
    int64_t bits;       /* of weights and activations */
    int bias;           /* enum pipeline_bias */
    int granularity;    /* enum pipeline_granularity */
    int64_t steps;      /* of training, of a block; of the network in whole epochs, at least one */
    int64_t samples;    /* of calibration; 0: all */
    bool activations;   /* their scales are trained with blocks */
};

struct variant_result {
    struct run_step steps[RUN_STEPS_MAX];
    int step_count;
    double seconds; /* all of the run */
};

/* Calibration samples that a run takes of so many. With PTQD_TEST_SHORT they are few. */
int64_t variant_samples(const struct variant *variant, int64_t available);

/* The pipeline of a variant, other fields at their defaults; `available` samples are in the set. */
bool variant_pipeline(const struct variant *variant, int64_t available, struct arena *arena,
                      struct pipeline *out_pipeline, struct error *err);

/* One run, its artifacts made; `evaluation` may be NULL. */
bool variant_run(const struct variant *variant, const struct graph *model,
                 const struct dataset *calibration, const struct dataset *evaluation,
                 struct variant_result *out_result, struct error *err);

/* Seconds of a step of the result; 0 when it has none. */
double variant_seconds(const struct variant_result *result, const char *step);

/* Seconds of one training step of every unit, on 32 samples: what more steps take more. */
bool variant_training_step(const struct variant *variant, const struct network *network,
                           double *out_seconds, struct error *err);
