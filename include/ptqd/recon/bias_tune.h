#pragma once

/* End-to-end tuning of all biases (Hubara et al., "Improving Post Training Neural Quantization",
 * arXiv 2006.10518, section 3.4, with the squared error of the output for its loss): the quantized
 * network is trained, with everything but the biases fixed, to give the float network's output. */

#include "ptqd/quant/network.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/samples.h"

struct bias_tune_options {
    int64_t epochs;
    int64_t batch;
    double learning_rate; /* relative to the layer's output scale */
};

/* What the biases are tuned to. */
struct bias_tune_target {
    int tensor;                 /* of network->graph: its output */
    const float *values;        /* [samples][elements], of the float network */
    const double *output_scale; /* [layers] size of each layer's output; a step is relative to it */
};

/* Changes the layers' bias_values. The order of the mini-batches comes from `rng`. The error
 * over all samples is measured after every epoch, and the best biases stay, so it never grows. The
 * relative errors (squared
 * error / squared target) before and after are given; either pointer may be NULL. E_UNSUPPORTED
 * names an operator without a gradient. */
bool bias_tune(struct quant_network *network, const struct samples *samples,
               const struct bias_tune_target *target, const struct bias_tune_options *options,
               struct rng *rng, const struct recon_monitor *monitor, struct arena *scratch,
               double *out_before, double *out_after, struct error *err);
