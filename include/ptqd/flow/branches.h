#pragma once

/* Where the branches of a residual sum meet, in network->graph. */

#include "ptqd/recon/walk.h"

/* The tensor that `tensor` is added to (of the same shape), with nothing but a FakeQuantize node
 * between; -1 when it is not added, or has other readers. */
int branch_addend(const struct graph *graph, int tensor);

/* True when the tensor goes into a Relu and nowhere else: at once, or through a sum. */
bool branch_is_rectified(const struct graph *graph, int tensor);

/* The tensor itself when both networks have computed it; what it is a quantized copy of when only
 * that is there yet; -1 when neither is (or `tensor` is -1). */
int branch_executed(const struct walk *walk, const struct graph *graph, int tensor);
