/* GlobalMaxPool: a maximum with one window over the whole map. */

#include "pool_node.h"

const struct op op_global_max_pool = {
    .name = "GlobalMaxPool",
    .layout = LAYOUT_SPATIAL,
    .infer = pool_node_infer_global,
    .forward = pool_node_max_forward,
    .backward = pool_node_max_backward,
    .limits = "one and two dimensions",
    .keeps_grid = true,
    .homogeneous = true,
};
