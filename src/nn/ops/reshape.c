/* Reshape: the same values in the same order under another shape. 0 keeps the extent of the input's
 * axis (with allowzero, since opset 14, it is an extent, which is refused), one -1 takes what is
 * left.
 *
 * Opset 1 has the shape as an attribute, 5 to 14 as an input. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>

/* Extents with 0 replaced; *out_free is the axis of -1, or -1. */
static bool read_extents(const struct shape *input, const struct integer_list *list,
                         bool allow_zero, struct shape *out, int *out_free, struct error *err)
{
    if (list->count > SHAPE_RANK_MAX)
        return FAIL(err, E_INVALID, "%zu axes; at most %d are supported", list->count,
                    SHAPE_RANK_MAX);
    out->rank = (int)list->count;
    *out_free = -1;
    for (int i = 0; i < out->rank; i++) {
        int64_t extent = list->values[i];
        if (extent == 0 && !allow_zero) {
            if (i >= input->rank)
                return FAIL(err, E_INVALID, "shape[%d] is 0; the input has only %d axes", i,
                            input->rank);
            extent = input->dim[i];
        }
        if (extent == -1 && *out_free >= 0)
            return FAIL(err, E_INVALID, "shape[%d] and shape[%d] are -1; only one may be",
                        *out_free, i);
        if (extent == -1)
            *out_free = i;
        else if (extent < 1)
            return FAIL(err, E_INVALID, "shape[%d] is %" PRId64 "; extents start at 1", i, extent);
        out->dim[i] = extent == -1 ? 1 : extent;
    }
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct integer_list list;
    int64_t allow_zero;
    int free_axis = -1;
    struct shape shape;
    if (!infer_counts(node, 1, 2, err) || !infer_input(graph, node, 0, &input, err) ||
        !infer_ints(graph, node, "shape", 1, &list, err) ||
        !attribute_int(node, "allowzero", 0, &allow_zero, err))
        return false;
    if (list.values == NULL)
        return FAIL(err, E_INVALID, "no shape is given");
    if (!read_extents(&input->shape, &list, allow_zero != 0, &shape, &free_axis, err) ||
        !shape_check(&shape, graph->tensors[node->outputs[0]].name, err))
        return false;

    int64_t have = shape_elements(&input->shape), want = shape_elements(&shape);
    if (free_axis >= 0 && have % want == 0) {
        shape.dim[free_axis] = have / want;
        want = have;
    }
    if (have != want) {
        char from[96], to[96];
        shape_print(&input->shape, from, sizeof(from));
        shape_print(&shape, to, sizeof(to));
        return FAIL(err, E_INVALID, "%s has %" PRId64 " elements, %s%s %" PRId64, from, have, to,
                    free_axis >= 0 ? " takes a multiple of" : " has", want);
    }
    return infer_output(graph, node, 0, &shape, err);
}

const struct op op_reshape = {
    .name = "Reshape",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .view = true,
    .limits = "the shape must be a constant",
    .keeps_grid = true,
};
