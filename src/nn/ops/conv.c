/* Conv: convolution in one and two dimensions (kern/conv.h has the arithmetic).
 *
 * Weights come as (K, C/G, R, S) and are moved to (K, R, S, C/G) together with the activations;
 * the forward pass expects both moved. */

#include "filter.h"
#include "ptqd/base/mem.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>
#include <string.h>

struct conv_detail {
    struct conv_shape shape; /* N of one sample */
};

struct conv_shape conv_node_shape(const struct graph *graph, const struct node *node,
                                  int64_t samples)
{
    const struct conv_detail *detail = node->detail;
    struct conv_shape shape = detail->shape;
    if (graph->tensors[node->inputs[0]].batched)
        shape.N *= samples;
    return shape;
}

/* Weights as the file has them or moved: K, C/G, and the extents of the filter. */
struct weights {
    int64_t K, C;
    int64_t kernel[WINDOW_AXES]; /* as many as the map has axes */
};

static bool infer_weights(const struct graph *graph, const struct node *node,
                          const struct window_map *map, struct weights *out, struct error *err)
{
    const struct tensor *tensor;
    if (!filter_infer(graph, node, map, &tensor, err))
        return false;
    int rank = tensor->shape.rank;
    const int64_t *dim = tensor->shape.dim;
    *out = (struct weights){
        .K = dim[0],
        .C = tensor->channels_last ? dim[rank - 1] : dim[1],
    };
    for (int i = 0; i < map->axes; i++)
        out->kernel[i] = dim[(tensor->channels_last ? 1 : 2) + i];
    return true;
}

static bool infer_group(const struct node *node, const struct window_map *map,
                        const struct weights *weights, int64_t *out_group, struct error *err)
{
    int64_t group, channels;
    if (!attribute_int(node, "group", 1, &group, err))
        return false;
    if (group < 1 || weights->K % group != 0)
        return FAIL(err, E_INVALID,
                    "group is %" PRId64 "; it must divide %" PRId64 " output channels", group,
                    weights->K);
    if (!mem_mul_i64(group, weights->C, &channels) || channels != map->C)
        return FAIL(err, E_INVALID,
                    "the weights are for %" PRId64 " groups of %" PRId64
                    " channels; the input has %" PRId64 " channels",
                    group, weights->C, map->C);
    *out_group = group;
    return true;
}

static bool conv_infer(struct graph *graph, struct node *node, struct error *err)
{
    struct window_map map;
    struct weights weights;
    struct window window;
    int64_t group = 1;
    if (!infer_counts(node, 2, 3, err) || !window_map_infer(graph, node, &map, err) ||
        !infer_weights(graph, node, &map, &weights, err) ||
        !filter_infer_bias(graph, node, weights.K, err) ||
        !infer_group(node, &map, &weights, &group, err) ||
        !window_infer(node, &map, weights.kernel, false, &window, err) ||
        !window_output(graph, node, &map, window.output, weights.K, err))
        return false;

    struct conv_detail *detail = ARENA_NEW(graph->arena, struct conv_detail, err);
    if (detail == NULL)
        return false;
    detail->shape = (struct conv_shape){
        .N = map.N,
        .H = map.extent[0],
        .W = map.extent[1],
        .C = map.C,
        .K = weights.K,
        .R = window.kernel[0],
        .S = window.kernel[1],
        .G = group,
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
    };
    node->detail = detail;
    const struct conv_shape *shape = &detail->shape;
    const int64_t factors[] = {shape->N, shape->R,  shape->S, shape->C / shape->G,
                               shape->K, shape->OH, shape->OW};
    return filter_check_macs(factors, sizeof(factors) / sizeof(factors[0]), err);
}

static bool conv_relayout(struct graph *graph, struct node *node, struct error *err)
{
    int perm[SHAPE_RANK_MAX];
    layout_to_channels_last(graph->tensors[node->inputs[1]].shape.rank, perm);
    return relayout_constant(graph, node, 1, perm, "channels_last", err);
}

static int64_t conv_node_macs(const struct graph *graph, const struct node *node)
{
    struct conv_shape shape = conv_node_shape(graph, node, 1);
    return shape.N * conv_macs(&shape);
}

static bool conv_plan(const struct graph *graph, const struct node *node, const struct op_plan *how,
                      void **out_plan, struct error *err)
{
    struct conv_shape shape = conv_node_shape(graph, node, how->samples);
    enum conv_use use = how->gradients ? CONV_TRAINING
                        : how->coarse  ? CONV_INFERENCE
                                       : CONV_FORWARD;
    struct conv_plan *plan;
    if (!(how->relu ? conv_plan_create_relu : conv_plan_create)(&shape, use, &plan, err))
        return false;
    *out_plan = plan;
    return true;
}

static void conv_plan_release(void *plan)
{
    conv_plan_destroy(plan);
}

static const float *optional_bias(const struct op_call *call)
{
    return infer_has_input(call->node, 2) ? call->in[2] : NULL;
}

static bool conv_forward(const struct op_call *call, struct error *err)
{
    struct conv_shape shape = conv_node_shape(call->graph, call->node, call->samples);
    return conv_plan_forward(call->plan, shape.N, call->in[0], call->in[1], optional_bias(call),
                             call->out[0], err);
}

/* Weights and bias are small: where their gradient has no value yet it begins at zero. */
static float *constant_gradient(const struct op_call *call, int input)
{
    if (!infer_has_input(call->node, input) || call->grad_in[input] == NULL)
        return NULL;
    const struct tensor *tensor = &call->graph->tensors[call->node->inputs[input]];
    size_t bytes = (size_t)tensor_elements(tensor, call->samples) * sizeof(float);
    return call->fresh[input] ? memset(call->grad_in[input], 0, bytes) : call->grad_in[input];
}

static bool conv_backward(const struct op_call *call, struct error *err)
{
    struct conv_shape shape = conv_node_shape(call->graph, call->node, call->samples);
    const float *grad_y = call->grad_out[0];
    float *grad_w = constant_gradient(call, 1), *grad_bias = constant_gradient(call, 2);
    if (grad_bias != NULL)
        conv2d_f32_grad_bias(&shape, grad_y, grad_bias);
    if (call->grad_in[0] != NULL && !conv_plan_grad_x(call->plan, shape.N, call->in[1], grad_y,
                                                      call->fresh[0], call->grad_in[0], err))
        return false;
    return grad_w == NULL ||
           conv_plan_grad_w(call->plan, shape.N, call->in[0], grad_y, grad_w, err);
}

const struct op op_conv = {
    .name = "Conv",
    .layout = LAYOUT_SPATIAL,
    .mac = true,
    .infer = conv_infer,
    .relayout = conv_relayout,
    .macs = conv_node_macs,
    .plan_create = conv_plan,
    .plan_destroy = conv_plan_release,
    .forward = conv_forward,
    .backward = conv_backward,
    .writes_fresh = true,
    .joins_relu = true,
    .limits = "one and two dimensions; weights and bias must be constants; pads up to 65536",
};
