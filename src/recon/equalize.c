/* Cross-layer equalization. */

#include "ptqd/recon/equalize.h"

#include "ptqd/nn/op.h"

#include <math.h>
#include <string.h>

enum { ROUNDS_MAX = 100 };
static const double CONVERGED = 1e-3;

/* A channel whose range is this much smaller than its tensor's largest is dead: training has shrunk
 * its weights to nothing, and balancing it would only blow its bias up. */
static const double DEAD = 1e-4;

struct pair {
    int first, second; /* nodes */
};

/* The weights of a MAC node as [K][D], and how its columns meet the input channels: column d of row
 * k reads channel (k / rows_per_group) · width + d mod width. */
struct matrix {
    float *values;
    int64_t K, D;
    int64_t rows_per_group, width;
};

static struct matrix matrix_of(const struct graph *graph, const struct node *node, float **weights)
{
    const struct shape *shape = &graph->tensors[node->inputs[1]].shape;
    const struct attribute *group = node_attribute(node, "group");
    int64_t K = shape->dim[0];
    return (struct matrix){
        .values = weights[node->inputs[1]],
        .K = K,
        .D = shape_elements(shape) / K,
        .rows_per_group = K / (group ? group->integer : 1),
        .width = shape->dim[shape->rank - 1], /* channels are last: [K][R][S][C/G] or [K][C] */
    };
}

/* True when output channel i scales with input channel i: a homogeneous operator, or a view of a
 * single position (its channels stay in order). */
static bool commutes(const struct graph *graph, const struct node *node)
{
    if (node->op->homogeneous)
        return true;
    const struct shape *shape = &graph->tensors[node->inputs[0]].shape;
    int wide_axes = 0;
    for (int axis = 0; axis < shape->rank; axis++)
        wide_axes += shape->dim[axis] > 1;
    return node->op->view && wide_axes <= 1;
}

static bool can_scale(const struct graph *graph, const struct node *node)
{
    if (!node->op->mac || strcmp(node->op_type, "MatMul") == 0 || node->input_count < 3)
        return false;
    for (int input = 1; input <= 2; input++) {
        int tensor = node->inputs[input];
        if (tensor == NODE_ABSENT || !graph->tensors[tensor].values ||
            graph_reader_count(graph, tensor) != 1)
            return false;
    }
    return true;
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
            return can_scale(graph, node) ? reader : -1;
        if (!commutes(graph, node))
            return -1;
        tensor = node->outputs[0];
    }
}

static double row_range(const struct matrix *matrix, int64_t channel)
{
    float range = 0.0f;
    for (int64_t d = 0; d < matrix->D; d++)
        range = fmaxf(range, fabsf(matrix->values[channel * matrix->D + d]));
    return (double)range;
}

/* The factor on every weight that reads input channel `channel`; the range of these weights. */
static double column_scale(const struct matrix *matrix, int64_t channel, float factor)
{
    int64_t group = channel / matrix->width, offset = channel % matrix->width;
    float range = 0.0f;
    for (int64_t row = 0; row < matrix->rows_per_group; row++) {
        float *w = matrix->values + (group * matrix->rows_per_group + row) * matrix->D;
        for (int64_t d = offset; d < matrix->D; d += matrix->width) {
            w[d] *= factor;
            range = fmaxf(range, fabsf(w[d]));
        }
    }
    return (double)range;
}

/* Balances one pair; the largest |s − 1|. */
static double balance(const struct graph *graph, const struct pair *pair, float **constants)
{
    const struct node *node = &graph->nodes[pair->first];
    struct matrix first = matrix_of(graph, node, constants);
    struct matrix second = matrix_of(graph, &graph->nodes[pair->second], constants);
    float *bias = constants[node->inputs[2]];
    double largest = 0.0, top_1 = 0.0, top_2 = 0.0;
    for (int64_t channel = 0; channel < first.K; channel++) {
        top_1 = fmax(top_1, row_range(&first, channel));
        top_2 = fmax(top_2, column_scale(&second, channel, 1.0f));
    }
    for (int64_t channel = 0; channel < first.K; channel++) {
        double r1 = row_range(&first, channel);
        double r2 = column_scale(&second, channel, 1.0f);
        if (!(r1 > DEAD * top_1) || !(r2 > DEAD * top_2))
            continue;
        float s = (float)sqrt(r1 / r2);
        for (int64_t d = 0; d < first.D; d++)
            first.values[channel * first.D + d] /= s;
        bias[channel] /= s;
        (void)column_scale(&second, channel, s); /* the range is not needed */
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
        int second = can_scale(graph, node) ? find_second(graph, first) : -1;
        if (second < 0)
            continue;
        const struct node *reader = &graph->nodes[second];
        struct matrix columns = matrix_of(graph, reader, constants);
        int64_t channels = columns.width * (columns.K / columns.rows_per_group);
        if (channels != graph->tensors[node->inputs[1]].shape.dim[0])
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
