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
    double *low, *high;   /* [K] of u, by the present zero points */
    double *negligible;   /* [G][D] variances up to this decide nothing */
    bool *active, *moved; /* [K] rows that a sweep looks at, that it changed */
    void *pairs;          /* scratch of the kernel */
    double fraction;      /* of the work done, for reports; the caller's */
};

/* Allocates. Both solutions are the layer as it is. */
bool descent_init(struct arena *arena, const struct linear_problem *problem,
                  const struct recon_monitor *monitor, const float *least_scales,
                  struct quant_layer *layer, struct descent *out_descent, struct error *err);

/* Begins a present solution of a share, whose codes the caller sets next: with the scale that is
 * nearest to `scale` among those that the quantizer can hold and may have. */
void descent_begin(const struct descent *descent, int64_t share, double scale, int32_t zero_point);

/* The present solution of group g as the kernels take it. */
struct lattice descent_group(const struct descent *descent, int64_t g);

/* From the present codes: single moves and the best scale in turn until nothing moves. What is
 * better than the best solution of its share becomes it. */
bool descent_run(const struct descent *descent, struct error *err);

/* The same from the best solution, with moves of two codes at once. */
bool descent_refine(const struct descent *descent, struct error *err);

/* E_CANCELLED as the listener wants; the loss is that of the best solution. */
bool descent_report(const struct descent *descent, struct error *err);

/* Puts the best solution into the layer, with its best biases. */
void descent_store(const struct descent *descent);
