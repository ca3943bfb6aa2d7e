/* Transpose: out.dim[i] = in.dim[perm[i]]; without `perm` the axes are reversed.
 *
 * Opset 1 and 13 differ in types only. A permutation that leaves the order of all axes with more
 * than one element as it is moves nothing: the node is then a view. */

#include "ptqd/nn/elementwise.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/passes.h"

#include <inttypes.h>

extern const struct op op_transpose;

struct transpose {
    int perm[SHAPE_RANK_MAX];
};

static bool read_perm(const struct node *node, int rank, int perm[static SHAPE_RANK_MAX],
                      struct error *err)
{
    struct integer_list list;
    if (!attribute_ints(node, "perm", &list, err))
        return false;
    if (list.values == NULL) {
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return true;
    }
    if (list.count != (size_t)rank)
        return FAIL(err, E_INVALID, "perm has %zu axes, the input %d", list.count, rank);
    bool seen[SHAPE_RANK_MAX] = {false};
    for (int i = 0; i < rank; i++) {
        int64_t axis = list.values[i];
        if (axis < 0 || axis >= rank || seen[axis])
            return FAIL(err, E_INVALID, "perm[%d] is %" PRId64 "; it must have 0 to %d once each",
                        i, axis, rank - 1);
        seen[axis] = true;
        perm[i] = (int)axis;
    }
    return true;
}

/* Axis 0 of a batched tensor has more than one element as soon as there are several samples. */
static bool moves_nothing(const struct tensor *input, const int *perm)
{
    int last = -1;
    for (int i = 0; i < input->shape.rank; i++) {
        bool unit = input->shape.dim[perm[i]] == 1 && !(perm[i] == 0 && input->batched);
        if (unit)
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static bool forward(const struct op_call *call, struct error *err);
static bool backward(const struct op_call *call, struct error *err);
static size_t scratch_bytes(const struct graph *graph, const struct node *node, int64_t samples);
static bool infer(struct graph *graph, struct node *node, struct error *err);

static const struct op op_transpose_view = {
    .name = "Transpose",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .forward = view_forward,
    .backward = view_backward,
    .in_place = true,
    .view = true,
    .keeps_grid = true,
};

const struct op op_transpose = {
    .name = "Transpose",
    .layout = LAYOUT_PLAIN,
    .infer = infer,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
    .keeps_grid = true,
};

static bool infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *input;
    struct transpose detail;
    if (!infer_counts(node, 1, 1, err) || !infer_input(graph, node, 0, &input, err) ||
        !read_perm(node, input->shape.rank, detail.perm, err) ||
        !elementwise_keep(graph, node, &detail, sizeof(detail), err))
        return false;
    if (input->batched && input->shape.rank > 0 && detail.perm[0] != 0)
        graph->batchable = false;
    node->op = moves_nothing(input, detail.perm) ? &op_transpose_view : &op_transpose;
    struct shape shape = shape_permuted(&input->shape, detail.perm);
    return infer_output(graph, node, 0, &shape, err);
}

const int *transpose_perm(const struct node *node)
{
    if ((node->op != &op_transpose && node->op != &op_transpose_view) || node->detail == NULL)
        return NULL;
    const struct transpose *detail = node->detail;
    return detail->perm;
}

static struct shape executed_shape(const struct tensor *tensor, int64_t samples)
{
    struct shape shape = tensor->shape;
    if (tensor->batched && shape.rank > 0)
        shape.dim[0] *= samples;
    return shape;
}

static bool forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    struct shape shape =
        executed_shape(&call->graph->tensors[call->node->inputs[0]], call->samples);
    permute_f32(call->in[0], &shape, transpose_perm(call->node), call->out[0]);
    return true;
}

/* The gradient of y in the order of x. */
static size_t scratch_bytes(const struct graph *graph, const struct node *node, int64_t samples)
{
    return (size_t)tensor_elements(&graph->tensors[node->inputs[0]], samples) * sizeof(float);
}

static bool backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    float *grad_x = call->grad_in[0];
    float *moved = call->scratch;
    if (grad_x == NULL)
        return true;

    const int *perm = transpose_perm(call->node);
    struct shape shape =
        executed_shape(&call->graph->tensors[call->node->inputs[0]], call->samples);
    struct shape out_shape = shape_permuted(&shape, perm);
    int inverse[SHAPE_RANK_MAX];
    for (int i = 0; i < shape.rank; i++)
        inverse[perm[i]] = i;
    permute_f32(call->grad_out[0], &out_shape, inverse, moved);
    int64_t count = elementwise_count(call);
    for (int64_t i = 0; i < count; i++)
        grad_x[i] += moved[i];
    return true;
}
