/* Outlier channel splitting.
 *
 * For every layer: a search backwards for the layer that makes its input; a first pass of plain
 * halving, which shows the range that will be left and so the steps; a second pass, from the
 * original weights, that sets the halves apart (as in the authors' code); then copies of the
 * filters in front.
 */

#include "ptqd/recon/split_channels.h"

#include "ptqd/nn/op.h"
#include "ptqd/quant/range_search.h"
#include "ptqd/recon/mac_matrix.h"

#include <math.h>
#include <string.h>

struct splitting {
    struct arena *arena;
    const struct split_options *options;
    struct quant_layer_format format; /* of the present layer */
    struct graph *graph;              /* the copy that is widened */
    int *chain;       /* nodes between the layer and its source, which are widened with it */
    int chain_length; /* the source comes last */
    int added;
    struct error *err;
};

static bool is_depthwise(const struct mac_matrix *matrix)
{
    return matrix->K > 1 && matrix->rows_per_group == 1 && matrix->width == 1;
}

static bool has_one_group(const struct mac_matrix *matrix)
{
    return matrix->rows_per_group == matrix->K;
}

static bool holds(const int64_t *values, size_t count, int64_t wanted)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] == wanted)
            return true;
    return false;
}

/* True when an input or attribute says how many channels there are (Reshape), or may. */
static bool names_extent(const struct graph *graph, const struct node *node, int64_t channels)
{
    for (int i = 1; i < node->input_count; i++) {
        if (node->inputs[i] == NODE_ABSENT)
            continue;
        const struct tensor *tensor = &graph->tensors[node->inputs[i]];
        if (tensor->integers &&
            holds(tensor->integers, (size_t)shape_elements(&tensor->shape), channels))
            return true;
    }
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].type == ATTRIBUTE_INTS &&
            holds(node->attributes[i].integers, node->attributes[i].count, channels))
            return true;
    return false;
}

/* True when output channel i is the same function of input channel i for all i. */
static bool treats_alike(const struct graph *graph, const struct node *node, int64_t channels)
{
    if (node->output_count != 1)
        return false;
    if (node->op->pointwise || (node->op->homogeneous && node->input_count == 1))
        return true;
    return mac_channels_stay(graph, node) && !names_extent(graph, node, channels);
}

/* Finds the layer that makes the `channels` channels of a tensor; fills the chain. */
static bool find_source(struct splitting *s, int tensor, int64_t channels)
{
    const struct graph *graph = s->graph;
    s->chain_length = 0;
    for (;;) {
        int producer = graph->tensors[tensor].producer;
        if (producer < 0 || graph_only_reader(graph, tensor) < 0)
            return false;
        const struct node *node = &graph->nodes[producer];
        if (node->op->mac) {
            if (!mac_owns_constants(graph, node))
                return false;
            struct mac_matrix matrix = mac_matrix_of(graph, node, NULL);
            if (matrix.K != channels)
                return false;
            s->chain[s->chain_length++] = producer;
            if (!is_depthwise(&matrix))
                return has_one_group(&matrix);
        } else if (!treats_alike(graph, node, channels)) {
            return false;
        }
        tensor = node->inputs[0];
    }
}

/* A wider matrix: [K][positions][C + extra] from [K][positions][C], in which the first C columns
 * are filled. */
struct columns {
    int64_t K, positions, C, extra;
    const float *from;
    float *to;
    float *ranges; /* [C + extra] the largest magnitude in each column of `to` */
    float *steps;  /* [K] of the quantizer */
    int *origins;  /* [extra] the column of `from` that a new one was split from */
};

static float *weight_at(const struct columns *columns, int64_t row, int64_t c)
{
    return columns->to + row * (columns->C + columns->extra) + c;
}

static void measure_column(const struct columns *columns, int64_t c)
{
    float range = 0.0f;
    for (int64_t row = 0; row < columns->K * columns->positions; row++)
        range = fmaxf(range, fabsf(*weight_at(columns, row, c)));
    columns->ranges[c] = range;
}

static int64_t find_widest(const struct columns *columns, int64_t count)
{
    int64_t widest = 0;
    for (int64_t c = 1; c < count; c++)
        if (columns->ranges[c] > columns->ranges[widest])
            widest = c;
    return widest;
}

/* w/2 ∓ a quarter of a step: rounded, both add up to w rounded. Zeros stay. */
static void split_column(const struct columns *columns, int64_t from, int64_t to)
{
    for (int64_t row = 0; row < columns->K * columns->positions; row++) {
        float half = 0.5f * *weight_at(columns, row, from);
        float apart = half != 0.0f ? 0.25f * columns->steps[row / columns->positions] : 0.0f;
        *weight_at(columns, row, from) = half - apart;
        *weight_at(columns, row, to) = half + apart;
    }
    measure_column(columns, from);
    measure_column(columns, to);
}

static void split_columns(const struct columns *columns)
{
    int64_t C = columns->C;
    for (int64_t row = 0; row < columns->K * columns->positions; row++)
        memcpy(weight_at(columns, row, 0), columns->from + row * C, (size_t)C * sizeof(float));
    for (int64_t c = 0; c < C; c++)
        measure_column(columns, c);
    for (int64_t i = 0; i < columns->extra; i++) {
        int64_t widest = find_widest(columns, C + i);
        columns->origins[i] = (int)(widest < C ? widest : columns->origins[widest - C]);
        split_column(columns, widest, C + i);
    }
}

/* Steps of a quantizer that covers the present range of each row, or of all. */
static void set_steps(const struct quant_layer_format *format, const struct columns *columns)
{
    int64_t count = columns->positions * (columns->C + columns->extra);
    struct range all = {0};
    for (int64_t k = 0; k < columns->K; k++) {
        struct range row = {0};
        for (int64_t i = 0; i < count; i++) {
            row.min = fmin(row.min, (double)columns->to[k * count + i]);
            row.max = fmax(row.max, (double)columns->to[k * count + i]);
        }
        all.min = fmin(all.min, row.min);
        all.max = fmax(all.max, row.max);
        columns->steps[k] = (float)range_grid_of(&format->weights, &row).scale;
    }
    for (int64_t k = 0; k < columns->K && !format->per_channel; k++)
        columns->steps[k] = (float)range_grid_of(&format->weights, &all).scale;
}

/* Makes the layer's matrix wider. */
static bool widen_inputs(struct splitting *s, const struct node *node, struct columns *columns)
{
    struct tensor *weights = &s->graph->tensors[node->inputs[1]];
    int64_t cells = columns->K * columns->positions * (columns->C + columns->extra);
    columns->from = weights->values;
    columns->to = ARENA_ARRAY(s->arena, float, cells, s->err);
    columns->ranges = ARENA_ARRAY(s->arena, float, columns->C + columns->extra, s->err);
    columns->steps = ARENA_ARRAY(s->arena, float, columns->K, s->err);
    columns->origins = ARENA_ARRAY(s->arena, int, columns->extra, s->err);
    if (!columns->to || !columns->ranges || !columns->steps || !columns->origins)
        return false;
    split_columns(columns);
    if (!quantizer_format_is_float(&s->format.weights)) {
        set_steps(&s->format, columns);
        split_columns(columns);
    }
    weights->values = columns->to;
    weights->shape.dim[weights->shape.rank - 1] += columns->extra;
    return true;
}

/* Repeats rows of a constant [K]… behind the others. */
static bool repeat_rows(struct splitting *s, int tensor, const struct columns *columns)
{
    struct tensor *constant = &s->graph->tensors[tensor];
    int64_t K = constant->shape.dim[0], width = shape_elements(&constant->shape) / K;
    size_t row_bytes = (size_t)width * sizeof(float);
    float *values = ARENA_ARRAY(s->arena, float, (K + columns->extra) * width, s->err);
    if (!values)
        return false;
    memcpy(values, constant->values, (size_t)K * row_bytes);
    for (int64_t i = 0; i < columns->extra; i++)
        memcpy(values + (K + i) * width, values + columns->origins[i] * width, row_bytes);
    constant->values = values;
    constant->shape.dim[0] += columns->extra;
    return true;
}

/* Every output channel of a depthwise Conv is a group. */
static bool add_groups(struct splitting *s, struct node *node, int64_t extra)
{
    node->attributes =
        arena_memdup(s->arena, node->attributes,
                     (size_t)node->attribute_count * sizeof(struct attribute), s->err);
    if (!node->attributes)
        return false;
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, "group") == 0)
            node->attributes[i].integer += extra;
    return true;
}

static bool widen_outputs(struct splitting *s, struct node *node, const struct columns *columns)
{
    struct mac_matrix matrix = mac_matrix_of(s->graph, node, NULL);
    return (!is_depthwise(&matrix) || add_groups(s, node, columns->extra)) &&
           repeat_rows(s, node->inputs[1], columns) && repeat_rows(s, node->inputs[2], columns);
}

static bool split_layer(struct splitting *s, const struct node *node)
{
    if (!mac_owns_constants(s->graph, node))
        return true;
    struct mac_matrix matrix = mac_matrix_of(s->graph, node, NULL);
    const double slack = 1e-9; /* 0.1 · 30 is a little above 3 */
    struct columns columns = {
        .K = matrix.K,
        .positions = matrix.D / matrix.width,
        .C = matrix.width,
        .extra = (int64_t)ceil(s->options->expand_ratio * (double)matrix.width - slack),
    };
    if (columns.extra <= 0 || !has_one_group(&matrix) ||
        !find_source(s, node->inputs[0], columns.C))
        return true;
    if (!widen_inputs(s, node, &columns))
        return false;
    for (int i = 0; i < s->chain_length; i++)
        if (!widen_outputs(s, &s->graph->nodes[s->chain[i]], &columns))
            return false;
    s->added += (int)columns.extra;
    return true;
}

/* Nodes and tensors of its own; names, lists and constants are shared until they change. */
static bool copy_graph(struct splitting *s, const struct graph *folded)
{
    struct graph *graph = arena_memdup(s->arena, folded, sizeof(*folded), s->err);
    if (!graph)
        return false;
    graph->arena = s->arena;
    graph->tensors = arena_memdup(s->arena, folded->tensors,
                                  (size_t)folded->tensor_count * sizeof(struct tensor), s->err);
    graph->nodes = arena_memdup(s->arena, folded->nodes,
                                (size_t)folded->node_count * sizeof(struct node), s->err);
    graph->tensor_capacity = graph->tensor_count;
    graph->node_capacity = graph->node_count;
    s->graph = graph;
    return graph->tensors && graph->nodes;
}

bool split_channels(struct arena *arena, const struct graph *folded,
                    const struct split_options *options, struct graph **out_graph, int *out_added,
                    struct error *err)
{
    struct splitting s = {
        .arena = arena,
        .options = options,
        .chain = ARENA_ARRAY(arena, int, folded->node_count, err),
        .err = err,
    };
    if (!s.chain || !copy_graph(&s, folded))
        return false;
    int layer = 0;
    for (int n = 0; n < s.graph->node_count; n++) {
        const struct node *node = &s.graph->nodes[n];
        if (!node->op->mac)
            continue;
        s.format = quant_options_layer(options->formats, layer++);
        if (!split_layer(&s, node))
            return error_context(err, "layer '%s'", node->name);
    }
    if (!graph_refinish(s.graph, err))
        return error_context(err, "network with split channels");
    *out_graph = s.graph;
    if (out_added)
        *out_added = s.added;
    return true;
}
