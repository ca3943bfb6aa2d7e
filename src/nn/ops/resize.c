/* Resize: maps of another size. An element of the output has a place in the input, and takes the
 * value of the nearest element there, or of the line between its two neighbours; in several axes
 * one axis after the other, which is the same as all at once. What is outside the map is its
 * border. Each step is linear in its input, so that its gradient is the transposed step. */

#include "ptqd/nn/resize_node.h"

#include "ptqd/kern/resample.h"
#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"

#include <math.h>
#include <string.h>

extern const struct op op_resize;
static const struct op op_resize_linear;

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    struct resize_node detail;
    struct shape shape;
    if (!resize_node_read(graph, node, &detail, &shape, err))
        return false;
    node->op = detail.linear ? &op_resize_linear : &op_resize;
    return elementwise_keep(graph, node, &detail, sizeof(detail), err) &&
           infer_output(graph, node, 0, &shape, err);
}

/* The lists stay as they are; the axes that they are about have been named by `infer`. */
static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    struct integer_list named;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    int64_t axes[SHAPE_RANK_MAX];
    if (!attribute_ints(node, "axes", &named, err))
        return false;
    for (size_t i = 0; i < named.count; i++)
        axes[i] = layout_axis((int)named.values[i], rank);
    return relayout_ints(graph, node, "axes", NODE_ABSENT, axes, named.count, err);
}

/* One step for each axis that changes. */
struct step {
    struct resample_shape shape;
    float scale;
};

static int64_t product(const int64_t *extents, int count)
{
    int64_t result = 1;
    for (int i = 0; i < count; i++)
        result *= extents[i];
    return result;
}

/* Axes that shrink come first: no result between is then larger than both input and output. */
static int find_steps(const struct graph *graph, const struct node *node, int64_t samples,
                      struct step steps[static SHAPE_RANK_MAX])
{
    const struct resize_node *resize = node->detail;
    const struct tensor *input = &graph->tensors[node->inputs[0]];
    const struct shape *output = &graph->tensors[node->outputs[0]].shape;
    struct shape shape = input->shape; /* so far */
    int count = 0;
    for (int i = 0; i < 2 * shape.rank; i++) {
        int axis = i % shape.rank;
        bool grows = output->dim[axis] > input->shape.dim[axis];
        if (resize->scale[axis] == 1 || grows != (i >= shape.rank))
            continue;
        struct step step = {.scale = resize->scale[axis]};
        step.shape = (struct resample_shape){
            .outer = product(shape.dim, axis) * (input->batched ? samples : 1),
            .in = shape.dim[axis],
            .out = output->dim[axis],
            .inner = product(shape.dim + axis + 1, shape.rank - axis - 1),
        };
        shape.dim[axis] = step.shape.out;
        steps[count++] = step;
    }
    return count;
}

static struct resample_tap tap_at(const struct resize_node *resize, const struct step *step,
                                  int64_t to)
{
    int64_t last = step->shape.in - 1;
    struct resize_axis axis = {.in = step->shape.in, .out = step->shape.out, .scale = step->scale};
    float place = resize->place(&axis, (float)to);
    if (!resize->linear)
        place = resize->round(place);
    place = fminf(fmaxf(place, 0), (float)last);
    int64_t low = (int64_t)place;
    return (struct resample_tap){.low = low,
                                 .high = low < last ? low + 1 : last,
                                 .share = place - (float)low};
}

/* The taps of the longest step, and the results between steps: two of them take turns. */
struct scratch {
    struct resample_tap *taps;
    float *between[2];
};

static size_t tap_bytes(const struct step *steps, int count)
{
    int64_t longest = 0;
    for (int i = 0; i < count; i++)
        longest = steps[i].shape.out > longest ? steps[i].shape.out : longest;
    return (size_t)longest * sizeof(struct resample_tap);
}

/* Elements of the largest result that is not the last. */
static size_t elements_between(const struct step *steps, int count)
{
    int64_t largest = 0;
    for (int i = 0; i < count - 1; i++) {
        const struct resample_shape *shape = &steps[i].shape;
        int64_t elements = shape->outer * shape->out * shape->inner;
        largest = elements > largest ? elements : largest;
    }
    return (size_t)largest;
}

static size_t scratch_bytes(const struct graph *graph, const struct node *node, int64_t samples)
{
    struct step steps[SHAPE_RANK_MAX];
    int count = find_steps(graph, node, samples, steps);
    return tap_bytes(steps, count) + 2 * elements_between(steps, count) * sizeof(float);
}

static struct scratch scratch_of(const struct op_call *call, const struct step *steps, int count)
{
    float *between = (float *)(void *)((char *)call->scratch + tap_bytes(steps, count));
    return (struct scratch){
        .taps = call->scratch,
        .between = {between, between + elements_between(steps, count)},
    };
}

static void fill_taps(const struct op_call *call, const struct step *step,
                      struct resample_tap *taps)
{
    for (int64_t i = 0; i < step->shape.out; i++)
        taps[i] = tap_at(call->node->detail, step, i);
}

static bool forward(const struct op_call *call, struct error *err)
{
    struct step steps[SHAPE_RANK_MAX];
    int count = find_steps(call->graph, call->node, call->samples, steps);
    struct scratch scratch = scratch_of(call, steps, count);
    if (count == 0)
        return view_forward(call, err);
    const float *from = call->in[0];
    for (int i = 0; i < count; i++) {
        float *to = i == count - 1 ? call->out[0] : scratch.between[i % 2];
        fill_taps(call, &steps[i], scratch.taps);
        resample_f32(&steps[i].shape, scratch.taps, from, to);
        from = to;
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    struct step steps[SHAPE_RANK_MAX];
    int count = find_steps(call->graph, call->node, call->samples, steps);
    struct scratch scratch = scratch_of(call, steps, count);
    if (count == 0)
        return view_backward(call, err);
    const float *grad_to = call->grad_out[0];
    for (int i = count - 1; call->grad_in[0] != NULL && i >= 0; i--) {
        const struct resample_shape *shape = &steps[i].shape;
        float *grad_from = i == 0 ? call->grad_in[0] : scratch.between[i % 2];
        if (i > 0)
            memset(grad_from, 0,
                   (size_t)(shape->outer * shape->in * shape->inner) * sizeof(*grad_from));
        fill_taps(call, &steps[i], scratch.taps);
        resample_f32_grad_x(shape, scratch.taps, grad_to, grad_from);
        grad_to = grad_from;
    }
    return true;
}

#define LIMITS                                                                                     \
    "modes nearest and linear, without antialias; samples and channels keep their extent; scales " \
    "or sizes must be constants"

static const struct op op_resize_linear = {
    .name = "Resize",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
    .homogeneous = true,
    .limits = LIMITS,
};

/* To the nearest element; the row of the table, from which `infer` goes to the other. */
const struct op op_resize = {
    .name = "Resize",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
    .keeps_grid = true,
    .homogeneous = true,
    .limits = LIMITS,
};
