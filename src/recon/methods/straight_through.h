#pragma once

/* Weights, scales and zero points of a layer trained through the rounding, on the Gram form.
 *
 * What is minimized is the error of the quantized weights q(v) = s (clamp(round(v / s) + z, n, p) −
 * z); gradients pass the rounding as if it were not there (kern/fake_quantize.h). Weights are
 * trained in steps of their scale at the start, scales as logarithms, zero points in codes: so one
 * learning rate fits every layer, whatever its units. A channel's error counts relative to what it
 * costs on the mean to move one of its weights by one step, s² H_dd. */

#include "descent.h"
#include "gram_gradient.h"

#include "ptqd/recon/adam.h"
#include "ptqd/recon/method.h"

/* Learning rates; 0: not trained. */
/* Memory for each weight: value, gradient, two moments of Adam, and the best code. */
enum {
    STRAIGHT_THROUGH_WEIGHT_BYTES = GRAM_GRADIENT_WEIGHT_BYTES + 4 * sizeof(float) + sizeof(int8_t)
};

struct straight_through_rates {
    double weights, scales, zero_points;
};

struct straight_through_vector {
    int64_t count;
    float *values, *gradient;
    double rate;
    struct adam adam; /* where the rate is not 0 */
};

struct straight_through {
    struct gram_gradient error;
    const struct quant_layer *layer;
    struct quantizer quantizer;                 /* with what is trained in it */
    const float *least_scales;                  /* [channels], or NULL */
    double *unit;                               /* [channels] mean s² H_dd, or 0 */
    struct straight_through_vector weights;     /* [K][D] (v − w) / s at the start */
    struct straight_through_vector scales;      /* [channels] log(s / s at the start) */
    struct straight_through_vector zero_points; /* [channels] */
    float *row, *row_gradient;                  /* [D] scratch: v, ∂/∂v */
};

/* Begins with the float weights, and the scales and zero points of the layer. */
bool straight_through_init(struct arena *arena, const struct linear_problem *problem,
                           const struct quant_layer *layer,
                           const struct straight_through_rates *rates, const float *least_scales,
                           struct straight_through *out, struct error *err);

/* Puts the variables into the quantizer, and measures the error of q(v). */
void straight_through_apply(const struct straight_through *s);

/* Gradients of Σ_k E_k / unit with respect to the variables, of what was applied last. */
void straight_through_gradients(const struct straight_through *s);

/* `steps` of Adam with cosine decay of the rates. The layer ends with the best codes that were
 * seen, and is no worse than it was. */
bool straight_through_solve(const struct linear_problem *problem,
                            const struct method_options *options, int64_t steps,
                            const struct straight_through_rates *rates,
                            const struct recon_monitor *monitor, struct arena *scratch,
                            struct quant_layer *layer, struct error *err);
