#pragma once

/* The float and the quantized network side by side, node by node, over all calibration samples.
 *
 * A layer's problem needs what the layer sees in both networks, and the quantized network in front
 * of it must be finished before. So the nodes are executed one after the other, each on the whole
 * calibration set; a tensor is kept until its last reader. Each network is executed once per run.
 * Values: (float + quantized) · samples · largest sum of the elements alive at one time · 4 bytes;
 * what is above the memory they may take goes to spill files.
 */

#include "ptqd/nn/exec.h"
#include "ptqd/quant/network.h"
#include "ptqd/recon/captured.h"
#include "ptqd/recon/monitor.h"

struct walk;

enum { WALK_BATCH = 32 }; /* samples executed at once; more do not fit the caches */

struct walk_options {
    const struct samples *samples; /* borrowed; those from `first` on, `count` of them */
    int64_t first, count;
    size_t memory_bytes;         /* of the values in memory at one time, at most */
    struct value_pool *pool;     /* for these; NULL: the system */
    const char *spill_directory; /* for the others; NULL: E_MEMORY names tensor, samples, bytes */
    bool counts_only; /* nodes do nothing but take memory and let it go: for walk_memory */
};

/* `network` is borrowed. */
bool walk_create(const struct quant_network *network, const struct walk_options *options,
                 struct walk **out_walk, struct error *err);
void walk_destroy(struct walk *walk);

struct walk_memory {
    size_t used_bytes;    /* of values in memory now */
    size_t peak_bytes;    /* of values in memory, and of chunks of the others, at one time */
    size_t spilled_bytes; /* to files, all in all */
};
struct walk_memory walk_memory(const struct walk *walk);

/* All samples of a tensor of network->graph, in the float and in the quantized network; NULL before
 * its node was executed and after its last reader was. */
const struct captured *walk_float(const struct walk *walk, int tensor);
const struct captured *walk_quantized(const struct walk *walk, int tensor);

/* Keeps the values of a tensor in spite of its last reader, until they are released (or to the
 * end); calls may be nested. */
void walk_keep(struct walk *walk, int tensor);
void walk_release(struct walk *walk, int tensor);

/* Executes the node of a MAC operator in the quantized network as its layer is now; it may be
 * executed again. */
bool walk_node_try(struct walk *walk, int node, const struct recon_monitor *monitor,
                   struct error *err);

/* Executes node `node` of network->graph in the float network, then (for a MAC operator, after its
 * layer was decided) in the quantized one, and lets go what nobody reads any more. */
bool walk_node_float(struct walk *walk, int node, const struct recon_monitor *monitor,
                     struct error *err);
bool walk_node_quantized(struct walk *walk, int node, const struct recon_monitor *monitor,
                         struct error *err);
