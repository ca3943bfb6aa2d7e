/* Squeeze: removes axes of extent 1: those given, or all.
 *
 * Axes are an attribute in opset 1 and 11, an input in 13. Without axes the batch axis stays: it
 * is 1 for one sample only. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>

static bool mark_axes(const struct tensor *input, const struct integer_list *axes, bool *removed,
                      struct error *err)
{
    int rank = input->shape.rank;
    for (size_t i = 0; i < axes->count; i++) {
        int axis;
        if (!infer_axis(axes->values[i], rank, &axis, err))
            return false;
        if (input->shape.dim[axis] != 1)
            return FAIL(err, E_INVALID,
                        "axis %d of '%s' has extent %" PRId64 "; only 1 can be removed", axis,
                        input->name, input->shape.dim[axis]);
        removed[axis] = true;
    }
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct integer_list axes;
    bool removed[SHAPE_RANK_MAX] = {false};
    if (!infer_counts(node, 1, 2, err) || !infer_input(graph, node, 0, &input, err) ||
        !infer_ints(graph, node, "axes", 1, &axes, err) || !mark_axes(input, &axes, removed, err))
        return false;

    int first = graph->batchable && input->batched ? 1 : 0;
    for (int i = first; axes.values == NULL && i < input->shape.rank; i++)
        removed[i] = input->shape.dim[i] == 1;
    struct shape shape = {.rank = 0};
    for (int i = 0; i < input->shape.rank; i++)
        if (!removed[i])
            shape.dim[shape.rank++] = input->shape.dim[i];
    return infer_output(graph, node, 0, &shape, err);
}

const struct op op_squeeze = {
    .name = "Squeeze",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .view = true,
    .limits = "axes must be constants",
    .keeps_grid = true,
};
