#pragma once

/* The small network with ranges of the right size and weights rounded to nearest: there is
 * something to improve. */

#include "ptqd/quant/network.h"
#include "ptqd/recon/samples.h"

enum { CALIBRATED_SAMPLES = 64 };

struct calibrated_network {
    struct quant_network *network;
    struct samples samples;
    float *output;         /* [samples][classes] of the float network */
    double *output_scales; /* [layers]: 1 */
};

void calibrated_network_init(struct calibrated_network *calibrated, struct arena *arena,
                             int weight_bits, int activation_bits);
