/* Concat: inputs one after the other along an axis. The gradient of each is its part of dy.
 *
 * Opset 1 has a default axis, 1; 4 to 13 have none, negative ones since 11. */

#include "blocks.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <string.h>

struct concat {
    int axis;
};

static bool check_input(const struct tensor *first, const struct tensor *input, int index, int axis,
                        struct error *err)
{
    bool same = first->shape.rank == input->shape.rank;
    for (int i = 0; same && i < first->shape.rank; i++)
        same = i == axis || first->shape.dim[i] == input->shape.dim[i];
    if (same)
        return true;
    char a[96], b[96];
    shape_print(&first->shape, a, sizeof(a));
    shape_print(&input->shape, b, sizeof(b));
    return FAIL(err, E_INVALID, "input 0 '%s' is %s, input %d '%s' is %s; only axis %d may differ",
                first->name, a, index, input->name, b, axis);
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *first, *input;
    int64_t given;
    struct concat detail;
    if (!infer_counts(node, node->input_count > 0 ? node->input_count : 1, INT32_MAX, err) ||
        !infer_input(graph, node, 0, &first, err) || !attribute_int(node, "axis", 1, &given, err) ||
        !infer_axis(given, first->shape.rank, &detail.axis, err))
        return false;

    struct shape shape = first->shape;
    for (int i = 1; i < node->input_count; i++) {
        if (!infer_input(graph, node, i, &input, err) ||
            !check_input(first, input, i, detail.axis, err))
            return false;
        shape.dim[detail.axis] += input->shape.dim[detail.axis];
    }
    node->detail = arena_memdup(graph->arena, &detail, sizeof(detail), err);
    return node->detail != NULL && infer_output(graph, node, 0, &shape, err);
}

static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    const struct concat *detail = node->detail;
    int rank = graph->tensors[node->outputs[0]].shape.rank;
    return relayout_attribute_int(graph, node, "axis", layout_axis(detail->axis, rank), err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct concat *detail = call->node->detail;
    struct blocks out = blocks_of(call, call->node->outputs[0], detail->axis);
    int64_t start = 0;
    for (int i = 0; i < call->node->input_count; i++) {
        struct blocks in = blocks_of(call, call->node->inputs[i], detail->axis);
        for (int64_t block = 0; block < out.count; block++)
            memcpy(call->out[0] + block * out.size + start,
                   call->in[i] + block % in.count * in.size,
                   (size_t)in.size * sizeof(*call->out[0]));
        start += in.size;
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct concat *detail = call->node->detail;
    struct blocks out = blocks_of(call, call->node->outputs[0], detail->axis);
    int64_t start = 0;
    for (int i = 0; i < call->node->input_count; i++) {
        struct blocks in = blocks_of(call, call->node->inputs[i], detail->axis);
        for (int64_t block = 0; call->grad_in[i] != NULL && block < out.count; block++) {
            const float *grad_y = call->grad_out[0] + block * out.size + start;
            float *grad_x = call->grad_in[i] + block % in.count * in.size;
            for (int64_t j = 0; j < in.size; j++)
                grad_x[j] += grad_y[j];
        }
        start += in.size;
    }
    return true;
}

const struct op op_concat = {
    .name = "Concat",
    .layout = LAYOUT_MATCH,
    .infer = infer,
    .relayout = relayout,
    .forward = forward,
    .backward = backward,
};
