#pragma once

/* The linear objective of one layer in its Gram form.
 *
 * Over all samples and positions, with x what a filter sees in the float network and x̂ what it sees
 * in the quantized one, channel k of group g has the error
 *
 *     E_k(ŵ, b̂) = mean ((w_k·x + b_k) − (ŵ·x̂ + b̂))²
 *               = V_k − 2 w_k C ŵᵀ + ŵ H ŵᵀ + (b_k + w_k·μ − ŵ·μ̂ − b̂)²
 *
 * where H = cov(x̂, x̂), C = cov(x, x̂), μ and μ̂ the means, V_k the variance of the float output. The
 * data is needed once; the last term shows the best bias. Source: the objective is AdaRound's
 * (arXiv 2004.10568, eq. 13) with the asymmetric input of its section 4; the bias is the centring.
 *
 * Letters: K output channels, G groups, D weights per channel.
 */

#include "ptqd/base/arena.h"
#include "ptqd/kern/gram.h"
#include "ptqd/quant/network.h"

struct linear_problem {
    int64_t K, D, G;
    const float *weights;    /* [K][D] w, borrowed */
    const float *bias;       /* [K] b, borrowed */
    double *H;               /* [G][D][D] */
    double *target;          /* [K][D] w_k C */
    double *target_mean;     /* [K] b_k + w_k·μ */
    double *mean;            /* [G][D] μ̂ */
    double *output_variance; /* [K] V_k */
};

/* From the moments of a layer (positions ≥ 1), whose `inner` and `cross` are overwritten: H is
 * made in place of `inner`. `output_variance` [K] is borrowed. */
bool linear_problem_create(struct arena *arena, struct gram *gram, const struct quant_layer *layer,
                           double *output_variance, struct linear_problem *out_problem,
                           struct error *err);

/* E_k of weights ŵ [D] with their best bias, which is also given (may be NULL). */
double linear_problem_error(const struct linear_problem *problem, int64_t k, const float *weights,
                            float *out_best_bias);

/* Mean over the channels of E_k of a layer's present weights and biases. */
double linear_problem_layer_error(const struct linear_problem *problem,
                                  const struct quant_layer *layer);

/* Sets the layer's biases to the best ones for its present weights. */
void linear_problem_set_bias(const struct linear_problem *problem, struct quant_layer *layer);
