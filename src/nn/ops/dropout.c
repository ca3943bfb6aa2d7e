/* Dropout at inference: y = x, whatever the ratio.
 *
 * Opset 1 and 6 have an attribute `is_test`, 7 and 10 none, 12 and 13 an input `training_mode`. A
 * file that is to be deployed is meant for inference, so `is_test` is not looked at; an explicit
 * training_mode is refused. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    if (!infer_counts(node, 1, 3, err))
        return false;
    if (infer_has_input(node, 1)) {
        const struct tensor *ratio = &graph->tensors[node->inputs[1]];
        if (ratio->values == NULL)
            return FAIL(err, E_UNSUPPORTED, "ratio '%s' is computed; it must be a constant",
                        ratio->name);
    }
    if (infer_has_input(node, 2)) {
        const struct tensor *training = &graph->tensors[node->inputs[2]];
        if (training->integers == NULL || training->integers[0] != 0)
            return FAIL(err, E_UNSUPPORTED,
                        "training_mode '%s' is not the constant false; only inference is "
                        "supported",
                        training->name);
    }
    return elementwise_output(graph, node, err);
}

const struct op op_dropout = {
    .name = "Dropout",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .pointwise = true,
    .view = true,
    .limits = "inference only, without the mask output",
    .keeps_grid = true,
    .homogeneous = true,
};
