/* AveragePool. */

#include "pool_node.h"

const struct op op_average_pool = {
    .name = "AveragePool",
    .layout = LAYOUT_SPATIAL,
    .infer = pool_node_infer,
    .forward = pool_node_average_forward,
    .backward = pool_node_average_backward,
    .limits = "one and two dimensions; pads up to 65536",
    .homogeneous = true,
};
