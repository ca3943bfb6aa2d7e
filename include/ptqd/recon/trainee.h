#pragma once

/* What is trained of a unit: the variables behind its weights, the scales and zero points of its
 * quantizers, its biases. The forward pass computes with what a device can hold (soft rounding
 * and blended weights aside); gradients go straight through every rounding (Bengio et al., arXiv
 * 1308.3432).
 *
 *   weights   w, and with it q = s (clamp(round(w / s) + z, n, p) − z) (AdaQuant, Hubara et al.,
 *             arXiv 2006.10518), with learned scales (LSQ, Esser et al., arXiv 1902.08153). While
 *             `blend` λ is below 1, ŵ = w + λ (q − w)
 *   round     α, and with it ŵ = s (clamp(⌊w / s⌋ + h(α) + z, n, p) − z) with the rectified sigmoid
 *             h (AdaRound, Nagel et al., arXiv 2004.10568, eq. 22 and 23); the weights' scales stay
 *   qparam    scales and zero points alone; w stays
 *
 * Weights are trained in codes of the channel's first scale, scales as logarithms, zero points in
 * codes, biases relative to the size of the layer's output: so one learning rate fits every layer,
 * whatever its units.
 */

#include "ptqd/nn/exec.h"
#include "ptqd/recon/adam.h"
#include "ptqd/recon/keeper.h"
#include "ptqd/recon/unit_graph.h"

enum trainee_variable { TRAIN_NOTHING, TRAIN_QPARAM, TRAIN_WEIGHTS, TRAIN_ROUND };

/* A learning rate each; 0: not trained. */
struct trainee_rates {
    double weights;           /* codes, or α */
    double weight_scales;     /* logarithm */
    double activation_scales; /* logarithm; the network's input keeps its own */
    double zero_points;       /* codes, of activations; likewise */
    double biases;            /* of the layer's output scale */
};

struct trainee_options {
    enum trainee_variable variable;
    struct trainee_rates rates;
    /* Weights and biases begin at what the network has now; otherwise at the float ones, to be
     * blended into their codes. */
    bool from_codes;
    /* round: λ relative to what the error of one weight costs at the start, and the share of the
     * steps before β falls from 20 to 2 (AdaRound, arXiv 2004.10568, 3.2; BRECQ's schedule). */
    double regularization, warm_start;
};

/* One vector that is trained at one rate. */
struct trained_vector {
    int64_t count;
    float *values, *gradient, *best;
    double rate;
    struct adam adam;
};

struct trained_layer {
    struct quant_layer *layer;
    float output_scale;             /* unit of the biases */
    float *start_scales;            /* [channels of the quantizer] */
    float *start_biases;            /* [K] */
    float *floors;                  /* round: [K][D] ⌊w / s⌋; else NULL */
    struct trained_vector *weights; /* [K][D] codes of w at the first scale, or α */
    struct trained_vector *scales;  /* [channels] log(s / start) */
    struct trained_vector *biases;  /* [K] */
};

struct trained_activation {
    struct trained_quantizer *quantizer;
    float start_scale;
    struct trained_vector *scale;      /* [1] log(s / start) */
    struct trained_vector *zero_point; /* [1] */
};

struct trainee {
    struct quant_network *network;
    struct trainee_options options;
    bool hard;    /* round: codes instead of soft values */
    double blend; /* weights, qparam: λ above; 1 at first */
    struct trained_layer *layers;
    int layer_count;
    struct trained_activation *activations;
    int activation_count;
    struct trained_vector *vectors; /* all of them, in a fixed order */
    int vector_count;
};

/* `output_scales`: of every layer of the network, the root mean variance of its float output.
 * Everything in `arena`. */
bool trainee_create(struct arena *arena, struct quant_network *network, const struct unit *unit,
                    const struct unit_graph *graph, const double *output_scales,
                    const struct trainee_options *options, struct trainee *out_trainee,
                    struct error *err);

/* Asks for the gradients of weights and biases. */
bool trainee_want_gradients(const struct trainee *trainee, struct exec *exec, struct error *err);

/* Variables → codes, weights, biases, scales and zero points of the network. */
void trainee_apply(struct trainee *trainee);

struct trainee_step {
    double share; /* of every learning rate */
    /* round: λ Σ (1 − |2 h(α) − 1|^β) is part of the loss (AdaRound, eq. 24); λ = 0: without. */
    double lambda, beta;
};

/* Step `step` of `steps` at a share of the learning rates, with λ and β of the schedule; `unit`:
 * the error of one weight at the start, in which λ is given. */
struct trainee_step trainee_schedule(const struct trainee *trainee, int64_t step, int64_t steps,
                                     double share, double unit);

/* How many weights are trained. */
double trainee_weights(const struct trainee *trainee);

/* One step of Adam with the gradients of the executor's last backward pass. */
void trainee_step(struct trainee *trainee, const struct exec *exec,
                  const struct trainee_step *step);

/* Remembers the present variables, and brings them back (not applied). */
void trainee_keep(struct trainee *trainee);
void trainee_restore(struct trainee *trainee);

/* All that changes during training, and what it started from, as fields of a keeper; after they are
 * loaded the variables are to be applied. Behind them room for `more` fields of the caller. */
bool trainee_fields(const struct trainee *trainee, struct arena *arena, int more,
                    struct keeper_field **out_fields, int *out_count, struct error *err);
