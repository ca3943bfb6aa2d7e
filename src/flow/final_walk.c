/* The errors that are left, where they are made: how far each layer's output has drifted from the
 * float network's when everything is decided. */

#include "ptqd/flow/final_walk.h"

#include "ptqd/flow/evaluate.h"
#include "ptqd/recon/captured_sums.h"
#include "ptqd/recon/walk.h"

/* Samples: enough that making the executors does not count, fewer where they are large. */
enum { CHUNK = 128, CHUNK_FLOATS = 1 << 23 };

struct comparison {
    const struct quant_network *network;
    struct arena *scratch;
    struct evaluate_error *errors; /* [layers] of their outputs */
    const struct final_values *values;
    int64_t outputs; /* elements of one sample */
};

/* What the layer sees, of its weights and, before it is executed, of its input. */
static bool look_at_layer(const struct comparison *at, const struct walk *walk, int index,
                          struct error *err)
{
    const struct quant_layer *layer = &at->network->layers[index];
    struct layer_distribution *out = &at->values->distributions[index];
    int input = at->network->graph->nodes[layer->node].inputs[0];
    distribution_of(layer->float_weights, layer->K * layer->D, &out->weights);
    return distribution_of_captured(walk_float(walk, input), at->scratch, &out->activations, err);
}

static bool add_layer(const struct comparison *at, const struct walk *walk, int index,
                      struct error *err)
{
    int tensor = at->network->graph->nodes[at->network->layers[index].node].outputs[0];
    struct evaluate_error *error = &at->errors[index];
    return captured_add_error(walk_float(walk, tensor), walk_quantized(walk, tensor), at->scratch,
                              &error->signal, &error->noise, err);
}

/* Executes all nodes on the samples from `first`. */
static bool walk_chunk(const struct comparison *at, struct walk *walk, int64_t first,
                       const struct recon_monitor *monitor, struct error *err)
{
    const struct graph *graph = at->network->graph;
    walk_keep(walk, graph->output);
    int layer = 0; /* in execution order, as the nodes */
    for (int node = 0; node < graph->node_count; node++) {
        bool is_layer = layer < at->network->layer_count && at->network->layers[layer].node == node;
        int output = graph->nodes[node].outputs[0];
        if (is_layer)
            walk_keep(walk, output);
        if (is_layer && first == 0 && !look_at_layer(at, walk, layer, err))
            return false;
        if (!walk_node_float(walk, node, monitor, err) ||
            !walk_node_quantized(walk, node, monitor, err))
            return false;
        if (is_layer) {
            if (!add_layer(at, walk, layer++, err))
                return false;
            walk_release(walk, output);
        }
    }
    return captured_copy(walk_float(walk, graph->output), at->values->real + first * at->outputs,
                         err) &&
           captured_copy(walk_quantized(walk, graph->output),
                         at->values->quantized + first * at->outputs, err);
}

int64_t final_walk_chunk(const struct quant_network *network)
{
    const struct graph *graph = network->graph;
    int64_t largest = 1;
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].batched && tensor_elements(&graph->tensors[i], 1) > largest)
            largest = tensor_elements(&graph->tensors[i], 1);
    int64_t chunk = CHUNK_FLOATS / largest / WALK_BATCH * WALK_BATCH;
    return chunk > CHUNK ? CHUNK : chunk < WALK_BATCH ? WALK_BATCH : chunk;
}

bool final_walk(const struct quant_network *network, const struct walk_options *data,
                const struct recon_monitor *monitor, struct arena *scratch,
                const struct final_values *values, struct error *err)
{
    struct arena_mark mark = arena_mark(scratch);
    struct comparison at = {
        .network = network,
        .scratch = scratch,
        .errors = ARENA_ARRAY(scratch, struct evaluate_error, network->layer_count, err),
        .values = values,
        .outputs = tensor_elements(&network->graph->tensors[network->graph->output], 1),
    };
    bool done = at.errors != NULL;
    int64_t samples = final_walk_chunk(network);
    for (int64_t first = 0; done && first < data->count; first += samples) {
        int64_t left = data->count - first;
        struct walk_options chunk = *data;
        struct walk *walk = NULL;
        chunk.first = first;
        chunk.count = left < samples ? left : samples;
        done =
            walk_create(network, &chunk, &walk, err) && walk_chunk(&at, walk, first, monitor, err);
        walk_destroy(walk);
    }
    for (int i = 0; done && i < network->layer_count; i++)
        values->layers[i].output_sqnr_final_db = evaluate_error_db(&at.errors[i]);
    arena_reset(scratch, mark);
    return done;
}
