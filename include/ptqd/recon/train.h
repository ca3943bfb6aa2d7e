#pragma once

/* Reconstruction by training: the variables of a unit (trainee.h) are trained on mini-batches, so
 * that the unit gives what it gives in the float network. */

#include "ptqd/recon/captured.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/samples.h"
#include "ptqd/recon/trainee.h"

struct train_options {
    int64_t steps;
    int64_t batch; /* samples of one step */
    struct trainee_options trainee;
    /* Share of the elements that stay float in a step, of the unit's input and behind its
     * quantizers (QDrop, arXiv 2203.05740); 0: none. */
    double drop;
    int64_t most_bytes; /* of what is executed at once (sample_order.h); 0: the usual ceiling */
};

/* What a unit sees and should give, on all samples; borrowed. */
struct unit_data {
    int64_t samples;
    const struct captured *input;       /* in the quantized network */
    const struct captured *float_input; /* the same in the float network */
    const struct captured *target;      /* the unit's output in the float network */
};

/* Squared error of the unit's output over all samples, relative to the squared target. */
struct train_loss {
    double before, after;
};

/* Samples of a mini-batch that are executed at once, in `most_bytes` as above. */
int64_t train_part(const struct graph *unit, int64_t batch, int64_t most_bytes);

/* Trains one unit. The error with hard rounding never grows: when it would, the network stays as it
 * was. Recorded (monitor.h) are the losses of mini-batches as they are trained on; the first and
 * the last are over all samples, everything rounded. Mini-batches and what is dropped come from
 * `rng`. E_UNSUPPORTED names an operator without a gradient. */
bool train_unit(struct quant_network *network, const struct unit *unit,
                const struct unit_data *data, const double *output_scales,
                const struct train_options *options, struct rng *rng,
                const struct recon_monitor *monitor, struct arena *scratch,
                struct train_loss *out_loss, struct error *err);
