#pragma once

/* The real networks and their data (data/README.md beside the source tree), for tests and
 * benchmarks that need them. */

#include "ptqd/nn/dataset.h"
#include "ptqd/nn/graph.h"

struct network_case {
    const char *name;      /* "ResNet-8" */
    const char *directory; /* "cifar10" */
    double scale;          /* of the stored samples */
    double float_accuracy; /* on the developer split, as its README states */
};

enum { NETWORK_CASES = 4 };
extern const struct network_case network_cases[NETWORK_CASES];

struct network {
    const struct network_case *about;
    struct arena *arena;
    struct graph *graph;
    struct dataset *calibration, *evaluation;
    /* More samples with labels, of another kind and so with a float accuracy of their own (JPEG
     * copies of CIFAR-10); NULL where there are none. */
    struct dataset *copies;
};

/* False when the files are not there; anything else that goes wrong fails the test. */
bool network_load(const struct network_case *about, struct network *out_network);
void network_finish(struct network *network);

/* Every fifth calibration sample becomes the evaluation set instead, with the float network's own
 * classes as its labels: what an accuracy loses is then disagreement on unseen samples, and
 * hyper-parameters can be chosen without any label. */
void network_hold_out(struct network *network);
