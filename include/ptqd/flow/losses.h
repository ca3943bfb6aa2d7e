#pragma once

/* The loss of each unit over the iterations in which it was optimized.
 *
 * A curve takes any number of points in a fixed room: when it is full, every second one goes, and
 * from then on every second one comes. So it is a function of what was recorded alone, whenever it
 * was interrupted in between. All curves lie in three arrays, which a run keeps with its state. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOSS_POINTS = 64 }; /* of a curve at most; more than half as many where there were more */

struct losses {
    int count;           /* of curves */
    int32_t *spans;      /* [count][2]: points, and iterations between two of them */
    int32_t *iterations; /* [count][LOSS_POINTS] */
    float *values;       /* [count][LOSS_POINTS] */
};

bool losses_create(struct arena *arena, int count, struct losses *out_losses, struct error *err);

/* Appends a point; iterations rise, and 0 begins the curve anew. The point of the last iteration is
 * always there. What is not finite is left out. */
void losses_add(const struct losses *losses, int curve, int64_t iteration, double loss);

/* What a report has of a curve. */
struct run_loss {
    const char *name;     /* of the unit */
    const char *variable; /* what is optimized: "round", "weights" … "biases" */
    const char *solver;   /* "layer-wise", "training", "distillation", "tuning" */
    int count;
    const int32_t *iterations; /* [count], rising */
    const float *values;       /* [count] */
};

struct pipeline;
struct quant_network;

/* Curves of a run: those of the layer-wise solver by layer, then those of training by unit (as many
 * as there are layers at most), then that of the tuning of biases. */
enum curve_part { CURVE_LAYER, CURVE_UNIT, CURVE_BIASES };
int losses_of_run(const struct quant_network *network);
int losses_curve(const struct quant_network *network, enum curve_part part, int index);

/* The curves of a run that have points, in `arena`. */
bool losses_report(struct arena *arena, const struct losses *losses,
                   const struct pipeline *pipeline, const struct quant_network *network,
                   struct run_loss **out_report, int *out_count, struct error *err);
