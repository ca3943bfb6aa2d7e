/* Unsqueeze: inserts axes of extent 1 at these places of the output.
 *
 * Axes are an attribute in opset 1 and 11, an input in 13. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct integer_list axes;
    if (!infer_counts(node, 1, 2, err) || !infer_input(graph, node, 0, &input, err) ||
        !infer_ints(graph, node, "axes", 1, &axes, err))
        return false;
    if (axes.count == 0 || axes.count > (size_t)(SHAPE_RANK_MAX - input->shape.rank))
        return FAIL(err, E_INVALID, "%zu axes to insert into %d; 1 to %d are possible", axes.count,
                    input->shape.rank, SHAPE_RANK_MAX - input->shape.rank);

    bool inserted[SHAPE_RANK_MAX] = {false};
    struct shape shape = {.rank = input->shape.rank + (int)axes.count};
    for (size_t i = 0; i < axes.count; i++) {
        int axis;
        if (!infer_axis(axes.values[i], shape.rank, &axis, err))
            return false;
        if (inserted[axis])
            return FAIL(err, E_INVALID, "axis %d is inserted twice", axis);
        inserted[axis] = true;
    }
    for (int i = 0, from = 0; i < shape.rank; i++)
        shape.dim[i] = inserted[i] ? 1 : input->shape.dim[from++];
    return infer_output(graph, node, 0, &shape, err);
}

const struct op op_unsqueeze = {
    .name = "Unsqueeze",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .view = true,
    .limits = "axes must be constants",
    .keeps_grid = true,
};
