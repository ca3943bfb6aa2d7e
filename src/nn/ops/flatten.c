/* Flatten: all axes before `axis` become the first of two, the others the second.
 *
 * Axis defaults to 1; negative ones count from the end since opset 11. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    int64_t axis;
    if (!infer_counts(node, 1, 1, err) || !infer_input(graph, node, 0, &input, err) ||
        !attribute_int(node, "axis", 1, &axis, err))
        return false;

    int rank = input->shape.rank;
    if (axis < -rank || axis > rank)
        return FAIL(err, E_INVALID, "axis is %" PRId64 "; %d to %d are possible for %d axes", axis,
                    -rank, rank, rank);
    if (axis < 0)
        axis += rank;
    struct shape shape = {.rank = 2, .dim = {1, 1}};
    for (int i = 0; i < rank; i++)
        shape.dim[i < axis ? 0 : 1] *= input->shape.dim[i];
    return infer_output(graph, node, 0, &shape, err);
}

const struct op op_flatten = {
    .name = "Flatten",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .view = true,
    .keeps_grid = true,
};
