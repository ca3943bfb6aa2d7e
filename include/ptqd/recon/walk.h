#pragma once

/* The float and the quantized network side by side, node by node, over all calibration samples.
 *
 * A layer's problem needs what the layer sees in both networks, and the quantized network in front
 * of it must be finished before. So the nodes are executed one after the other, each on the whole
 * calibration set; a tensor is kept until its last reader. Each network is executed once per run.
 * Memory: (float + quantized) · samples · largest sum of the elements alive at one time · 4 bytes.
 */

#include "ptqd/nn/exec.h"
#include "ptqd/quant/network.h"
#include "ptqd/recon/monitor.h"

struct walk;

enum { WALK_BATCH = 32 }; /* samples executed at once; more do not fit the caches */

/* `network` is borrowed. Values take at most `limit_bytes` at one time; E_MEMORY, here or at the
 * node that would exceed it, names tensor, samples and bytes. */
bool walk_create(const struct quant_network *network, int64_t samples, size_t limit_bytes,
                 struct walk **out_walk, struct error *err);
void walk_destroy(struct walk *walk);

/* [samples] · elements of the network's input, to be filled before the first node. */
float *walk_input(struct walk *walk);

/* All samples of a tensor of network->graph, in the float and in the quantized network; NULL before
 * its node was executed and after its last reader was. */
const float *walk_float(const struct walk *walk, int tensor);
const float *walk_quantized(const struct walk *walk, int tensor);

/* Keeps the values of a tensor in spite of its last reader, until they are released (or to the
 * end); calls may be nested. */
void walk_keep(struct walk *walk, int tensor);
void walk_release(struct walk *walk, int tensor);

/* Executes a node in the quantized network as its layer is now; it may be executed again. */
bool walk_node_try(struct walk *walk, int node, const struct recon_monitor *monitor,
                   struct error *err);

/* Executes node `node` of network->graph in the float network, then (for a MAC operator, after its
 * layer was decided) in the quantized one, and lets go what nobody reads any more. */
bool walk_node_float(struct walk *walk, int node, const struct recon_monitor *monitor,
                     struct error *err);
bool walk_node_quantized(struct walk *walk, int node, const struct recon_monitor *monitor,
                         struct error *err);
