/* Outlier channel splitting of the real networks: the function stays the same, the layers that can
 * be split are, and their ranges fall. */

#include "ptqd/recon/split_channels.h"

#include "networks.h"
#include "support.h"

#include "ptqd/nn/exec.h"
#include "ptqd/nn/fold.h"
#include "ptqd/nn/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 8 };

/* Layers whose input comes from another layer and nothing else: all but the first; on ResNet-8 the
 * second of each block, on the HAR CNN all that is not behind its flattened map. */
static const int split_layers[NETWORK_CASES] = {3, 5, 14, 1};

static void stop(const struct error *err)
{
    fprintf(stderr, "[%s] %s\n", error_code_name(err->code), err->message);
    exit(1);
}

static void outputs_of(const struct graph *graph, const struct dataset *data, struct arena *arena,
                       float *out)
{
    struct error err = {.message = ""};
    struct exec *exec;
    struct exec_options options = {.batch = 1};
    int64_t elements = tensor_elements(&graph->tensors[graph->output], 1);
    float *input =
        ARENA_ARRAY(arena, float, tensor_elements(&graph->tensors[graph->input], 1), &err);
    if (!input || !exec_create(graph, &options, &exec, &err))
        stop(&err);
    for (int64_t i = 0; i < SAMPLES; i++) {
        dataset_read(data, i, input);
        if (!exec_forward(exec, input, 1, &err))
            stop(&err);
        memcpy(out + i * elements, exec_values(exec, graph->output),
               (size_t)elements * sizeof(float));
    }
    exec_destroy(exec);
}

static double range_of(const struct tensor *weights)
{
    double range = 0.0;
    int64_t count = shape_elements(&weights->shape);
    for (int64_t i = 0; i < count; i++)
        range = fmax(range, fabs((double)weights->values[i]));
    return range;
}

/* Layers with more inputs than before; false when the range of one has not fallen. */
static bool compare_layers(const struct graph *folded, const struct graph *graph, int *out_split)
{
    *out_split = 0;
    for (int i = 0; i < folded->node_count; i++) {
        const struct node *node = &folded->nodes[i];
        if (!node->op->mac)
            continue;
        const struct tensor *before = &folded->tensors[node->inputs[1]];
        const struct tensor *after = &graph->tensors[graph->nodes[i].inputs[1]];
        int last = before->shape.rank - 1;
        if (after->shape.dim[last] == before->shape.dim[last])
            continue;
        ++*out_split;
        if (!(range_of(after) < range_of(before))) {
            printf("FAILED %s: range %g, was %g\n", node->name, range_of(after), range_of(before));
            return false;
        }
    }
    return true;
}

static bool check(const struct network *network, int wanted_layers)
{
    struct error err = {.message = ""};
    struct arena *arena = network->arena;
    const struct quant_options formats = {.weights = {.bits = 4, .symmetric = true}};
    struct split_options options = {.expand_ratio = 0.05, .formats = &formats};
    struct graph *folded, *graph;
    int added, layers;
    if (!graph_fold(network->graph, arena, &folded, &err) ||
        !split_channels(arena, folded, &options, &graph, &added, &err))
        stop(&err);
    int64_t count = SAMPLES * tensor_elements(&folded->tensors[folded->output], 1);
    float *before = ARENA_ARRAY(arena, float, 2 * count, &err), *after = before + count;
    if (!before)
        stop(&err);
    outputs_of(folded, network->calibration, arena, before);
    outputs_of(graph, network->calibration, arena, after);
    double difference = 0.0, unit = 0.0;
    for (int64_t i = 0; i < count; i++) {
        difference = fmax(difference, fabs((double)before[i] - (double)after[i]));
        unit = fmax(unit, fabs((double)before[i]));
    }
    bool narrower = compare_layers(folded, graph, &layers);
    printf("%-12s %d channels more in %d layers, output differs by %.1e\n", network->about->name,
           added, layers, difference / unit);
    return narrower && difference <= 1e-5 * unit && layers == wanted_layers;
}

int main(void)
{
    bool good = true;
    for (int i = 0; i < NETWORK_CASES; i++) {
        struct network network;
        if (!network_load(&network_cases[i], &network))
            return SUPPORT_SKIP;
        good &= check(&network, split_layers[i]);
        network_finish(&network);
    }
    return good ? 0 : 1;
}
