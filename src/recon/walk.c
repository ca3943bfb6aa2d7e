/* The float and the quantized network side by side.
 *
 * The tensors of the folded graph have the same indices in network->graph, so one index names both.
 * FakeQuantize nodes do nothing in the float network: their output shares the buffer of the input.
 */

#include "ptqd/recon/walk.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/op.h"

#include <math.h>
#include <stdlib.h>

struct buffer_ref {
    float *values;
    size_t bytes;
    int users; /* tensors that share it */
};

struct stream { /* one of the two networks */
    struct exec *exec;
    const struct graph *graph; /* the one that `exec` executes */
    struct buffer_ref **of;    /* [tensors of network->graph] */
};

struct walk {
    const struct quant_network *network;
    int64_t samples;
    struct stream real, quantized;
    size_t used_bytes, limit_bytes;
    int *readers; /* [tensors] nodes that will still read it, in the quantized network */
};

static int tensor_count(const struct walk *walk)
{
    return walk->network->graph->tensor_count;
}

static void release(struct walk *walk, struct stream *stream, int tensor)
{
    struct buffer_ref *buffer = stream->of[tensor];
    stream->of[tensor] = NULL;
    if (buffer && --buffer->users == 0) {
        walk->used_bytes -= buffer->bytes;
        free(buffer->values);
        free(buffer);
    }
}

static bool buffer_create(struct walk *walk, struct stream *stream, int tensor, struct error *err)
{
    const struct tensor *shape = &walk->network->graph->tensors[tensor];
    size_t bytes;
    if (!mem_mul((size_t)tensor_elements(shape, walk->samples), sizeof(float), &bytes))
        return FAIL(err, E_MEMORY, "tensor '%s' of %lld samples is too large", shape->name,
                    (long long)walk->samples);
    if (bytes > walk->limit_bytes - walk->used_bytes)
        return FAIL(err, E_MEMORY,
                    "%zu bytes for tensor '%s' of %lld calibration samples, beside %zu in use, are "
                    "above the %zu of a run; use fewer samples",
                    bytes, shape->name, (long long)walk->samples, walk->used_bytes,
                    walk->limit_bytes);
    struct buffer_ref *buffer = calloc(1, sizeof(*buffer));
    size_t rounded = (bytes + 63) / 64 * 64;
    if (buffer)
        buffer->values = aligned_alloc(64, rounded ? rounded : 64);
    if (!buffer || !buffer->values) {
        free(buffer);
        return FAIL(err, E_MEMORY, "%zu bytes for tensor '%s' of %lld calibration samples", bytes,
                    shape->name, (long long)walk->samples);
    }
    buffer->users = 1;
    buffer->bytes = bytes;
    walk->used_bytes += bytes;
    stream->of[tensor] = buffer;
    return true;
}

static bool stream_init(struct stream *stream, const struct walk *walk, const struct graph *graph,
                        struct error *err)
{
    stream->graph = graph;
    stream->of = calloc((size_t)tensor_count(walk), sizeof(struct buffer_ref *));
    if (!stream->of)
        return FAIL(err, E_MEMORY, "no memory for %d tensors", tensor_count(walk));
    struct exec_options options = {.batch = graph->batchable ? WALK_BATCH : 1};
    return exec_create(graph, &options, &stream->exec, err);
}

static void stream_finish(struct walk *walk, struct stream *stream)
{
    for (int tensor = 0; stream->of && tensor < tensor_count(walk); tensor++)
        release(walk, stream, tensor);
    free(stream->of);
    exec_destroy(stream->exec);
}

bool walk_create(const struct quant_network *network, int64_t samples, size_t limit_bytes,
                 struct walk **out_walk, struct error *err)
{
    const struct graph *graph = network->graph;
    struct walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return FAIL(err, E_MEMORY, "no memory for the walk over the network");
    walk->network = network;
    walk->samples = samples;
    walk->limit_bytes = limit_bytes;
    walk->readers = calloc((size_t)graph->tensor_count, sizeof(int));
    if (!walk->readers) {
        (void)FAIL(err, E_MEMORY, "no memory for %d tensors", graph->tensor_count);
        goto fail;
    }
    for (int tensor = 0; tensor < graph->tensor_count; tensor++)
        walk->readers[tensor] = graph_reader_count(graph, tensor);
    if (!stream_init(&walk->real, walk, network->folded, err) ||
        !stream_init(&walk->quantized, walk, graph, err) ||
        !buffer_create(walk, &walk->real, graph->input, err))
        goto fail;
    walk->quantized.of[graph->input] = walk->real.of[graph->input];
    walk->real.of[graph->input]->users++;
    *out_walk = walk;
    return true;

fail:
    walk_destroy(walk);
    return false;
}

void walk_destroy(struct walk *walk)
{
    if (!walk)
        return;
    stream_finish(walk, &walk->real);
    stream_finish(walk, &walk->quantized);
    free(walk->readers);
    free(walk);
}

float *walk_input(struct walk *walk)
{
    return walk->real.of[walk->network->graph->input]->values;
}

const float *walk_float(const struct walk *walk, int tensor)
{
    return walk->real.of[tensor] ? walk->real.of[tensor]->values : NULL;
}

const float *walk_quantized(const struct walk *walk, int tensor)
{
    return walk->quantized.of[tensor] ? walk->quantized.of[tensor]->values : NULL;
}

void walk_keep(struct walk *walk, int tensor)
{
    walk->readers[tensor]++;
}

void walk_release(struct walk *walk, int tensor)
{
    if (--walk->readers[tensor] > 0)
        return;
    release(walk, &walk->real, tensor);
    release(walk, &walk->quantized, tensor);
}

/* A tensor that does not depend on the input has one value for all samples. */
static int64_t offset_of(const struct tensor *shape, int64_t first)
{
    return shape->batched ? first * tensor_elements(shape, 1) : 0;
}

/* Where a chunk of samples of an input starts. Activations go by the tensor that the quantized
 * network's node reads (in the float network it shares the buffer), constants are the stream's own.
 */
static const float *chunk_of(const struct walk *walk, const struct stream *stream, int shared,
                             int own, int64_t first)
{
    if (own == NODE_ABSENT)
        return NULL;
    struct buffer_ref *buffer = stream->of[shared];
    return buffer ? buffer->values + offset_of(&walk->network->graph->tensors[shared], first)
                  : stream->graph->tensors[own].values;
}

enum { NODE_TENSORS_MAX = 64 };

/* Executes node `own` of the stream's graph, which is `shared` in network->graph. */
static bool execute(struct walk *walk, struct stream *stream, int own, const struct node *shared,
                    const struct recon_monitor *monitor, struct error *err)
{
    const struct node *node = &stream->graph->nodes[own];
    const float *in[NODE_TENSORS_MAX];
    float *out[NODE_TENSORS_MAX];
    if (node->input_count > NODE_TENSORS_MAX || node->output_count > NODE_TENSORS_MAX)
        return FAIL(err, E_UNSUPPORTED, "node '%s' has %d inputs and %d outputs; %d are supported",
                    node->name, node->input_count, node->output_count, NODE_TENSORS_MAX);
    for (int i = 0; i < node->output_count; i++)
        if (!stream->of[node->outputs[i]] && !buffer_create(walk, stream, node->outputs[i], err))
            return false;
    int64_t batch = stream->graph->batchable ? WALK_BATCH : 1;
    for (int64_t first = 0; first < walk->samples; first += batch) {
        int64_t count = walk->samples - first < batch ? walk->samples - first : batch;
        for (int i = 0; i < node->input_count; i++)
            in[i] = chunk_of(walk, stream, shared->inputs[i], node->inputs[i], first);
        for (int i = 0; i < node->output_count; i++) {
            const struct tensor *shape = &stream->graph->tensors[node->outputs[i]];
            out[i] = stream->of[node->outputs[i]]->values + offset_of(shape, first);
        }
        if (!exec_node(stream->exec, own, count, in, out, err) ||
            !recon_monitor_report(monitor, (double)first / (double)walk->samples, NAN, err))
            return false;
    }
    return true;
}

bool walk_node_float(struct walk *walk, int node, const struct recon_monitor *monitor,
                     struct error *err)
{
    const struct node *shared = &walk->network->graph->nodes[node];
    if (shared->op == &op_fake_quantize) {
        struct buffer_ref *buffer = walk->real.of[shared->inputs[0]];
        walk->real.of[shared->outputs[0]] = buffer;
        buffer->users++;
        return true;
    }
    int own = walk->network->folded->tensors[shared->outputs[0]].producer;
    return execute(walk, &walk->real, own, shared, monitor, err);
}

bool walk_node_try(struct walk *walk, int node, const struct recon_monitor *monitor,
                   struct error *err)
{
    const struct node *shared = &walk->network->graph->nodes[node];
    return execute(walk, &walk->quantized, node, shared, monitor, err);
}

/* True when an earlier input of the node is the same tensor (x + x reads it once). */
static bool reads_before(const struct node *node, int input)
{
    for (int i = 0; i < input; i++)
        if (node->inputs[i] == node->inputs[input])
            return true;
    return false;
}

bool walk_node_quantized(struct walk *walk, int node_index, const struct recon_monitor *monitor,
                         struct error *err)
{
    const struct node *node = &walk->network->graph->nodes[node_index];
    if (!walk_node_try(walk, node_index, monitor, err))
        return false;
    for (int i = 0; i < node->input_count; i++) {
        int tensor = node->inputs[i];
        if (tensor != NODE_ABSENT && !reads_before(node, i))
            walk_release(walk, tensor);
    }
    for (int i = 0; i < node->output_count; i++)
        if (walk->readers[node->outputs[i]] == 0)
            walk_release(walk, node->outputs[i]);
    return true;
}
