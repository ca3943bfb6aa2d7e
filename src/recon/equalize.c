/* Cross-layer equalization. */

#include "ptqd/recon/equalize.h"

#include "ptqd/nn/op.h"
#include "ptqd/recon/mac_matrix.h"

#include <math.h>

enum { ROUNDS_MAX = 100 };
static const double CONVERGED = 1e-3;

/* A channel whose range is this much smaller than its tensor's largest is dead: training has shrunk
 * its weights to nothing, and balancing it would only blow its bias up. */
static const double DEAD = 1e-4;

struct pair {
    int first, second; /* nodes */
};

/* True when output channel i scales with input channel i: a homogeneous operator, or a view of a
 * single position (its channels stay in order). */
static bool commutes(const struct graph *graph, const struct node *node)
{
    return node->op->homogeneous || mac_channels_stay(graph, node);
}

/* The MAC node that alone reads `first` through commuting nodes, or -1. */
static int find_second(const struct graph *graph, int first)
{
    int tensor = graph->nodes[first].outputs[0];
    for (;;) {
        int reader = graph_only_reader(graph, tensor);
        if (reader < 0)
            return -1;
        const struct node *node = &graph->nodes[reader];
        if (node->inputs[0] != tensor)
            return -1;
        if (node->op->mac)
            return mac_owns_constants(graph, node) ? reader : -1;
        if (!commutes(graph, node))
            return -1;
        tensor = node->outputs[0];
    }
}

/* Balances one pair; the largest |s − 1|. */
static double balance(const struct graph *graph, const struct pair *pair, float **constants)
{
    const struct node *node = &graph->nodes[pair->first];
    const struct node *reader = &graph->nodes[pair->second];
    struct mac_matrix first = mac_matrix_of(graph, node, constants[node->inputs[1]]);
    struct mac_matrix second = mac_matrix_of(graph, reader, constants[reader->inputs[1]]);
    float *bias = constants[node->inputs[2]];
    double largest = 0.0, top_1 = 0.0, top_2 = 0.0;
    for (int64_t channel = 0; channel < first.K; channel++) {
        top_1 = fmax(top_1, mac_matrix_row_range(&first, channel));
        top_2 = fmax(top_2, mac_matrix_column_scale(&second, channel, 1.0f));
    }
    for (int64_t channel = 0; channel < first.K; channel++) {
        double r1 = mac_matrix_row_range(&first, channel);
        double r2 = mac_matrix_column_scale(&second, channel, 1.0f);
        if (!(r1 > DEAD * top_1) || !(r2 > DEAD * top_2))
            continue;
        float s = (float)sqrt(r1 / r2);
        for (int64_t d = 0; d < first.D; d++)
            first.values[channel * first.D + d] /= s;
        bias[channel] /= s;
        (void)mac_matrix_column_scale(&second, channel, s); /* the range is not needed */
        largest = fmax(largest, fabs((double)s - 1.0));
    }
    return largest;
}

/* A copy of a constant of the graph that may be changed; one copy per tensor. */
static bool own_constant(struct arena *arena, struct graph *graph, int tensor, float **constants,
                         struct error *err)
{
    if (constants[tensor])
        return true;
    size_t bytes = (size_t)shape_elements(&graph->tensors[tensor].shape) * sizeof(float);
    constants[tensor] = arena_memdup(arena, graph->tensors[tensor].values, bytes, err);
    graph->tensors[tensor].values = constants[tensor];
    return constants[tensor] != NULL;
}

bool equalize_graph(struct arena *arena, const struct graph *folded, struct graph **out_graph,
                    int *out_pairs, struct error *err)
{
    struct graph *graph = arena_memdup(arena, folded, sizeof(*folded), err);
    struct pair *pairs = ARENA_ARRAY(arena, struct pair, folded->node_count, err);
    float **constants = ARENA_ARRAY(arena, float *, folded->tensor_count, err);
    if (!graph || !pairs || !constants)
        return false;
    graph->arena = arena;
    graph->tensors = arena_memdup(arena, folded->tensors,
                                  (size_t)folded->tensor_count * sizeof(struct tensor), err);
    if (!graph->tensors)
        return false;
    graph->tensor_capacity = graph->tensor_count;

    int pair_count = 0;
    for (int first = 0; first < graph->node_count; first++) {
        const struct node *node = &graph->nodes[first];
        int second = mac_owns_constants(graph, node) ? find_second(graph, first) : -1;
        if (second < 0)
            continue;
        const struct node *reader = &graph->nodes[second];
        struct mac_matrix columns = mac_matrix_of(graph, reader, NULL);
        if (mac_matrix_inputs(&columns) != graph->tensors[node->inputs[1]].shape.dim[0])
            continue; /* flattened positions: a channel is not one column */
        if (!own_constant(arena, graph, node->inputs[1], constants, err) ||
            !own_constant(arena, graph, node->inputs[2], constants, err) ||
            !own_constant(arena, graph, reader->inputs[1], constants, err))
            return false;
        pairs[pair_count++] = (struct pair){.first = first, .second = second};
    }

    double largest = INFINITY;
    for (int round = 0; round < ROUNDS_MAX && largest > CONVERGED; round++) {
        largest = 0.0;
        for (int i = 0; i < pair_count; i++)
            largest = fmax(largest, balance(graph, &pairs[i], constants));
    }
    *out_graph = graph;
    if (out_pairs)
        *out_pairs = pair_count;
    return true;
}
