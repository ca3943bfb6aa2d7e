/* Slice: along each axis the elements start, start + step, … before end; steps may be negative. The
 * gradient goes back to the element that was copied.
 *
 * Opset 1 has the attributes starts, ends and axes; 10 to 13 have inputs, and steps. A negative
 * start or end counts from the axis's end, and what is beyond the axis is cut (as numpy's). */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>
#include <string.h>

enum { STARTS = 1, ENDS, AXES, STEPS };

/* Elements start + i · step of each axis, as many as the output has. */
struct slice {
    int64_t start[SHAPE_RANK_MAX], step[SHAPE_RANK_MAX];
};

/* The node's lists; axes and steps have count 0 where they are not given. */
struct lists {
    struct integer_list starts, ends, axes, steps;
};

static bool read_lists(const struct graph *graph, const struct node *node, int rank,
                       struct lists *out, struct error *err)
{
    if (!infer_ints(graph, node, "starts", STARTS, &out->starts, err) ||
        !infer_ints(graph, node, "ends", ENDS, &out->ends, err) ||
        !infer_ints(graph, node, "axes", AXES, &out->axes, err) ||
        !infer_ints(graph, node, "steps", STEPS, &out->steps, err))
        return false;
    size_t count = out->starts.count;
    bool agree = out->ends.count == count && (out->axes.count == 0 || out->axes.count == count) &&
                 (out->steps.count == 0 || out->steps.count == count);
    if (!agree)
        return FAIL(err, E_INVALID,
                    "%zu starts, %zu ends, %zu axes and %zu steps; there must be equally many",
                    count, out->ends.count, out->axes.count, out->steps.count);
    if (count > (size_t)rank)
        return FAIL(err, E_INVALID, "%zu starts; the input has %d axes", count, rank);
    return true;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* From the end where negative, and cut to what an index on the way up or down can be. */
static int64_t resolve(int64_t index, int64_t extent, bool up)
{
    int64_t counted = index < 0 ? index + extent : index;
    return up ? clamp(counted, 0, extent) : clamp(counted, -1, extent - 1);
}

/* Sets one axis of the slice and the extent that is left. */
static bool cut(int axis, int64_t start, int64_t end, int64_t step, struct slice *slice,
                struct shape *shape, struct error *err)
{
    int64_t extent = shape->dim[axis];
    if (step == 0)
        return FAIL(err, E_INVALID, "the step of axis %d is 0; it must not be", axis);
    step = clamp(step, -extent, extent); /* a longer one leaves the axis as well */
    int64_t first = resolve(start, extent, step > 0), last = resolve(end, extent, step > 0);
    int64_t span = step > 0 ? last - first : first - last;
    if (span <= 0)
        return FAIL(err, E_UNSUPPORTED,
                    "nothing of axis %d with extent %" PRId64 " is from %" PRId64 " to %" PRId64
                    " in steps of %" PRId64,
                    axis, extent, start, end, step);
    slice->start[axis] = first;
    slice->step[axis] = step;
    shape->dim[axis] = (span - 1) / (step > 0 ? step : -step) + 1;
    return true;
}

/* True when the list takes all of an axis, however long. */
static bool takes_all(int64_t start, int64_t end, int64_t step)
{
    return start == 0 && end >= INT32_MAX && step == 1;
}

static bool cut_all(struct graph *graph, const struct tensor *input, const struct lists *lists,
                    struct slice *slice, struct shape *shape, struct error *err)
{
    bool seen[SHAPE_RANK_MAX] = {false};
    for (size_t i = 0; i < lists->starts.count; i++) {
        int64_t start = lists->starts.values[i], end = lists->ends.values[i];
        int64_t step = lists->steps.count > 0 ? lists->steps.values[i] : 1;
        int axis;
        if (!infer_axis(lists->axes.count > 0 ? lists->axes.values[i] : (int64_t)i, shape->rank,
                        &axis, err))
            return false;
        if (seen[axis])
            return FAIL(err, E_INVALID, "axis %d is cut twice", axis);
        seen[axis] = true;
        if (!cut(axis, start, end, step, slice, shape, err))
            return false;
        if (axis == 0 && input->batched && !takes_all(start, end, step))
            graph->batchable = false; /* the axis of the samples */
    }
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct lists lists;
    if (!infer_counts(node, 1, 5, err) || !infer_input(graph, node, 0, &input, err))
        return false;
    struct shape shape = input->shape;
    if (shape.rank == 0)
        return FAIL(err, E_UNSUPPORTED, "input '%s' is a scalar; axes are needed", input->name);
    struct slice detail = {.start = {0}};
    for (int i = 0; i < shape.rank; i++)
        detail.step[i] = 1;
    if (!read_lists(graph, node, shape.rank, &lists, err) ||
        !cut_all(graph, input, &lists, &detail, &shape, err))
        return false;
    node->detail = arena_memdup(graph->arena, &detail, sizeof(detail), err);
    return node->detail != NULL && infer_output(graph, node, 0, &shape, err);
}

/* The axes are moved, and given where they were not. */
static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    struct lists lists;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    int64_t axes[SHAPE_RANK_MAX];
    if (!read_lists(graph, node, rank, &lists, err))
        return false;
    for (size_t i = 0; i < lists.starts.count; i++) {
        int axis;
        if (!infer_axis(lists.axes.count > 0 ? lists.axes.values[i] : (int64_t)i, rank, &axis, err))
            return false;
        axes[i] = layout_axis(axis, rank);
    }
    return relayout_ints(graph, node, "axes", AXES, axes, lists.starts.count, err);
}

/* The rows (along the last axis) of the output, one after the other, and where each starts in the
 * input. */
struct rows {
    int rank;
    int64_t extent[SHAPE_RANK_MAX]; /* of the output */
    int64_t step[SHAPE_RANK_MAX];   /* elements of the input from one index to the next */
    int64_t index[SHAPE_RANK_MAX];
    int64_t from; /* of the current row */
    int64_t count;
};

static struct rows rows_of(const struct op_call *call)
{
    const struct slice *slice = call->node->detail;
    const struct tensor *input = &call->graph->tensors[call->node->inputs[0]];
    const struct tensor *output = &call->graph->tensors[call->node->outputs[0]];
    struct rows rows = {.rank = output->shape.rank, .count = 1};
    int64_t stride = 1;
    for (int i = rows.rank - 1; i >= 0; i--) {
        rows.extent[i] = output->shape.dim[i];
        if (i == 0 && output->batched)
            rows.extent[i] *= call->samples;
        rows.step[i] = slice->step[i] * stride;
        rows.from += slice->start[i] * stride;
        stride *= input->shape.dim[i];
        if (i < rows.rank - 1)
            rows.count *= rows.extent[i];
    }
    return rows;
}

static void next_row(struct rows *rows)
{
    for (int i = rows->rank - 2; i >= 0; i--) {
        rows->from += rows->step[i];
        if (++rows->index[i] < rows->extent[i])
            return;
        rows->from -= rows->extent[i] * rows->step[i];
        rows->index[i] = 0;
    }
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct rows rows = rows_of(call);
    int64_t extent = rows.extent[rows.rank - 1], step = rows.step[rows.rank - 1];
    float *y = call->out[0];
    for (int64_t row = 0; row < rows.count; row++, next_row(&rows))
        for (int64_t i = 0; i < extent; i++)
            *y++ = call->in[0][rows.from + i * step];
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    float *grad_x = call->grad_in[0];
    if (grad_x == NULL)
        return true;
    struct rows rows = rows_of(call);
    int64_t extent = rows.extent[rows.rank - 1], step = rows.step[rows.rank - 1];
    const float *grad_y = call->grad_out[0];
    for (int64_t row = 0; row < rows.count; row++, next_row(&rows))
        for (int64_t i = 0; i < extent; i++)
            grad_x[rows.from + i * step] += *grad_y++;
    return true;
}

const struct op op_slice = {
    .name = "Slice",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .forward = forward,
    .backward = backward,
    .keeps_grid = true,
    .limits = "starts, ends, axes and steps must be constants",
};
