#pragma once

/* The losses that a training records, and trainings in parts beside one that executes all samples
 * of a mini-batch at once. */

#include "ptqd/nn/graph.h"
#include "ptqd/recon/monitor.h"

enum { LOSS_CURVE_MOST = 64 };

struct loss_curve {
    int count;
    double losses[LOSS_CURVE_MOST];
};

/* A monitor that records into the curve, which begins anew. */
struct recon_monitor loss_curve_monitor(struct loss_curve *curve);

/* Every loss within `tolerance`, as a share of it. */
void loss_curve_check_close(const struct loss_curve *actual, const struct loss_curve *expected,
                            double tolerance);

/* Memory for parts of more than one sample, but not for all. */
int64_t loss_curve_bytes_for_parts(const struct graph *graph, int64_t batch);
