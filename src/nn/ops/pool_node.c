/* Pooling nodes: attributes to shapes, and the calls of kern/pool.h. */

#include "pool_node.h"

#include "ptqd/nn/infer.h"
#include "window.h"

static bool set_detail(struct graph *graph, struct node *node, const struct pool_shape *shape,
                       struct error *err)
{
    struct pool_shape *detail = ARENA_NEW(graph->arena, struct pool_shape, err);
    if (detail == NULL)
        return false;
    *detail = *shape;
    node->detail = detail;
    return true;
}

bool pool_node_infer(struct graph *graph, struct node *node, struct error *err)
{
    struct window_map map;
    struct window window;
    int64_t ceil_mode, count_include_pad;
    if (!infer_counts(node, 1, 1, err) || !window_map_infer(graph, node, &map, err) ||
        !attribute_int(node, "ceil_mode", 0, &ceil_mode, err) ||
        !attribute_int(node, "count_include_pad", 0, &count_include_pad, err) ||
        !window_infer(node, &map, NULL, ceil_mode != 0, &window, err) ||
        !window_output(graph, node, &map, window.output, map.C, err))
        return false;
    struct pool_shape shape = {
        .N = map.N,
        .H = map.extent[0],
        .W = map.extent[1],
        .C = map.C,
        .R = window.kernel[0],
        .S = window.kernel[1],
        .stride_h = window.stride[0],
        .stride_w = window.stride[1],
        .pad_top = window.before[0],
        .pad_left = window.before[1],
        .pad_bottom = window.after[0],
        .pad_right = window.after[1],
        .dilation_h = window.dilation[0],
        .dilation_w = window.dilation[1],
        .OH = window.output[0],
        .OW = window.output[1],
        .count_include_pad = count_include_pad != 0,
    };
    return set_detail(graph, node, &shape, err);
}

bool pool_node_infer_global(struct graph *graph, struct node *node, struct error *err)
{
    struct window_map map;
    const int64_t point[WINDOW_AXES] = {1, 1};
    if (!infer_counts(node, 1, 1, err) || !window_map_infer(graph, node, &map, err) ||
        !window_output(graph, node, &map, point, map.C, err))
        return false;
    struct pool_shape shape = pool_global_shape(map.N, map.extent[0] * map.extent[1], map.C);
    return set_detail(graph, node, &shape, err);
}

/* For the samples of a call; the input is an activation. */
static struct pool_shape call_shape(const struct op_call *call)
{
    struct pool_shape shape = *(const struct pool_shape *)call->node->detail;
    shape.N *= call->samples;
    return shape;
}

/* None of these can fail, so that `err` stays as it is. */

bool pool_node_max_forward(const struct op_call *call, struct error *err)
{
    (void)err;
    struct pool_shape shape = call_shape(call);
    max_pool_f32(&shape, call->in[0], call->out[0]);
    return true;
}

bool pool_node_max_backward(const struct op_call *call, struct error *err)
{
    (void)err;
    struct pool_shape shape = call_shape(call);
    if (call->grad_in[0] != NULL)
        max_pool_f32_grad_x(&shape, call->in[0], call->out[0], call->grad_out[0], call->grad_in[0]);
    return true;
}

bool pool_node_average_forward(const struct op_call *call, struct error *err)
{
    (void)err;
    struct pool_shape shape = call_shape(call);
    average_pool_f32(&shape, call->in[0], call->out[0]);
    return true;
}

bool pool_node_average_backward(const struct op_call *call, struct error *err)
{
    (void)err;
    struct pool_shape shape = call_shape(call);
    if (call->grad_in[0] != NULL)
        average_pool_f32_grad_x(&shape, call->grad_out[0], call->grad_in[0]);
    return true;
}
