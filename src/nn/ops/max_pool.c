/* MaxPool, without its second output: where the maxima were. */

#include "pool_node.h"

const struct op op_max_pool = {
    .name = "MaxPool",
    .layout = LAYOUT_SPATIAL,
    .infer = pool_node_infer,
    .forward = pool_node_max_forward,
    .backward = pool_node_max_backward,
    .limits = "one and two dimensions; without the output Indices; pads up to 65536",
    .keeps_grid = true,
    .homogeneous = true,
};
