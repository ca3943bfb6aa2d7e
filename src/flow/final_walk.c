/* The errors that are left, where they are made: how far each layer's output has drifted from the
 * float network's when everything is decided. */

#include "ptqd/flow/final_walk.h"

#include "ptqd/flow/evaluate.h"
#include "ptqd/recon/walk.h"

#include <string.h>

enum { CHUNK = 128 }; /* samples: enough that making the executors does not count */

struct comparison {
    const struct quant_network *network;
    const struct samples *samples;
    struct evaluate_error *errors; /* [layers] of their outputs */
    float *real, *quantized;       /* outputs of the networks, all samples */
};

static void add_layer(const struct comparison *at, const struct walk *walk, int index,
                      int64_t samples)
{
    const struct graph *graph = at->network->graph;
    int tensor = graph->nodes[at->network->layers[index].node].outputs[0];
    evaluate_add_error(&at->errors[index], walk_float(walk, tensor), walk_quantized(walk, tensor),
                       tensor_elements(&graph->tensors[tensor], samples));
}

static void copy_outputs(const struct comparison *at, const struct walk *walk, int64_t first,
                         int64_t samples)
{
    const struct graph *graph = at->network->graph;
    int64_t elements = tensor_elements(&graph->tensors[graph->output], 1);
    size_t bytes = (size_t)(samples * elements) * sizeof(float);
    memcpy(at->real + first * elements, walk_float(walk, graph->output), bytes);
    memcpy(at->quantized + first * elements, walk_quantized(walk, graph->output), bytes);
}

/* Executes all nodes on the samples from `first`. */
static bool walk_chunk(const struct comparison *at, struct walk *walk, int64_t first,
                       int64_t samples, const struct recon_monitor *monitor, struct error *err)
{
    const struct graph *graph = at->network->graph;
    int64_t elements = tensor_elements(&graph->tensors[graph->input], 1);
    for (int64_t i = 0; i < samples; i++)
        samples_read(at->samples, first + i, walk_input(walk) + i * elements);
    walk_keep(walk, graph->output);
    int layer = 0; /* in execution order, as the nodes */
    for (int node = 0; node < graph->node_count; node++) {
        bool is_layer = layer < at->network->layer_count && at->network->layers[layer].node == node;
        int output = graph->nodes[node].outputs[0];
        if (is_layer)
            walk_keep(walk, output);
        if (!walk_node_float(walk, node, monitor, err) ||
            !walk_node_quantized(walk, node, monitor, err))
            return false;
        if (is_layer) {
            add_layer(at, walk, layer++, samples);
            walk_release(walk, output);
        }
    }
    copy_outputs(at, walk, first, samples);
    return true;
}

bool final_walk(const struct quant_network *network, const struct samples *samples,
                const struct recon_monitor *monitor, struct arena *scratch,
                struct run_layer *layers, float *out_real, float *out_quantized, struct error *err)
{
    struct arena_mark mark = arena_mark(scratch);
    struct comparison at = {
        .network = network,
        .samples = samples,
        .errors = ARENA_ARRAY(scratch, struct evaluate_error, network->layer_count, err),
        .real = out_real,
        .quantized = out_quantized,
    };
    bool done = at.errors != NULL;
    for (int64_t first = 0; done && first < samples->count; first += CHUNK) {
        int64_t left = samples->count - first, count = left < CHUNK ? left : CHUNK;
        struct walk *walk = NULL;
        done = walk_create(network, count, arena_left(scratch), &walk, err) &&
               walk_chunk(&at, walk, first, count, monitor, err);
        walk_destroy(walk);
    }
    for (int i = 0; done && i < network->layer_count; i++)
        layers[i].output_sqnr_final_db = evaluate_error_db(&at.errors[i]);
    arena_reset(scratch, mark);
    return done;
}
