/* Lifetimes and shared memory of activations.
 *
 * One pass over the nodes in execution order puts every output into a buffer of its own or into
 * that of input 0; two more passes give each buffer its bits; a sweep over first and last nodes
 * gives the memory alive during each node. All of it is linear in the size of the graph.
 */

#include "ptqd/quant/lifetime.h"

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"
#include "ptqd/quant/network.h"

#include <assert.h>
#include <string.h>

int64_t lifetime_packed_bytes(int64_t elements, int bits)
{
    return (elements * bits + 7) / 8;
}

static bool is_activation(const struct graph *graph, int tensor)
{
    if (tensor == NODE_ABSENT)
        return false;
    const struct tensor *t = &graph->tensors[tensor];
    return t->type == TENSOR_F32 && !t->values && (t->producer >= 0 || tensor == graph->input);
}

static int activation_input_count(const struct graph *graph, const struct node *node)
{
    int count = 0;
    for (int i = 0; i < node->input_count; i++)
        count += is_activation(graph, node->inputs[i]);
    return count;
}

/* Source axis of axis `axis` of a Transpose's output. */
static int transpose_from(const struct attribute *perm, int axis, int rank)
{
    return perm ? (int)perm->integers[axis] : rank - 1 - axis;
}

/* A Transpose that only changes the file's axis order to channels-last or back exists in this
 * program and nowhere else. */
static bool changes_layout_only(const struct graph *graph, const struct node *node)
{
    if (strcmp(node->op->name, "Transpose") != 0)
        return false;
    const struct tensor *in = &graph->tensors[node->inputs[0]];
    const struct tensor *out = &graph->tensors[node->outputs[0]];
    const struct attribute *perm = node_attribute(node, "perm");
    int rank = in->shape.rank;
    for (int axis = 0; axis < rank; axis++) {
        int to = out->channels_last ? layout_axis(axis, rank) : axis;
        int from = in->channels_last ? layout_axis(axis, rank) : axis;
        if (transpose_from(perm, to, rank) != from)
            return false;
    }
    return true;
}

bool lifetime_is_of_device(const struct graph *graph, int node)
{
    return graph->nodes[node].op != &op_fake_quantize &&
           !changes_layout_only(graph, &graph->nodes[node]);
}

static bool is_view(const struct graph *graph, const struct node *node)
{
    return node->op->view || node->op == &op_fake_quantize || changes_layout_only(graph, node);
}

/* last_use[t]: the last node that reads tensor t, -1 when none does. */
static void find_last_uses(const struct graph *graph, int *last_use)
{
    for (int t = 0; t < graph->tensor_count; t++)
        last_use[t] = -1;
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != NODE_ABSENT)
                last_use[graph->nodes[n].inputs[i]] = n;
    last_use[graph->output] = graph->node_count;
}

static void new_buffer(const struct graph *graph, struct lifetime *lifetime, int tensor, int first,
                       int last_use)
{
    lifetime->buffer_of[tensor] = lifetime->buffer_count;
    lifetime->buffers[lifetime->buffer_count++] = (struct buffer){
        .elements = shape_elements(&graph->tensors[tensor].shape),
        .first = first,
        .last = last_use > first ? last_use : first,
    };
}

/* True when output 0 of node `n` lies in the memory of its input 0. */
static bool shares_input(const struct graph *graph, const struct lifetime *lifetime, int n)
{
    const struct node *node = &graph->nodes[n];
    if (node->input_count == 0 || !is_activation(graph, node->inputs[0]))
        return false;
    const struct buffer *in = &lifetime->buffers[lifetime->buffer_of[node->inputs[0]]];
    if (in->elements != shape_elements(&graph->tensors[node->outputs[0]].shape))
        return false;
    if (is_view(graph, node))
        return true;
    return node->op->in_place && activation_input_count(graph, node) == 1 && in->last <= n;
}

static void assign_buffers(const struct graph *graph, const int *last_use,
                           struct lifetime *lifetime)
{
    for (int t = 0; t < graph->tensor_count; t++)
        lifetime->buffer_of[t] = LIFETIME_NO_BUFFER;
    new_buffer(graph, lifetime, graph->input, 0, last_use[graph->input]);
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->output_count; i++) {
            int out = node->outputs[i];
            if (!is_activation(graph, out))
                continue;
            if (i > 0 || !shares_input(graph, lifetime, n)) {
                new_buffer(graph, lifetime, out, n, last_use[out]);
                continue;
            }
            int shared = lifetime->buffer_of[node->inputs[0]];
            lifetime->buffer_of[out] = shared;
            if (lifetime->buffers[shared].last < last_use[out])
                lifetime->buffers[shared].last = last_use[out];
        }
    }
}

static void raise_bits(struct lifetime *lifetime, int tensor, int bits)
{
    struct buffer *buffer = &lifetime->buffers[lifetime->buffer_of[tensor]];
    if (buffer->bits < bits)
        buffer->bits = bits;
}

/* True when the values of a tensor are on the grid of a quantizer. */
static bool is_quantized(const struct graph *graph, int tensor)
{
    for (;;) {
        int producer = graph->tensors[tensor].producer;
        if (producer < 0)
            return false;
        const struct node *node = &graph->nodes[producer];
        if (node->op == &op_fake_quantize)
            return true;
        if (!node->op->keeps_grid)
            return false;
        tensor = node->inputs[0];
    }
}

/* Bits of the widest quantizer in each buffer, float where products read it so; 0 where there are
 * neither. */
static void bits_of_readers(const struct graph *graph, struct lifetime *lifetime)
{
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        int data = node->input_count > 0 ? node->inputs[0] : NODE_ABSENT;
        if (node->op == &op_fake_quantize) {
            const struct quantizer *quantizer = node->detail;
            raise_bits(lifetime, node->outputs[0], quantizer->format.bits);
        } else if (node->op->mac && is_activation(graph, data) && !is_quantized(graph, data)) {
            raise_bits(lifetime, data, QUANTIZER_BITS_FLOAT);
        }
    }
}

static int buffer_of(const struct lifetime *lifetime, int tensor)
{
    return tensor == NODE_ABSENT ? LIFETIME_NO_BUFFER : lifetime->buffer_of[tensor];
}

static int widest(const struct lifetime *lifetime, const int *tensors, int count)
{
    int bits = 0;
    for (int i = 0; i < count; i++) {
        int buffer = buffer_of(lifetime, tensors[i]);
        if (buffer != LIFETIME_NO_BUFFER && lifetime->buffers[buffer].bits > bits)
            bits = lifetime->buffers[buffer].bits;
    }
    return bits;
}

/* Buffers without a quantizer: backwards from the quantizer that their values go to, then forwards
 * from the one they came from, then float. `own` marks the buffers that have one. */
static void spread_bits(const struct graph *graph, const bool *own, struct lifetime *lifetime)
{
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const struct node *node = &graph->nodes[n];
        int bits = widest(lifetime, node->outputs, node->output_count);
        if (node->op->mac)
            continue;
        for (int i = 0; i < node->input_count; i++)
            if (is_activation(graph, node->inputs[i]) && !own[lifetime->buffer_of[node->inputs[i]]])
                raise_bits(lifetime, node->inputs[i], bits);
    }
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        int bits = widest(lifetime, node->inputs, node->input_count);
        for (int i = 0; i < node->output_count; i++) {
            int buffer = buffer_of(lifetime, node->outputs[i]);
            if (buffer != LIFETIME_NO_BUFFER && lifetime->buffers[buffer].bits == 0)
                lifetime->buffers[buffer].bits = bits;
        }
    }
    for (int b = 0; b < lifetime->buffer_count; b++)
        if (lifetime->buffers[b].bits == 0)
            lifetime->buffers[b].bits = QUANTIZER_BITS_FLOAT;
}

/* Adds each buffer at its first node, takes it away after its last, and sums along the nodes. */
static void sum_live(const struct graph *graph, struct lifetime *lifetime)
{
    for (int b = 0; b < lifetime->buffer_count; b++) {
        const struct buffer *buffer = &lifetime->buffers[b];
        int64_t bytes = lifetime_packed_bytes(buffer->elements, buffer->bits);
        lifetime->live_elements[buffer->first] += buffer->elements;
        lifetime->live_bytes[buffer->first] += bytes;
        if (buffer->last + 1 < graph->node_count) {
            lifetime->live_elements[buffer->last + 1] -= buffer->elements;
            lifetime->live_bytes[buffer->last + 1] -= bytes;
        }
    }
    for (int n = 1; n < graph->node_count; n++) {
        lifetime->live_elements[n] += lifetime->live_elements[n - 1];
        lifetime->live_bytes[n] += lifetime->live_bytes[n - 1];
    }
}

bool lifetime_plan(struct arena *arena, const struct graph *graph, struct lifetime *out_lifetime,
                   struct error *err)
{
    assert(graph->finished && graph->node_count > 0);
    struct lifetime lifetime = {
        .buffer_of = ARENA_ARRAY(arena, int, graph->tensor_count, err),
        .buffers = ARENA_ARRAY(arena, struct buffer, graph->tensor_count, err),
        .live_elements = ARENA_ARRAY(arena, int64_t, graph->node_count, err),
        .live_bytes = ARENA_ARRAY(arena, int64_t, graph->node_count, err),
    };
    int *last_use = ARENA_ARRAY(arena, int, graph->tensor_count, err);
    bool *own = ARENA_ARRAY(arena, bool, graph->tensor_count, err);
    if (!lifetime.buffer_of || !lifetime.buffers || !lifetime.live_elements ||
        !lifetime.live_bytes || !last_use || !own)
        return false;

    find_last_uses(graph, last_use);
    assign_buffers(graph, last_use, &lifetime);
    bits_of_readers(graph, &lifetime);
    for (int b = 0; b < lifetime.buffer_count; b++)
        own[b] = lifetime.buffers[b].bits > 0;
    spread_bits(graph, own, &lifetime);
    sum_live(graph, &lifetime);
    *out_lifetime = lifetime;
    return true;
}
