#pragma once

/* End-to-end tuning of all biases (Hubara et al., "Improving Post Training Neural Quantization",
 * arXiv 2006.10518, section 3.4): the quantized network is trained, with everything but the biases
 * fixed, to give the float network's output. The loss is the Kullback-Leibler divergence where the
 * network ends in a Softmax (as in the authors' code), the squared error of the output elsewhere.
 */

#include "ptqd/quant/network.h"
#include "ptqd/recon/keeper.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/samples.h"

struct bias_tune_options {
    int64_t epochs;
    int64_t batch;
    double learning_rate; /* relative to the layer's output scale */
    int64_t most_bytes;   /* of what is executed at once (sample_order.h); 0: the usual ceiling */
    const struct recon_keeper *keeper; /* of epochs; NULL: nothing is kept */
};

/* What the biases are tuned to. */
struct bias_tune_target {
    const float *output;        /* [samples][elements] of the float network's output */
    const double *output_scale; /* [layers] size of each layer's output; a step is relative to it */
};

/* Changes the layers' bias_values. The order of the mini-batches comes from `rng`. The loss over
 * all samples is measured several times on the way, and the best biases stay, so it never grows;
 * before and after it is given per sample (divergence), or relative to the squared target. Recorded
 * (monitor.h) are the losses of mini-batches; the first and the last are over all samples.
 * E_UNSUPPORTED names an operator without a gradient. */
bool bias_tune(struct quant_network *network, const struct samples *samples,
               const struct bias_tune_target *target, const struct bias_tune_options *options,
               struct rng *rng, const struct recon_monitor *monitor, struct arena *scratch,
               double *out_before, double *out_after, struct error *err);
