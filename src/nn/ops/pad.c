/* Pad: elements before and after each axis: a constant (default 0), the nearest element (edge), or
 * the mirror image without the border (reflect, as numpy's).
 *
 * The gradient goes back to the element that was copied. Opset 1 has an attribute `paddings`, 2
 * `pads` and `value`, 11 to 13 have inputs. */

#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>
#include <string.h>

enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT };

struct pad {
    enum pad_mode mode;
    float value;
    int64_t before[SHAPE_RANK_MAX], after[SHAPE_RANK_MAX];
};

static bool read_mode(const struct node *node, enum pad_mode *out_mode, struct error *err)
{
    static const char *const names[] = {
        [PAD_CONSTANT] = "constant", [PAD_EDGE] = "edge", [PAD_REFLECT] = "reflect"};
    const char *name;
    if (!attribute_string(node, "mode", "constant", &name, err))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0) {
            *out_mode = (enum pad_mode)i;
            return true;
        }
    return FAIL(err, E_UNSUPPORTED, "mode is '%s'; constant, edge and reflect are supported", name);
}

static bool read_pads(const struct graph *graph, const struct node *node, int rank,
                      struct pad *detail, struct error *err)
{
    struct integer_list pads;
    const char *name = node_attribute(node, "paddings") != NULL ? "paddings" : "pads";
    if (!infer_ints(graph, node, name, 1, &pads, err))
        return false;
    if (pads.count != 2 * (size_t)rank)
        return FAIL(err, E_INVALID, "%zu pads for %d axes; there must be %d", pads.count, rank,
                    2 * rank);
    for (int i = 0; i < rank; i++) {
        detail->before[i] = pads.values[i];
        detail->after[i] = pads.values[rank + i];
    }
    return true;
}

enum { PAD_MAX = 1 << 24 }; /* far above any map; keeps sums from overflowing */

static bool check_axis(const struct pad *detail, int axis, int64_t extent, struct error *err)
{
    int64_t before = detail->before[axis], after = detail->after[axis];
    if (before < 0 || after < 0)
        return FAIL(err, E_UNSUPPORTED,
                    "pads of axis %d are %" PRId64 " and %" PRId64
                    "; negative ones (cropping) are not supported",
                    axis, before, after);
    if (before > PAD_MAX || after > PAD_MAX)
        return FAIL(err, E_INVALID,
                    "pads of axis %d are %" PRId64 " and %" PRId64 "; at most %d is supported",
                    axis, before, after, PAD_MAX);
    if (detail->mode == PAD_REFLECT && (before >= extent || after >= extent))
        return FAIL(err, E_INVALID,
                    "pads of axis %d are %" PRId64 " and %" PRId64
                    "; reflect needs fewer than its extent %" PRId64,
                    axis, before, after, extent);
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct pad detail = {.mode = PAD_CONSTANT};
    if (!infer_counts(node, 1, 3, err) || !infer_input(graph, node, 0, &input, err) ||
        !read_mode(node, &detail.mode, err) ||
        !infer_scalar(graph, node, "value", 2, 0, &detail.value, err) ||
        !read_pads(graph, node, input->shape.rank, &detail, err))
        return false;

    if (input->shape.rank == 0)
        return FAIL(err, E_UNSUPPORTED, "input '%s' is a scalar; axes are needed", input->name);
    struct shape shape = input->shape;
    for (int i = 0; i < shape.rank; i++) {
        if (!check_axis(&detail, i, shape.dim[i], err))
            return false;
        shape.dim[i] += detail.before[i] + detail.after[i];
    }
    node->detail = arena_memdup(graph->arena, &detail, sizeof(detail), err);
    return node->detail != NULL && infer_output(graph, node, 0, &shape, err);
}

static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    const struct pad *detail = node->detail;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    int64_t pads[2 * SHAPE_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        int axis = layout_axis(i, rank);
        pads[axis] = detail->before[i];
        pads[rank + axis] = detail->after[i];
    }
    const char *name = node_attribute(node, "paddings") != NULL ? "paddings" : "pads";
    return relayout_ints(graph, node, name, 1, pads, 2 * (size_t)rank, err);
}

/* Coordinate of the input that output coordinate `to` copies; -1: the constant. */
static int64_t source(const struct pad *detail, int axis, int64_t extent, int64_t to)
{
    int64_t from = to - detail->before[axis];
    if (from >= 0 && from < extent)
        return from;
    switch (detail->mode) {
    case PAD_CONSTANT:
        return -1;
    case PAD_EDGE:
        return from < 0 ? 0 : extent - 1;
    case PAD_REFLECT:
        return from < 0 ? -from : 2 * (extent - 1) - from;
    }
    return -1;
}

/* The rows (along the last axis) of the output, one after the other. */
struct rows {
    const struct pad *detail;
    int rank;
    int64_t in_extent[SHAPE_RANK_MAX], out_extent[SHAPE_RANK_MAX], in_step[SHAPE_RANK_MAX];
    int64_t index[SHAPE_RANK_MAX]; /* of the current row of the output */
    int64_t count;
};

static struct rows rows_of(const struct op_call *call)
{
    const struct tensor *input = &call->graph->tensors[call->node->inputs[0]];
    struct rows rows = {.detail = call->node->detail, .rank = input->shape.rank, .count = 1};
    int64_t step = 1;
    for (int i = rows.rank - 1; i >= 0; i--) {
        rows.in_extent[i] = input->shape.dim[i];
        if (i == 0 && input->batched)
            rows.in_extent[i] *= call->samples;
        rows.out_extent[i] = rows.in_extent[i] + rows.detail->before[i] + rows.detail->after[i];
        rows.in_step[i] = step;
        step *= rows.in_extent[i];
        if (i < rows.rank - 1)
            rows.count *= rows.out_extent[i];
    }
    return rows;
}

/* Where the row of the input starts that the current row copies; -1: constants only. */
static int64_t row_source(const struct rows *rows)
{
    int64_t offset = 0;
    for (int i = 0; i < rows->rank - 1; i++) {
        int64_t from = source(rows->detail, i, rows->in_extent[i], rows->index[i]);
        if (from < 0)
            return -1;
        offset += from * rows->in_step[i];
    }
    return offset;
}

static void next_row(struct rows *rows)
{
    for (int i = rows->rank - 2; i >= 0; i--) {
        if (++rows->index[i] < rows->out_extent[i])
            return;
        rows->index[i] = 0;
    }
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct rows rows = rows_of(call);
    int last = rows.rank - 1;
    float *y = call->out[0];
    for (int64_t row = 0; row < rows.count; row++) {
        int64_t start = row_source(&rows);
        for (int64_t i = 0; i < rows.out_extent[last]; i++) {
            int64_t from = source(rows.detail, last, rows.in_extent[last], i);
            *y++ = start < 0 || from < 0 ? rows.detail->value : call->in[0][start + from];
        }
        next_row(&rows);
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct rows rows = rows_of(call);
    int last = rows.rank - 1;
    const float *grad_y = call->grad_out[0];
    for (int64_t row = 0; call->grad_in[0] != NULL && row < rows.count; row++) {
        int64_t start = row_source(&rows);
        for (int64_t i = 0; i < rows.out_extent[last]; i++, grad_y++) {
            int64_t from = source(rows.detail, last, rows.in_extent[last], i);
            if (start >= 0 && from >= 0)
                call->grad_in[0][start + from] += *grad_y;
        }
        next_row(&rows);
    }
    return true;
}

const struct op op_pad = {
    .name = "Pad",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .forward = forward,
    .backward = backward,
    .infinite_constants = true,
    .limits = "pads must be constants and not negative; modes constant, edge and reflect",
};
