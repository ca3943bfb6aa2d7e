#pragma once

/* The integer codes, scales and zero points of one layer while they are searched.
 *
 * Channel k is s·u with whole numbers u = code − zero point, and the best bias is part of the
 * objective (linear_problem.h), so
 *
 *     E_k = V_k − 2 s c_k·u + s² uᵀHu
 *
 * A share is what has a scale of its own: one row where the quantizer is per channel, else all of
 * them. Solutions are compared share by share, so each may come from another start. */

#include "ptqd/kern/lattice.h"
#include "ptqd/recon/linear_problem.h"
#include "ptqd/recon/monitor.h"

/* Memory for each weight: codes of two solutions; products and two limits of the codes. */
enum { DESCENT_WEIGHT_BYTES = 5 * sizeof(double) };

struct solution {
    double *codes;        /* [K][D] u */
    double *scale;        /* [K] */
    int32_t *zero_points; /* [shares] */
    double *error;        /* [shares] sum of E_k over its rows */
};

struct descent {
    const struct linear_problem *problem; /* borrowed, as the next three */
    const struct recon_monitor *monitor;
    struct quant_layer *layer;
    const float *least_scales; /* [shares], or NULL */
    int64_t shares, rows;      /* rows of each share */
    struct solution present, best;
    double *products;     /* [K][D] H u of the present solution */
    double *low, *high;   /* [K][D] of u: by the present zero points, or narrower */
    double *negligible;   /* [G][D] variances up to this decide nothing */
    bool *active, *moved; /* [K] rows that a sweep looks at, that it changed */
    void *pairs;          /* scratch of the kernel */
    double fraction;      /* of the work done, for reports; the caller's, as what follows */
    bool fixed_scales;    /* scales stay as they begin */
    int64_t *iteration;   /* of the curve that is recorded; sweeps count it up */
};

/* Allocates. Both solutions are the layer as it is. */
bool descent_init(struct arena *arena, const struct linear_problem *problem,
                  const struct recon_monitor *monitor, const float *least_scales,
                  struct quant_layer *layer, struct descent *out_descent, struct error *err);

/* Begins a present solution of a share, whose codes the caller sets next: with the scale that is
 * nearest to `scale` among those that the quantizer can hold and may have, and with the whole range
 * of codes. */
void descent_begin(const struct descent *descent, int64_t share, double scale, int32_t zero_point);

/* Begins with the layer as it is now. */
void descent_begin_layer(const struct descent *descent);

/* The present solution of group g as the kernels take it. */
struct lattice descent_group(const struct descent *descent, int64_t g);

/* E_CANCELLED as the listener wants; the loss is that of the best solution. */
bool descent_report(const struct descent *descent, struct error *err);

/* Gives the present codes their best scales. */
bool descent_fit_scales(const struct descent *descent, struct error *err);

/* One way to change the present solution: moves codes of active rows by lattice functions, and sets
 * moved[k] for each row k that it changed. */
typedef bool descent_sweep(const struct descent *descent, void *context, struct error *err);

/* From the present codes: sweeps and the best scale in turn until nothing moves, or for so many
 * rounds. What is better than the best solution of its share becomes it. */
bool descent_run_sweeps(const struct descent *descent, descent_sweep *sweep, void *context,
                        int rounds, struct error *err);

/* The same with sweeps that give one code after the other its best value. */
bool descent_run(const struct descent *descent, struct error *err);

/* The same from the best solution, and also with moves of two codes at once. */
bool descent_refine(const struct descent *descent, struct error *err);

/* Puts the best solution into the layer, with its best biases. */
void descent_store(const struct descent *descent);

/* The end of a part of a pass over D columns, begun at `first`, in which each takes `operations`:
 * about 10 ms, after which to report. */
int64_t descent_part_end(int64_t first, int64_t D, int64_t operations);
