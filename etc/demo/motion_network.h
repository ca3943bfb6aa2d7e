#pragma once

/* The classifier of motion signals: a depthwise-separable 1-D convolutional network, and its
 * training with the program's own operators and gradients.
 *
 *   conv 3→16, 5, stride 2 · ReLU · [depthwise 5 · ReLU · pointwise · ReLU] × 3 · average · linear
 */

#include "ptqd/nn/graph.h"

struct motion_set {
    int64_t count;
    const float *values;   /* [count][MOTION_AXES][MOTION_SAMPLES] */
    const int32_t *labels; /* [count] */
};

struct motion_training {
    int64_t epochs, batch;
    double learning_rate; /* falls to 0 with half a cosine */
    uint64_t seed;
};

/* A finished graph whose constants are random. */
bool motion_network_create(struct arena *arena, uint64_t seed, struct graph **out_graph,
                           struct error *err);

/* Minimizes the cross entropy of softmax(output); the graph's constants become the trained ones. */
bool motion_network_train(struct arena *arena, struct graph *graph, const struct motion_set *set,
                          const struct motion_training *training, struct error *err);

/* Share of the samples whose largest output is the label's. */
bool motion_network_accuracy(const struct graph *graph, const struct motion_set *set,
                             double *out_accuracy, struct error *err);
