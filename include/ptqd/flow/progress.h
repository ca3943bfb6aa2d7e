#pragma once

/* Progress and time of a run: steps with a share of the whole each, units within a step. */

#include "ptqd/flow/losses.h"
#include "ptqd/flow/run.h"
#include "ptqd/recon/monitor.h"

enum run_step_id {
    STEP_PREPARE,
    STEP_RECONSTRUCT,
    STEP_TRAIN,
    STEP_TUNE,
    STEP_EVALUATE,
    STEP_SENSITIVITY,
    STEP_EXPORT,
    STEP_COUNT
};

struct progress {
    const struct run_monitor *listener; /* borrowed */
    struct run_progress state;
    enum run_step_id step;
    bool skipped[STEP_COUNT];     /* steps without work take no share */
    bool walks_only;              /* nothing is solved in STEP_RECONSTRUCT */
    double started, last_report;  /* seconds of the monotonic clock */
    struct run_result *result;    /* seconds are added to its steps; borrowed */
    struct recon_monitor monitor; /* hands on what happens inside the present unit */
    const struct losses *losses;  /* borrowed; where it records; NULL: nowhere */
    int curve;                    /* of them; −1: none */
};

void progress_init(struct progress *progress, const struct run_monitor *listener,
                   struct run_result *result);

/* Ends the present step and starts the next one, of `units` units. E_CANCELLED as the listener
 * wants. */
bool progress_step(struct progress *progress, enum run_step_id step, int units, struct error *err);

const char *progress_step_name(enum run_step_id step);

/* Unit 1 … units of the present step begins. */
bool progress_unit(struct progress *progress, int unit, const char *name, struct error *err);

/* From now on, to the end of the step, losses are recorded in this curve. */
void progress_curve(struct progress *progress, int curve);

/* Adds time since `since` to a named part of the report ("gram", "solve"); returns now. */
double progress_account(struct progress *progress, const char *name, double since);

/* Ends the last step and fills in the total. */
void progress_finish(struct progress *progress);
