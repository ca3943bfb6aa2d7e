#pragma once

/* Random samples for the input of a network, for tests and benchmarks without files. Errors end
 * the program. */

#include "ptqd/nn/dataset.h"
#include "ptqd/nn/graph.h"

/* Normal values around a mean of each channel of each sample, so that the samples differ. */
struct dataset *random_data_create(struct arena *arena, const struct graph *graph, int64_t samples,
                                   uint64_t seed);

/* Labels: the classes that the network itself gives. */
void random_data_label(struct arena *arena, const struct graph *graph, struct dataset *dataset);
