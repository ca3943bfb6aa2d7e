/* Identity: y = x. Opset 1 to 16 differ in types only. */

#include "ptqd/nn/elementwise.h"

const struct op op_identity = {
    .name = "Identity",
    .layout = LAYOUT_FOLLOW,
    .infer = elementwise_infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .pointwise = true,
    .view = true,
    .keeps_grid = true,
    .homogeneous = true,
};
