/* The float and the quantized network side by side.
 *
 * The tensors of the folded graph have the same indices in network->graph, so one index names both.
 * FakeQuantize nodes do nothing in the float network: their output shares the buffer of the input.
 * A node that may work in place takes over the buffer of an input that nobody else wants.
 */

#include "ptqd/recon/walk.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/op.h"
#include "ptqd/recon/value_pool.h"

#include <math.h>
#include <stdlib.h>

struct buffer_ref {
    struct captured captured;
    bool resident; /* its values are in memory, or would be */
    size_t bytes;  /* of these */
    int users;     /* tensors that share it */
};

struct stream { /* one of the two networks */
    struct exec *exec;
    const struct graph *graph; /* the one that `exec` executes */
    struct buffer_ref **of;    /* [tensors of network->graph] */
};

struct walk {
    const struct quant_network *network;
    struct walk_options options;
    struct stream real, quantized;
    struct walk_memory memory;
    struct arena *buffers; /* chunks of what is not in memory, while a node is executed, ... */
    size_t chunk_bytes;    /* ... and their size */
    int *readers;          /* [tensors] nodes that will still read it, in the quantized network */
};

static int tensor_count(const struct walk *walk)
{
    return walk->network->graph->tensor_count;
}

static const struct tensor *tensor_at(const struct walk *walk, int tensor)
{
    return &walk->network->graph->tensors[tensor];
}

static int64_t batch_of(const struct graph *graph)
{
    return graph->batchable ? WALK_BATCH : 1;
}

static void count_memory(struct walk *walk, size_t more_bytes)
{
    size_t bytes = walk->memory.used_bytes + more_bytes;
    if (bytes > walk->memory.peak_bytes)
        walk->memory.peak_bytes = bytes;
}

/* ---- memory ---- */

static void release(struct walk *walk, struct stream *stream, int tensor)
{
    struct buffer_ref *buffer = stream->of[tensor];
    stream->of[tensor] = NULL;
    if (buffer && --buffer->users == 0) {
        walk->memory.used_bytes -= buffer->bytes;
        if (buffer->captured.values)
            value_pool_give(walk->options.pool, buffer->captured.values, buffer->bytes);
        spill_destroy(buffer->captured.spill);
        free(buffer);
    }
}

/* Memory where there is room, else a spill file. */
static bool place(struct walk *walk, struct buffer_ref *buffer, const char *tensor, size_t bytes,
                  struct error *err)
{
    const struct walk_options *options = &walk->options;
    if (bytes > options->memory_bytes - walk->memory.used_bytes) {
        walk->memory.spilled_bytes += bytes;
        if (options->counts_only)
            return true;
        if (options->spill_directory)
            return spill_create(options->spill_directory, &buffer->captured.spill, err);
        return FAIL(err, E_MEMORY,
                    "%zu bytes for tensor '%s' of %lld calibration samples, beside %zu in use, are "
                    "above the %zu of a run; use fewer samples",
                    bytes, tensor, (long long)options->count, walk->memory.used_bytes,
                    options->memory_bytes);
    }
    if (!options->counts_only)
        buffer->captured.values = value_pool_take(walk->options.pool, bytes);
    if (!options->counts_only && !buffer->captured.values)
        return FAIL(err, E_MEMORY, "%zu bytes for tensor '%s' of %lld calibration samples", bytes,
                    tensor, (long long)options->count);
    buffer->resident = true;
    buffer->bytes = bytes;
    walk->memory.used_bytes += bytes;
    count_memory(walk, 0);
    return true;
}

static struct buffer_ref *buffer_create(struct walk *walk, struct stream *stream, int tensor,
                                        struct error *err)
{
    struct buffer_ref *buffer = calloc(1, sizeof(*buffer));
    if (!buffer) {
        (void)FAIL(err, E_MEMORY, "no memory for a buffer"); /* NULL says so */
        return NULL;
    }
    const struct tensor *shape = tensor_at(walk, tensor);
    buffer->captured = (struct captured){
        .samples = shape->batched ? walk->options.count : 1,
        .elements = tensor_elements(shape, 1),
        .constant = !shape->batched,
    };
    buffer->users = 1;
    stream->of[tensor] = buffer;
    return buffer;
}

static bool output_create(struct walk *walk, struct stream *stream, int tensor, struct error *err)
{
    const struct tensor *shape = tensor_at(walk, tensor);
    size_t bytes;
    if (!mem_mul((size_t)tensor_elements(shape, walk->options.count), sizeof(float), &bytes))
        return FAIL(err, E_MEMORY, "tensor '%s' of %lld samples is too large", shape->name,
                    (long long)walk->options.count);
    struct buffer_ref *buffer = buffer_create(walk, stream, tensor, err);
    return buffer && place(walk, buffer, shape->name, bytes, err);
}

/* ---- life ---- */

static bool stream_init(struct stream *stream, const struct walk *walk, const struct graph *graph,
                        struct error *err)
{
    stream->graph = graph;
    stream->of = calloc((size_t)tensor_count(walk), sizeof(struct buffer_ref *));
    if (!stream->of)
        return FAIL(err, E_MEMORY, "no memory for %d tensors", tensor_count(walk));
    struct exec_options options = {.batch = batch_of(graph)};
    return walk->options.counts_only || exec_create(graph, &options, &stream->exec, err);
}

static void stream_finish(struct walk *walk, struct stream *stream)
{
    for (int tensor = 0; stream->of && tensor < tensor_count(walk); tensor++)
        release(walk, stream, tensor);
    free(stream->of);
    exec_destroy(stream->exec);
}

/* Both networks read the same input, from the data set. */
static bool create_input(struct walk *walk, struct error *err)
{
    int input = walk->network->graph->input;
    struct buffer_ref *buffer = buffer_create(walk, &walk->real, input, err);
    if (!buffer)
        return false;
    buffer->captured.source = walk->options.samples;
    buffer->captured.first = walk->options.first;
    walk->quantized.of[input] = buffer;
    buffer->users++;
    return true;
}

bool walk_create(const struct quant_network *network, const struct walk_options *options,
                 struct walk **out_walk, struct error *err)
{
    const struct graph *graph = network->graph;
    struct walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return FAIL(err, E_MEMORY, "no memory for the walk over the network");
    walk->network = network;
    walk->options = *options;
    walk->buffers = arena_create(0);
    walk->readers = calloc((size_t)graph->tensor_count, sizeof(int));
    if (!walk->buffers || !walk->readers) {
        (void)FAIL(err, E_MEMORY, "no memory for %d tensors", graph->tensor_count);
        goto fail;
    }
    for (int tensor = 0; tensor < graph->tensor_count; tensor++)
        walk->readers[tensor] = graph_reader_count(graph, tensor);
    if (!stream_init(&walk->real, walk, network->folded, err) ||
        !stream_init(&walk->quantized, walk, graph, err) || !create_input(walk, err))
        goto fail;
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
    arena_destroy(walk->buffers);
    free(walk->readers);
    free(walk);
}

struct walk_memory walk_memory(const struct walk *walk)
{
    return walk->memory;
}

const struct captured *walk_float(const struct walk *walk, int tensor)
{
    return walk->real.of[tensor] ? &walk->real.of[tensor]->captured : NULL;
}

const struct captured *walk_quantized(const struct walk *walk, int tensor)
{
    return walk->quantized.of[tensor] ? &walk->quantized.of[tensor]->captured : NULL;
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

/* ---- nodes ---- */

enum { NODE_TENSORS_MAX = 64 };

struct operand {
    struct buffer_ref *buffer; /* NULL: a constant, or absent */
    float *chunk;              /* of samples that are not in memory */
    const float *constant;
};

/* Room for the samples that are executed at once, where they are not in memory. */
static bool operand_open(struct walk *walk, struct operand *operand, int64_t batch,
                         struct error *err)
{
    if (!operand->buffer || operand->buffer->resident)
        return true;
    int64_t elements = batch * operand->buffer->captured.elements;
    if (!walk->options.counts_only)
        operand->chunk = ARENA_ARRAY(walk->buffers, float, elements, err);
    walk->chunk_bytes += (size_t)elements * sizeof(float);
    return walk->options.counts_only || operand->chunk;
}

static const float *operand_read(const struct operand *operand, int64_t first, int64_t count,
                                 struct error *err)
{
    return captured_read(&operand->buffer->captured, first, count, operand->chunk, err);
}

/* The node's output may be written over its first input: nobody else will read that. */
static bool takes_over(const struct walk *walk, const struct stream *stream,
                       const struct node *shared)
{
    int input = shared->inputs[0], output = shared->outputs[0];
    const struct buffer_ref *buffer = input == NODE_ABSENT ? NULL : stream->of[input];
    if (!buffer || buffer->users > 1 || walk->readers[input] > 1 || buffer->captured.constant ||
        buffer->captured.source || (shared->op != &op_fake_quantize && !shared->op->in_place) ||
        tensor_elements(tensor_at(walk, input), 1) != tensor_elements(tensor_at(walk, output), 1))
        return false;
    for (int i = 1; i < shared->input_count; i++)
        if (shared->inputs[i] == input)
            return false;
    return tensor_at(walk, output)->batched;
}

/* What a node reads and writes. Activations go by the tensor that the quantized network's node
 * reads (in the float network it shares the buffer), constants are the stream's own. */
struct operands {
    struct operand inputs[NODE_TENSORS_MAX], outputs[NODE_TENSORS_MAX];
};

static bool operands_open(struct walk *walk, struct stream *stream, const struct node *node,
                          const struct node *shared, struct operands *out, struct error *err)
{
    int64_t batch = batch_of(stream->graph);
    walk->chunk_bytes = 0;
    for (int i = 0; i < node->input_count; i++) {
        struct operand *operand = &out->inputs[i];
        if (node->inputs[i] == NODE_ABSENT)
            continue;
        operand->buffer = stream->of[shared->inputs[i]];
        operand->constant = stream->graph->tensors[node->inputs[i]].values;
        if (!operand_open(walk, operand, batch, err))
            return false;
    }
    bool in_place = !stream->of[shared->outputs[0]] && takes_over(walk, stream, shared);
    if (in_place) {
        stream->of[shared->outputs[0]] = stream->of[shared->inputs[0]];
        stream->of[shared->inputs[0]] = NULL;
        out->outputs[0] = out->inputs[0];
    }
    for (int i = in_place; i < node->output_count; i++) {
        struct buffer_ref **buffer = &stream->of[node->outputs[i]];
        if (!*buffer && !output_create(walk, stream, node->outputs[i], err))
            return false;
        out->outputs[i].buffer = *buffer;
        if (!operand_open(walk, &out->outputs[i], batch, err))
            return false;
    }
    count_memory(walk, walk->chunk_bytes);
    return true;
}

static bool execute_chunk(struct stream *stream, int own, const struct operands *at, int64_t first,
                          int64_t count, struct error *err)
{
    const struct node *node = &stream->graph->nodes[own];
    const float *in[NODE_TENSORS_MAX];
    float *out[NODE_TENSORS_MAX];
    for (int i = 0; i < node->input_count; i++) {
        const struct operand *operand = &at->inputs[i];
        in[i] = operand->buffer ? operand_read(operand, first, count, err) : operand->constant;
        if (operand->buffer && !in[i])
            return false;
    }
    for (int i = 0; i < node->output_count; i++)
        out[i] = captured_place(&at->outputs[i].buffer->captured, first, at->outputs[i].chunk);
    if (!exec_node(stream->exec, own, count, in, out, err))
        return false;
    for (int i = 0; i < node->output_count; i++)
        if (!captured_write(&at->outputs[i].buffer->captured, first, count, out[i], err))
            return false;
    return true;
}

/* Executes node `own` of the stream's graph, which is `shared` in network->graph. */
static bool execute(struct walk *walk, struct stream *stream, int own, const struct node *shared,
                    const struct recon_monitor *monitor, struct error *err)
{
    const struct node *node = &stream->graph->nodes[own];
    struct operands operands = {.inputs = {{NULL, NULL, NULL}}};
    if (node->input_count > NODE_TENSORS_MAX || node->output_count > NODE_TENSORS_MAX)
        return FAIL(err, E_UNSUPPORTED, "node '%s' has %d inputs and %d outputs; %d are supported",
                    node->name, node->input_count, node->output_count, NODE_TENSORS_MAX);
    struct arena_mark mark = arena_mark(walk->buffers);
    bool done = operands_open(walk, stream, node, shared, &operands, err);
    int64_t batch = batch_of(stream->graph),
            samples = walk->options.counts_only ? 0 : walk->options.count;
    for (int64_t first = 0; done && first < samples; first += batch) {
        int64_t count = samples - first < batch ? samples - first : batch;
        done = execute_chunk(stream, own, &operands, first, count, err) &&
               recon_monitor_report(monitor, (double)first / (double)samples, NAN, err);
    }
    arena_reset(walk->buffers, mark);
    return done;
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
