#pragma once

/* When the activations of a graph are alive, and which of them share memory, on a device that
 * executes the nodes in their order.
 *
 * A buffer is one piece of memory: a tensor together with its views (Reshape, Flatten …, a change
 * of the axis order that only the layout asks for, FakeQuantize) and with what an operator computes
 * in place. An operator works in place when nobody reads its input afterwards. A buffer is alive
 * from the node that fills it to the last node that reads any of its tensors, the network's input
 * from the start and the output to the end.
 */

#include "ptqd/nn/graph.h"

enum { LIFETIME_NO_BUFFER = -1 };

struct buffer {
    int64_t elements; /* of one sample */
    int bits;         /* of each element */
    int first, last;  /* nodes: alive during first … last */
};

struct lifetime {
    int *buffer_of;         /* [tensor_count]; LIFETIME_NO_BUFFER for constants and integers */
    struct buffer *buffers; /* in the order of their first node */
    int buffer_count;
    int64_t *live_elements; /* [node_count]: sum over the buffers alive during a node */
    int64_t *live_bytes;    /* [node_count]: each packed to ⌈elements · bits / 8⌉ */
};

/* Everything lives in `arena`. `graph` is finished. */
bool lifetime_plan(struct arena *arena, const struct graph *graph, struct lifetime *out_lifetime,
                   struct error *err);

/* False for nodes that exist in this program only: quantizers, and transposes that only its layout
 * asks for. */
bool lifetime_is_of_device(const struct graph *graph, int node);

/* ⌈elements · bits / 8⌉ */
int64_t lifetime_packed_bytes(int64_t elements, int bits);
