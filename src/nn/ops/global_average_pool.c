/* GlobalAveragePool: an average with one window over the whole map. */

#include "pool_node.h"

const struct op op_global_average_pool = {
    .name = "GlobalAveragePool",
    .layout = LAYOUT_SPATIAL,
    .infer = pool_node_infer_global,
    .forward = pool_node_average_forward,
    .backward = pool_node_average_backward,
    .limits = "one and two dimensions",
    .homogeneous = true,
};
