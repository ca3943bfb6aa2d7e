#pragma once

/* The linear objective of one layer in its Gram form.
 *
 * Over all samples and positions, with x̂ what a filter sees in the quantized network and t the
 * linear output that is wanted, channel k of group g has the error
 *
 *     E_k(ŵ, b̂) = mean (t_k − ŵ·x̂ − b̂)²
 *               = V_k − 2 c_k ŵᵀ + ŵ H ŵᵀ + (τ_k − ŵ·μ̂ − b̂)²
 *
 * where H = cov(x̂, x̂), c_k = cov(t_k, x̂), V_k and τ_k variance and mean of t_k, μ̂ the mean of x̂.
 * The data is needed once; the last term shows the best bias. Usually t is the float layer's output
 * w·x + b: then this is AdaRound's objective (arXiv 2004.10568, eq. 13) with the asymmetric input
 * of its section 4, and centring makes the bias free.
 *
 * A prior may be added: ε Σ_d H_dd (ŵ_d − w_d)², which keeps what the data does not decide where
 * the float weights are. It changes nothing but the diagonal of H, c_k and V_k.
 *
 * Letters: K output channels, G groups, D weights per channel.
 */

#include "ptqd/base/arena.h"
#include "ptqd/kern/gram.h"
#include "ptqd/quant/network.h"

/* Sums over samples and positions of the wanted outputs; zeroed before the first is added. */
struct linear_targets {
    double *products; /* [K][D] Σ t_k x̂ᵀ */
    double *sum;      /* [K] Σ t_k */
    double *squares;  /* [K] Σ t_k² */
};

struct linear_problem {
    int64_t K, D, G;
    double positions;
    double prior;            /* ε; 0: none */
    const float *weights;    /* [K][D] the float weights, borrowed */
    const float *bias;       /* [K] that the layer keeps, borrowed; NULL: it gets the best one */
    double *H;               /* [G][D][D] */
    double *mean;            /* [G][D] μ̂ */
    double *target;          /* [K][D] c_k */
    double *target_mean;     /* [K] τ_k */
    double *target_variance; /* [K] V_k */
};

/* Zeroed moments of a layer's input (no cross moments), and of its targets. */
bool linear_gram_init(struct arena *arena, const struct quant_layer *layer, struct gram *out_gram,
                      struct error *err);
bool linear_targets_init(struct arena *arena, const struct quant_layer *layer,
                         struct linear_targets *out_targets, struct error *err);

/* Memory of both: of the moments, and of one set of targets. */
size_t linear_gram_bytes(const struct quant_layer *layer);
size_t linear_targets_bytes(const struct quant_layer *layer);

/* From the moments of the input (positions ≥ 1), which are overwritten: H is made in their memory.
 * Targets are still to be set. */
bool linear_problem_create(struct gram *gram, const struct quant_layer *layer,
                           struct linear_problem *out_problem, struct error *err);

/* Adds the prior, before targets are set. H is the covariance of D values in so many positions; the
 * fewer there are for each value, the more of what it says about their relations is chance, and
 * the larger is ε. */
void linear_problem_add_prior(struct linear_problem *problem);

/* Sets, or replaces, what is wanted; `targets` are overwritten and kept. c_k is 0 of values that do
 * not vary. */
void linear_problem_set_targets(struct linear_problem *problem, struct linear_targets *targets);

/* Up to this variance value i (of G · D) does not vary: it is rounding of the sums. */
double linear_problem_negligible(const struct linear_problem *problem, int64_t i);

/* E_k of weights ŵ [D] with their best bias, which is also given (may be NULL). */
double linear_problem_error(const struct linear_problem *problem, int64_t k, const float *weights,
                            float *out_best_bias);

/* Mean over the channels of E_k of a layer's present weights and biases. */
double linear_problem_layer_error(const struct linear_problem *problem,
                                  const struct quant_layer *layer);

/* 10 log10 of the mean square of what is wanted over that error, both without the prior. */
double linear_problem_layer_sqnr_db(const struct linear_problem *problem,
                                    const struct quant_layer *layer);

/* Sets the layer's biases to the best ones for its present weights. */
void linear_problem_set_bias(const struct linear_problem *problem, struct quant_layer *layer);
