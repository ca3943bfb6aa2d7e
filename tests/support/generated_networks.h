#pragma once

/* Networks of any width and image side with random weights, for what needs no training: speed and
 * memory. Finished, batch norms folded already; errors end the program. */

#include "ptqd/nn/graph.h"

struct generated_options {
    double width;    /* factor on the channels */
    int64_t side;    /* of the square input of three channels */
    int64_t classes; /* of the dense layer at the end */
    uint64_t seed;
};

/* MobileNetV2 (Sandler et al., arXiv 1801.04381, table 2): inverted residuals, Relu6. Channels are
 * multiples of 8, and the last 1280 do not shrink. At width 1 and side 224, with 1000 classes: 300
 * M MACs and 3.5 M parameters. */
struct graph *generated_mobilenet_v2(struct arena *arena, const struct generated_options *options);

/* ResNet-8 (MLPerf Tiny, arXiv 2106.07597): three residual blocks of 16, 32 and 64 channels. At
 * width 1 and side 32, with 10 classes: 12.5 M MACs and 78 k parameters. */
struct graph *generated_resnet8(struct arena *arena, const struct generated_options *options);
