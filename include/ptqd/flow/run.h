#pragma once

/* One run: a model, data, a variant and a seed in; a quantized network and its report out. Single
 * threaded; the same inputs give the same bits, whatever else the machine does. */

#include "ptqd/artifact/artifact.h"
#include "ptqd/flow/losses.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/nn/dataset.h"
#include "ptqd/quant/cost.h"
#include "ptqd/quant/memory_timeline.h"
#include "ptqd/recon/distribution.h"
#include "ptqd/recon/monitor.h"

struct sensitivity; /* flow/sensitivity.h */
struct shared;      /* flow/shared.h */

struct run_progress {
    const char *step;      /* "prepare", "reconstruct", "train", "tune", "evaluate",
                            * "sensitivity", "export"; "shared": another run does some of these */
    int unit, units;       /* unit 1 … units of the step; 0 of 0 when it has none */
    const char *unit_name; /* the layer; "" when there is none */
    double fraction;       /* of the whole run, 0 to 1 */
    double loss;           /* of the current unit; NaN when there is none */
};

struct run_monitor {
    /* Called at least every 100 ms of work; false asks the run to stop with E_CANCELLED. */
    bool (*report)(void *context, const struct run_progress *progress);
    void *context;
};

/* How an interrupted run was taken up. */
struct run_resumption {
    const char *step;            /* where it goes on */
    int units;                   /* of the step that are done */
    const struct error *problem; /* NULL; else why the run starts from the beginning */
};

/* Checkpoints: bytes from which a run goes on to the same result, to the bit. */
struct run_checkpoints {
    const uint8_t *resume; /* the last one of an interrupted attempt; NULL: there was none */
    size_t resume_bytes;
    /* Called once, before anything is computed, when there is one. It is not taken up when it is
     * damaged, or of another program version, model, calibration set, variant or seed. May be
     * NULL. */
    void (*resumed)(void *context, const struct run_resumption *resumption);
    /* Called after units and epochs, with bytes that the callee has to keep. NULL: nobody does. */
    void (*save)(void *context, const uint8_t *bytes, size_t size);
    double interval_seconds; /* at most one in this time; 0: after each unit and epoch */
    void *context;
};

/* What a run may take. */
struct run_memory {
    size_t limit_bytes;          /* 0: no limit */
    const char *spill_directory; /* for what is above it; NULL: the run fails with the number */
    /* Called once, with what the run is predicted to take, before it takes it; may wait, reporting
     * to the monitor. NULL: nobody wants to know. */
    bool (*admit)(void *context, size_t bytes, const struct recon_monitor *monitor,
                  struct error *err);
    void *context;
};

struct run_request {
    const struct graph *model; /* as imported (not folded) */
    const struct dataset *calibration;
    const struct dataset *evaluation; /* NULL: no accuracy, agreement only */
    const struct pipeline *pipeline;
    uint64_t seed;
    struct artifact_origin origin; /* for manifests; `seed` is filled in by the run */
    struct run_monitor monitor;    /* report may be NULL */
    struct run_checkpoints checkpoints;
    struct run_memory memory;
    struct shared *shared; /* with other runs, where `origin` has names; NULL: nothing */
};

struct run_layer { /* its numbers are part of checkpoints: a new one needs a row in run_state.c */
    const char *name, *op;
    double weight_sqnr_db;             /* of the quantized weights; infinite in float */
    double input_sqnr_db;              /* of the quantized input, on the calibration set */
    double output_sqnr_before_db;      /* rounded to nearest, on the quantized input */
    double output_sqnr_after_db;       /* optimized, linear output */
    double output_sqnr_final_db;       /* in the finished network; not part of checkpoints */
    const float *weight_scales;        /* [weight_channels]; none in float */
    const int32_t *weight_zero_points; /* [weight_channels]; NULL: symmetric or float */
    int64_t weight_channels;
    float input_scale; /* NaN: the input stays in float */
    int32_t input_zero_point;
};

enum { RUN_STEPS_MAX = 12 };
struct run_step { /* a part of the time; what another run did is none of it */
    const char *name;
    double seconds;
};

struct run_result {
    double float_accuracy, accuracy; /* 0 to 1; NaN without an evaluation set */
    double loss;                     /* float_accuracy − accuracy; NaN likewise */
    double agreement;                /* same top-1 as the float network on the calibration set */
    double output_sqnr_db;           /* of the network's output on the calibration set */
    int64_t calibration_samples, evaluation_samples;
    struct cost float_cost, cost;
    const struct sensitivity *sensitivity; /* NULL: was not asked for */
    struct memory_timeline memory;         /* of the quantized network */
    struct run_loss *losses;               /* curves of the units that were optimized */
    int loss_count;
    struct run_layer *layers;                 /* parallel to cost.layers */
    struct layer_distribution *distributions; /* likewise */
    int layer_count;
    struct run_step steps[RUN_STEPS_MAX];
    int step_count;
    double seconds;         /* all of it */
    size_t predicted_bytes; /* peak of memory, before the run began ... */
    size_t spilled_bytes;   /* ... and what it puts into files, all in all */
    struct artifact *artifacts;
    int artifact_count;
    const struct quant_network *network; /* what the artifacts were made from */
};

/* What `predicted_bytes` of its result would be. Of the data sets it looks at shapes, types and
 * counts only. What it makes for that stays in `arena`. */
bool run_predict_memory(struct arena *arena, const struct run_request *request, size_t *out_bytes,
                        struct error *err);

/* Everything lives in `arena`. An error about a field of the pipeline has its pointer in there. */
bool run_execute(struct arena *arena, const struct run_request *request,
                 struct run_result **out_result, struct error *err);
