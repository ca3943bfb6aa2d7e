#pragma once

/* The order in which training sees the samples: an epoch of mini-batches after the other, each
 * epoch in an order of its own. Samples that fill no batch wait for their turn in another epoch. */

#include "ptqd/base/arena.h"
#include "ptqd/base/rng.h"
#include "ptqd/nn/graph.h"

struct sample_order {
    int64_t count, batch;    /* samples; those of one step, at most all */
    const int64_t *in_order; /* [count] 0, 1, 2 … */
    int64_t *shuffled;       /* [count] of the present epoch */
    struct rng *rng;         /* borrowed */
};

bool sample_order_create(struct arena *arena, int64_t count, int64_t batch, struct rng *rng,
                         struct sample_order *out_order, struct error *err);

/* Steps of one epoch. */
int64_t sample_order_epoch(const struct sample_order *order);

/* The samples of step `step`, [batch]; steps are asked for one after the other. */
const int64_t *sample_order_step(struct sample_order *order, int64_t step);

/* How many of the moments at which the loss over all samples is measured have come when `done` of
 * `all` steps are done: they are spread evenly, and the last one is the end. */
int64_t sample_order_moment(int64_t done, int64_t all);

/* Of `count` samples in parts of `part`, how many those have that begin with `first`. */
int64_t sample_order_part(int64_t first, int64_t count, int64_t part);

/* Samples of a mini-batch that are executed at once: a half, a quarter, … of it, so that all
 * activations and their gradients take no more than `most_bytes`; but at least one. */
int64_t sample_order_at_once(const struct graph *graph, int64_t batch, int64_t most_bytes);

/* The same where a whole network is trained: all, unless that takes more than `most_bytes`; 0: than
 * the usual ceiling. */
int64_t sample_order_of_network(const struct graph *graph, int64_t batch, int64_t most_bytes);

/* Of `count` samples, those whose gradients are taken at once: a half, a quarter, … as long as the
 * smallest map of a convolution still has many positions. So caches hold what a layer reads and
 * writes, while small maps with many weights, which lose by it, are kept together. */
int64_t sample_order_in_caches(const struct graph *graph, int64_t count);
