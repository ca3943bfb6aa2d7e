/* ConvTranspose: transposed convolution in one and two dimensions (kern/deconv.h has the
 * arithmetic).
 *
 * Weights come as (C, K/G, R, S). With the activations they are moved to (K, R, S, C/G) and
 * mirrored: then they are the filters of the convolution that this is of its stuffed input, output
 * channels lead as everywhere, and what is known about weights of Conv holds for them too.
 *
 * Opset 1 and 11 differ in words only. From which side auto_pad and output_shape cut more is as
 * opset 11 and onnxruntime have it. */

#include "filter.h"
#include "ptqd/base/mem.h"
#include "ptqd/nn/conv_node.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>

struct conv_transpose {
    struct deconv_shape shape; /* N of one sample */
};

struct deconv_shape conv_transpose_node_shape(const struct graph *graph, const struct node *node,
                                              int64_t samples)
{
    const struct conv_transpose *detail = node->detail;
    struct deconv_shape shape = detail->shape;
    if (graph->tensors[node->inputs[0]].batched)
        shape.N *= samples;
    return shape;
}

/* Weights as the file has them or moved. */
struct weights {
    int64_t C, K, G;
    int64_t kernel[WINDOW_AXES]; /* as many as the map has axes */
};

/* One axis has all channels of one side, another those of a group of the other side. */
static bool infer_weights(const struct graph *graph, const struct node *node,
                          const struct window_map *map, struct weights *out, struct error *err)
{
    const struct tensor *tensor;
    int64_t group, channels;
    if (!filter_infer(graph, node, map, &tensor, err) ||
        !attribute_int(node, "group", 1, &group, err))
        return false;
    bool moved = tensor->channels_last;
    const int64_t *dim = tensor->shape.dim;
    int64_t of_group = dim[moved ? tensor->shape.rank - 1 : 1];
    if (group < 1 || dim[0] % group != 0 || !mem_mul_i64(of_group, group, &channels))
        return FAIL(err, E_INVALID, "group is %" PRId64 "; it must divide %" PRId64 " %s channels",
                    group, dim[0], moved ? "output" : "input");
    *out = (struct weights){.C = moved ? channels : dim[0],
                            .K = moved ? dim[0] : channels,
                            .G = group};
    for (int i = 0; i < map->axes; i++)
        out->kernel[i] = dim[(moved ? 1 : 2) + i];
    if (out->C != map->C)
        return FAIL(err, E_INVALID,
                    "the weights are for %" PRId64 " channels; the input has %" PRId64, out->C,
                    map->C);
    return true;
}

/* What decides which part of the reached map the output is. */
struct cut {
    enum window_padding padding;
    int64_t more[WINDOW_AXES];   /* output_padding: elements behind the reach */
    bool sized;                  /* output_shape is given */
    int64_t output[WINDOW_AXES]; /* then these; pads mean nothing */
};

static bool read_cut(const struct node *node, const struct window_map *map, struct window *window,
                     struct cut *out, struct error *err)
{
    struct cut cut = {.sized = node_attribute(node, "output_shape") != NULL};
    if (!window_infer_auto_pad(node, &cut.padding, err) ||
        !window_infer_extents(node, map, "output_padding", 0, 0, cut.more, err) ||
        !window_infer_extents(node, map, "output_shape", 1, 1, cut.output, err) ||
        (cut.padding == PADDING_GIVEN && !window_infer_pads(node, map, window, err)))
        return false;
    *out = cut;
    return true;
}

/* Sets pads and output of one axis; `reach` has output_padding in it. */
static bool place(const struct cut *cut, int axis, int64_t input, int64_t reach,
                  struct window *window, struct error *err)
{
    bool same = cut->padding == PADDING_SAME_UPPER || cut->padding == PADDING_SAME_LOWER;
    int64_t wanted = cut->sized ? cut->output[axis] : input * window->stride[axis];
    if (cut->sized || same) {
        int64_t total = reach > wanted ? reach - wanted : 0;
        bool upper = cut->padding == PADDING_SAME_UPPER;
        window->before[axis] = upper ? total / 2 : total - total / 2;
        window->after[axis] = total - window->before[axis];
    }
    if (same && !cut->sized && reach < wanted)
        return FAIL(err, E_UNSUPPORTED,
                    "auto_pad wants %" PRId64 " elements on axis %d, of which a filter of %" PRId64
                    " with stride %" PRId64 " reaches %" PRId64
                    "; runtimes do that differently: give pads instead",
                    wanted, axis, window->kernel[axis], window->stride[axis], reach);
    window->output[axis] = cut->sized ? wanted : reach - window->before[axis] - window->after[axis];
    return true;
}

/* That the output lies where kern/deconv.h can have it. */
static bool check_placement(const struct window *window, int axis, int64_t input, struct error *err)
{
    int64_t overhang = window->dilation[axis] * (window->kernel[axis] - 1);
    int64_t before = window->before[axis], end = before + window->output[axis];
    int64_t reach =
        deconv_reach(input, window->kernel[axis], window->stride[axis], window->dilation[axis]);
    if (window->output[axis] < 1)
        return FAIL(err, E_INVALID,
                    "pads of axis %d cut %" PRId64 " and %" PRId64 " elements from the %" PRId64
                    " that are reached; nothing is left",
                    axis, before, window->after[axis], reach);
    if (before > overhang || reach - end > overhang)
        return FAIL(err, E_UNSUPPORTED,
                    "axis %d is cut by %" PRId64 " and %" PRId64 " elements; a filter of %" PRId64
                    " cells, %" PRId64 " apart, allows at most %" PRId64,
                    axis, before, reach - end, window->kernel[axis], window->dilation[axis],
                    overhang);
    if (end - reach >= window->stride[axis])
        return FAIL(err, E_UNSUPPORTED,
                    "the last %" PRId64 " elements of axis %d are beyond the reach of the input; "
                    "fewer than the stride %" PRId64 " are supported",
                    end - reach, axis, window->stride[axis]);
    return true;
}

/* Far above any map, and small enough that products of two don't overflow. */
static const int64_t EXTENT_MAX = INT64_C(1) << 30;

static bool infer_window(const struct node *node, const struct window_map *map,
                         const struct weights *weights, struct window *out, struct error *err)
{
    struct window window;
    struct cut cut;
    if (!window_infer_filter(node, map, weights->kernel, &window, err) ||
        !read_cut(node, map, &window, &cut, err))
        return false;
    for (int axis = 0; axis < WINDOW_AXES; axis++) {
        int64_t input = map->extent[axis];
        if (input > EXTENT_MAX || window.kernel[axis] > EXTENT_MAX)
            return FAIL(err, E_INVALID, "an extent of %" PRId64 "; 1 to 2^30 are possible",
                        input > EXTENT_MAX ? input : window.kernel[axis]);
        int64_t reach =
            deconv_reach(input, window.kernel[axis], window.stride[axis], window.dilation[axis]);
        if (!place(&cut, axis, input, reach + cut.more[axis], &window, err) ||
            !check_placement(&window, axis, input, err))
            return false;
    }
    *out = window;
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct window_map map;
    struct weights weights;
    struct window window;
    if (!infer_counts(node, 2, 3, err) || !window_map_infer(graph, node, &map, err) ||
        !infer_weights(graph, node, &map, &weights, err) ||
        !filter_infer_bias(graph, node, weights.K, err) ||
        !infer_window(node, &map, &weights, &window, err) ||
        !window_output(graph, node, &map, window.output, weights.K, err))
        return false;

    struct conv_transpose *detail = ARENA_NEW(graph->arena, struct conv_transpose, err);
    if (detail == NULL)
        return false;
    detail->shape = (struct deconv_shape){
        .N = map.N,
        .H = map.extent[0],
        .W = map.extent[1],
        .C = map.C,
        .K = weights.K,
        .R = window.kernel[0],
        .S = window.kernel[1],
        .G = weights.G,
        .stride_h = window.stride[0],
        .stride_w = window.stride[1],
        .dilation_h = window.dilation[0],
        .dilation_w = window.dilation[1],
        .pad_top = window.before[0],
        .pad_left = window.before[1],
        .OH = window.output[0],
        .OW = window.output[1],
    };
    node->detail = detail;
    const int64_t factors[] = {map.N,
                               map.extent[0],
                               map.extent[1],
                               weights.C,
                               window.kernel[0],
                               window.kernel[1],
                               weights.K / weights.G};
    return filter_check_macs(factors, sizeof(factors) / sizeof(factors[0]), err);
}

/* (C, K/G, …) to [K][…][C/G], the taps in reverse. */
static void move_weights(const struct deconv_shape *shape, const float *from, float *to)
{
    int64_t taps = shape->R * shape->S;
    int64_t inputs = shape->C / shape->G, outputs = shape->K / shape->G;
    for (int64_t k = 0; k < shape->K; k++)
        for (int64_t rs = 0; rs < taps; rs++)
            for (int64_t c = 0; c < inputs; c++) {
                int64_t row = (k / outputs * inputs + c) * outputs + k % outputs;
                *to++ = from[row * taps + taps - 1 - rs];
            }
}

static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    const struct conv_transpose *detail = node->detail;
    const struct deconv_shape *shape = &detail->shape;
    const struct tensor *weights = &graph->tensors[node->inputs[1]];
    if (weights->channels_last)
        return true;
    float *values = ARENA_ARRAY(graph->arena, float, shape_elements(&weights->shape), err);
    const char *suffix = arena_printf(graph->arena, err, "transposed_by_%" PRId64, shape->G);
    if (values == NULL || suffix == NULL)
        return false;
    move_weights(shape, weights->values, values);
    struct shape moved = {.rank = weights->shape.rank, .dim = {shape->K}};
    for (int axis = 2; axis < moved.rank; axis++)
        moved.dim[axis - 1] = weights->shape.dim[axis];
    moved.dim[moved.rank - 1] = shape->C / shape->G;
    return relayout_replace(graph, node, 1, &moved, values, suffix, err);
}

static int64_t macs(const struct graph *graph, const struct node *node)
{
    struct deconv_shape shape = conv_transpose_node_shape(graph, node, 1);
    return shape.N * deconv_macs(&shape);
}

static bool plan_create(const struct graph *graph, const struct node *node,
                        const struct op_plan *how, void **out_plan, struct error *err)
{
    struct deconv_shape shape = conv_transpose_node_shape(graph, node, how->samples);
    struct deconv_plan *plan;
    if (!deconv_plan_create(&shape, how->gradients, &plan, err))
        return false;
    *out_plan = plan;
    return true;
}

static void plan_destroy(void *plan)
{
    deconv_plan_destroy(plan);
}

static bool forward(const struct op_call *call, struct error *err)
{
    struct deconv_shape shape = conv_transpose_node_shape(call->graph, call->node, call->samples);
    const float *bias = infer_has_input(call->node, 2) ? call->in[2] : NULL;
    return deconv_plan_forward(call->plan, shape.N, call->in[0], call->in[1], bias, call->out[0],
                               err);
}

static bool backward(const struct op_call *call, struct error *err)
{
    struct deconv_shape shape = conv_transpose_node_shape(call->graph, call->node, call->samples);
    const float *grad_y = call->grad_out[0];
    float *grad_bias = infer_has_input(call->node, 2) ? call->grad_in[2] : NULL;
    if (grad_bias != NULL) {
        struct conv_shape conv = deconv_as_conv(&shape);
        conv2d_f32_grad_bias(&conv, grad_y, grad_bias);
    }
    if (call->grad_in[0] != NULL &&
        !deconv_plan_grad_x(call->plan, shape.N, call->in[1], grad_y, call->grad_in[0], err))
        return false;
    return call->grad_in[1] == NULL ||
           deconv_plan_grad_w(call->plan, shape.N, call->in[0], grad_y, call->grad_in[1], err);
}

const struct op op_conv_transpose = {
    .name = "ConvTranspose",
    .layout = LAYOUT_SPATIAL,
    .mac = true,
    .infer = infer,
    .relayout = relayout,
    .macs = macs,
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .forward = forward,
    .backward = backward,
    .limits = "one and two dimensions; weights and bias must be constants; pads up to dilation · "
              "(kernel − 1), output_padding below the stride",
};
