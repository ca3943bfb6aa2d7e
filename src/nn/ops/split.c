/* Split: consecutive parts along an axis, one per output. Each part's gradient is that part of dx.
 *
 * The lengths are an attribute before opset 13 and an input since; without them the parts are
 * equal. Since opset 18, where the node has `num_outputs`, the last part may be shorter. */

#include "blocks.h"
#include "ptqd/nn/infer.h"

#include <inttypes.h>
#include <string.h>

enum { LENGTHS = 1 };

struct split {
    int axis;
};

static bool check_lengths(const struct node *node, const struct integer_list *lengths,
                          int64_t extent, struct error *err)
{
    int64_t left = extent;
    if (lengths->count != (size_t)node->output_count)
        return FAIL(err, E_INVALID, "%zu lengths in split for %d outputs", lengths->count,
                    node->output_count);
    for (size_t i = 0; i < lengths->count; i++) {
        if (lengths->values[i] < 1 || lengths->values[i] > left)
            return FAIL(err, E_INVALID,
                        "split[%zu] is %" PRId64 "; 1 to the %" PRId64
                        " that are left of an extent of %" PRId64 " are possible",
                        i, lengths->values[i], left, extent);
        left -= lengths->values[i];
    }
    if (left > 0)
        return FAIL(err, E_INVALID,
                    "the lengths in split leave %" PRId64 " of an extent of %" PRId64, left,
                    extent);
    return true;
}

/* The length of all parts but, where the axis has fewer left, the last. */
static bool equal_length(const struct node *node, int64_t extent, int64_t *out_length,
                         struct error *err)
{
    int64_t count;
    bool uneven = node_attribute(node, "num_outputs") != NULL;
    if (!attribute_int(node, "num_outputs", node->output_count, &count, err))
        return false;
    if (count != node->output_count)
        return FAIL(err, E_INVALID, "num_outputs is %" PRId64 "; the node has %d", count,
                    node->output_count);
    int64_t length = (extent + count - 1) / count;
    if (length * (count - 1) >= extent || (!uneven && extent % count != 0))
        return FAIL(err, E_INVALID, "an extent of %" PRId64 " can't be split into %" PRId64 " %s",
                    extent, count, uneven ? "parts" : "equal parts");
    *out_length = length;
    return true;
}

/* Every output belongs to the node's meaning, whether it is read or not. */
static bool check_outputs(const struct node *node, struct error *err)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] == NODE_ABSENT)
            return FAIL(err, E_INVALID, "output %d is not given; it is not optional", i);
    return true;
}

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct integer_list lengths;
    struct split detail;
    int64_t given, equal = 0;
    if (!infer_input_counts(node, 1, 2, err) || !check_outputs(node, err) ||
        !infer_input(graph, node, 0, &input, err) || !attribute_int(node, "axis", 0, &given, err) ||
        !infer_axis(given, input->shape.rank, &detail.axis, err) ||
        !infer_ints(graph, node, "split", LENGTHS, &lengths, err))
        return false;

    struct shape shape = input->shape;
    int64_t left = shape.dim[detail.axis];
    if (lengths.values != NULL ? !check_lengths(node, &lengths, left, err)
                               : !equal_length(node, left, &equal, err))
        return false;
    if (detail.axis == 0 && input->batched)
        graph->batchable = false; /* the axis of the samples */
    for (int i = 0; i < node->output_count; i++) {
        int64_t length = lengths.values != NULL ? lengths.values[i] : equal;
        shape.dim[detail.axis] = length < left ? length : left;
        left -= shape.dim[detail.axis];
        if (!infer_output(graph, node, i, &shape, err))
            return false;
    }
    node->detail = arena_memdup(graph->arena, &detail, sizeof(detail), err);
    return node->detail != NULL;
}

static bool relayout(struct graph *graph, struct node *node, struct error *err)
{
    const struct split *detail = node->detail;
    int rank = graph->tensors[node->inputs[0]].shape.rank;
    return relayout_attribute_int(graph, node, "axis", layout_axis(detail->axis, rank), err);
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct split *detail = call->node->detail;
    struct blocks in = blocks_of(call, call->node->inputs[0], detail->axis);
    int64_t start = 0;
    for (int i = 0; i < call->node->output_count; i++) {
        struct blocks out = blocks_of(call, call->node->outputs[i], detail->axis);
        for (int64_t block = 0; block < in.count; block++)
            memcpy(call->out[i] + block * out.size, call->in[0] + block * in.size + start,
                   (size_t)out.size * sizeof(*call->out[i]));
        start += out.size;
    }
    return true;
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct split *detail = call->node->detail;
    struct blocks in = blocks_of(call, call->node->inputs[0], detail->axis);
    int64_t start = 0;
    for (int i = 0; call->grad_in[0] != NULL && i < call->node->output_count; i++) {
        struct blocks out = blocks_of(call, call->node->outputs[i], detail->axis);
        for (int64_t block = 0; block < in.count; block++) {
            const float *grad_y = call->grad_out[i] + block * out.size;
            float *grad_x = call->grad_in[0] + block * in.size + start;
            for (int64_t j = 0; j < out.size; j++)
                grad_x[j] += grad_y[j];
        }
        start += out.size;
    }
    return true;
}

const struct op op_split = {
    .name = "Split",
    .layout = LAYOUT_FOLLOW,
    .infer = infer,
    .relayout = relayout,
    .forward = forward,
    .backward = backward,
    .keeps_grid = true,
    .needs_outputs = true,
    .limits = "the lengths must be constants",
};
