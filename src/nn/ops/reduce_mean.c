/* ReduceMean: the mean over some axes, or over all; dx = dy / (elements averaged). Sums are
 * float64.
 *
 * Axes are an attribute up to opset 13 (negative ones since 11), an input since 18. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <string.h>

struct reduce_mean {
    bool reduced[SHAPE_RANK_MAX];
    bool keep_axes; /* with extent 1 */
};

static bool read_axes(const struct graph *graph, const struct node *node, int rank,
                      struct reduce_mean *detail, struct error *err)
{
    struct integer_list axes;
    int64_t no_axes_is_identity;
    if (!infer_ints(graph, node, "axes", 1, &axes, err) ||
        !attribute_int(node, "noop_with_empty_axes", 0, &no_axes_is_identity, err))
        return false;
    if (axes.count == 0 && no_axes_is_identity != 0)
        return FAIL(err, E_UNSUPPORTED, "noop_with_empty_axes is not supported without axes");
    for (int i = 0; axes.count == 0 && i < rank; i++)
        detail->reduced[i] = true;
    for (size_t i = 0; i < axes.count; i++) {
        int axis;
        if (!infer_axis(axes.values[i], rank, &axis, err))
            return false;
        detail->reduced[axis] = true;
    }
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    int64_t keep_axes;
    struct reduce_mean detail = {.keep_axes = true};
    if (!infer_counts(node, 1, 2, err) || !infer_input(graph, node, 0, &input, err) ||
        !attribute_int(node, "keepdims", 1, &keep_axes, err) ||
        !read_axes(graph, node, input->shape.rank, &detail, err))
        return false;

    if (input->shape.rank == 0)
        return FAIL(err, E_UNSUPPORTED, "input '%s' is a scalar; axes are needed", input->name);
    detail.keep_axes = keep_axes != 0;
    struct shape shape = {.rank = 0};
    for (int i = 0; i < input->shape.rank; i++)
        if (!detail.reduced[i])
            shape.dim[shape.rank++] = input->shape.dim[i];
        else if (detail.keep_axes)
            shape.dim[shape.rank++] = 1;
    if (detail.reduced[0] && input->batched)
        graph->batchable = false;
    return elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           infer_output(graph, node, 0, &shape, err);
}

/* Called with axes kept only: the number of axes is then the same, and the layout can follow. */
static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    const struct reduce_mean *detail = node->detail;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    int64_t axes[SHAPE_RANK_MAX];
    size_t count = 0;
    for (int i = 0; i < rank; i++)
        if (detail->reduced[i])
            axes[count++] = layout_axis(i, rank);
    return relayout_ints(graph, node, "axes", 1, axes, count, err);
}

/* How the elements of the input, in order, map to those of the output. */
struct reduction {
    int rank;
    int64_t extent[SHAPE_RANK_MAX];
    int64_t out_step[SHAPE_RANK_MAX]; /* 0 along reduced axes */
    int64_t rows;                     /* elements of all axes but the last */
    int64_t out_count, averaged;
};

static struct reduction reduction_of(const struct op_call *call)
{
    const struct reduce_mean *detail = call->node->detail;
    const struct tensor *input = &call->graph->tensors[call->node->inputs[0]];
    struct reduction map = {.rank = input->shape.rank, .rows = 1, .out_count = 1, .averaged = 1};
    for (int i = map.rank - 1; i >= 0; i--) {
        map.extent[i] = input->shape.dim[i];
        if (i == 0 && input->batched)
            map.extent[i] *= call->samples;
        if (i < map.rank - 1)
            map.rows *= map.extent[i];
        map.out_step[i] = detail->reduced[i] ? 0 : map.out_count;
        *(detail->reduced[i] ? &map.averaged : &map.out_count) *= map.extent[i];
    }
    return map;
}

/* Offset in the output of the next row of the input. */
static int64_t next_row(const struct reduction *map, int64_t index[static SHAPE_RANK_MAX],
                        int64_t offset)
{
    for (int axis = map->rank - 2; axis >= 0; axis--) {
        offset += map->out_step[axis];
        if (++index[axis] < map->extent[axis])
            break;
        offset -= map->extent[axis] * map->out_step[axis];
        index[axis] = 0;
    }
    return offset;
}

/* One float64 sum per element of the output. */
static size_t scratch_bytes(const struct graph *graph, const struct node *node, int64_t samples)
{
    return (size_t)tensor_elements(&graph->tensors[node->outputs[0]], samples) * sizeof(double);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct reduction map = reduction_of(call);
    double *sums = call->scratch;
    const float *x = call->in[0];
    memset(sums, 0, (size_t)map.out_count * sizeof(*sums));

    int64_t index[SHAPE_RANK_MAX] = {0}, offset = 0;
    int64_t width = map.extent[map.rank - 1], step = map.out_step[map.rank - 1];
    for (int64_t row = 0; row < map.rows; row++, x += width) {
        for (int64_t i = 0; i < width; i++)
            sums[offset + i * step] += (double)x[i];
        offset = next_row(&map, index, offset);
    }
    for (int64_t i = 0; i < map.out_count; i++)
        call->out[0][i] = (float)(sums[i] / (double)map.averaged);
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct reduction map = reduction_of(call);
    const float *grad_y = call->grad_out[0];
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;

    int64_t index[SHAPE_RANK_MAX] = {0}, offset = 0;
    int64_t width = map.extent[map.rank - 1], step = map.out_step[map.rank - 1];
    for (int64_t row = 0; row < map.rows; row++, grad_x += width) {
        for (int64_t i = 0; i < width; i++)
            grad_x[i] += grad_y[offset + i * step] / (float)map.averaged;
        offset = next_row(&map, index, offset);
    }
    return true;
}

const struct op op_reduce_mean = {
    .name = "ReduceMean",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
    .limits = "axes must be constants",
};
