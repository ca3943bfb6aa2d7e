#pragma once

/* Distillation: all variables of the whole quantized network (trainee.h) are trained so that it
 * gives what the float network gives, on unlabelled samples (the student of Hinton et al., arXiv
 * 1503.02531, is the network itself at fewer bits).
 *
 * The loss of a sample is the Kullback-Leibler divergence of the class probabilities (where these
 * nearly agree, to one half at a higher temperature: Hinton et al., section 2) or the squared error
 * of the output, and `share` times the mean over all quantized activations of their squared error
 * before quantization, relative to the float network's mean square over the mini-batch.
 */

#include "ptqd/recon/augment.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/samples.h"
#include "ptqd/recon/trainee.h"

enum distill_loss {
    DISTILL_PROBABILITIES, /* Kullback-Leibler divergence of Softmax(logits) */
    DISTILL_VALUES,        /* squared error of the output, relative to its mean square */
};

struct distill_options {
    int64_t epochs;
    int64_t batch;
    enum distill_loss loss;
    double temperature; /* ≥ 1, of a second comparison of the probabilities; 1: none */
    double share;       /* of the intermediate activations */
    int64_t most_bytes; /* of what is executed at once (sample_order.h); 0: the usual ceiling */
    struct augment_options augment;
    struct trainee_options trainee;
    const struct recon_keeper *keeper; /* asked to save after every epoch; NULL: nothing is kept */
};

/* Mean over all samples of the loss of the output alone. */
struct distill_result {
    double before, after;
};

/* Unless they begin at codes, weights are quantized little by little (trainee.h, `blend`): each
 * begins as it is, and comes to its code when the rest of the network has learned to do without it.
 *
 * The loss over all samples is measured several times on the way, and the best state stays, so it
 * never grows. Recorded (monitor.h) is what train_unit records. The order of mini-batches and what
 * is made of them come from `rng`. E_UNSUPPORTED names an operator without a gradient. */
bool distill(struct quant_network *network, const struct samples *samples,
             const double *output_scales, const struct distill_options *options, struct rng *rng,
             const struct recon_monitor *monitor, struct arena *scratch,
             struct distill_result *out_result, struct error *err);
