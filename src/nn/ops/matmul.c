/* MatMul as numpy's: matrices in the last two axes, the axes before them broadcast; an operand of
 * one axis is a row on the left and a column on the right.
 *
 *   a [batch…][M][K]   b [batch…][K][N]   y [batch…][M][N]
 *
 * A matrix on the right makes all rows on the left one product. */

#include "ptqd/base/mem.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>

/* An operand brought to the same number of batch axes as the other. */
struct operand {
    int64_t batch[SHAPE_RANK_MAX]; /* extents */
    int64_t rows, columns;
};

struct matmul_detail {
    int batch_rank;
    struct operand a, b; /* for one sample */
    int64_t M, N, K;
    bool left_row, right_column; /* an operand of one axis */
};

static struct operand operand_of(const struct shape *shape, int batch_rank, bool row)
{
    struct operand operand;
    int own = shape->rank > 2 ? shape->rank - 2 : 0;
    for (int i = 0; i < batch_rank; i++)
        operand.batch[i] = i < batch_rank - own ? 1 : shape->dim[i - (batch_rank - own)];
    if (shape->rank == 1) {
        operand.rows = row ? 1 : shape->dim[0];
        operand.columns = row ? shape->dim[0] : 1;
    } else {
        operand.rows = shape->dim[shape->rank - 2];
        operand.columns = shape->dim[shape->rank - 1];
    }
    return operand;
}

static bool fail_shapes(const struct shape *a, const struct shape *b, struct error *err)
{
    char left[128], right[128];
    shape_print(a, left, sizeof(left));
    shape_print(b, right, sizeof(right));
    return FAIL(err, E_INVALID, "the product of %s and %s is not defined", left, right);
}

static bool infer_shape(const struct matmul_detail *detail, struct shape *out)
{
    struct shape shape = {.rank = 0};
    for (int i = 0; i < detail->batch_rank; i++) {
        int64_t a = detail->a.batch[i], b = detail->b.batch[i];
        if (a != b && a != 1 && b != 1)
            return false;
        shape.dim[shape.rank++] = a > b ? a : b;
    }
    if (!detail->left_row)
        shape.dim[shape.rank++] = detail->M;
    if (!detail->right_column)
        shape.dim[shape.rank++] = detail->N;
    *out = shape;
    return true;
}

/* Samples are the leading axis of the result only where they are the leading axis of its batch, or
 * of the rows of a matrix on the left. */
static bool mixes_samples(const struct tensor *a, const struct tensor *b)
{
    int rank = a->shape.rank > b->shape.rank ? a->shape.rank : b->shape.rank;
    if (a->batched && (a->shape.rank < 2 || a->shape.rank < rank))
        return true;
    return b->batched && (b->shape.rank < 3 || b->shape.rank < rank);
}

static bool matmul_infer(struct graph *graph, struct node *node, struct error *err)
{
    const struct tensor *a, *b;
    if (!infer_counts(node, 2, 2, err) || !infer_input(graph, node, 0, &a, err) ||
        !infer_input(graph, node, 1, &b, err))
        return false;
    if (a->shape.rank < 1 || b->shape.rank < 1)
        return fail_shapes(&a->shape, &b->shape, err);
    struct matmul_detail *detail = ARENA_NEW(graph->arena, struct matmul_detail, err);
    if (detail == NULL)
        return false;
    int rank = a->shape.rank > b->shape.rank ? a->shape.rank : b->shape.rank;
    detail->batch_rank = rank > 2 ? rank - 2 : 0;
    detail->left_row = a->shape.rank == 1;
    detail->right_column = b->shape.rank == 1;
    detail->a = operand_of(&a->shape, detail->batch_rank, true);
    detail->b = operand_of(&b->shape, detail->batch_rank, false);
    detail->M = detail->a.rows;
    detail->K = detail->a.columns;
    detail->N = detail->b.columns;
    struct shape shape;
    if (detail->K != detail->b.rows || !infer_shape(detail, &shape))
        return fail_shapes(&a->shape, &b->shape, err);
    if (mixes_samples(a, b))
        graph->batchable = false;
    node->detail = detail;
    int64_t macs;
    if (!infer_output(graph, node, 0, &shape, err))
        return false;
    if (!mem_mul_i64(shape_elements(&shape), detail->K, &macs))
        return FAIL(err, E_INVALID, "more than 2^63 multiply-accumulates");
    return true;
}

static int64_t matmul_macs(const struct graph *graph, const struct node *node)
{
    const struct matmul_detail *detail = node->detail;
    return shape_elements(&graph->tensors[node->outputs[0]].shape) * detail->K;
}

/* One product of two matrices within a batched one. */
struct product {
    const struct op_call *call;
    struct gemm_shape shape;
    int64_t a, b, y; /* first elements */
};

typedef void (*product_function)(const struct product *product);

/* The call's extents: the samples are on the leading batch axis, or on the rows of a matrix. */
static struct matmul_detail call_detail(const struct op_call *call)
{
    struct matmul_detail detail = *(const struct matmul_detail *)call->node->detail;
    const struct tensor *a = &call->graph->tensors[call->node->inputs[0]];
    const struct tensor *b = &call->graph->tensors[call->node->inputs[1]];
    if (a->batched && a->shape.rank > 2)
        detail.a.batch[0] *= call->samples;
    else if (a->batched)
        detail.M *= call->samples; /* a single sample where it is not a matrix */
    if (b->batched && b->shape.rank > 2)
        detail.b.batch[0] *= call->samples;
    return detail;
}

/* A matrix on the right is the same for all batches: its rows on the left follow each other. */
static void flatten_rows(struct matmul_detail *detail)
{
    for (int i = 0; i < detail->batch_rank; i++)
        if (detail->b.batch[i] != 1)
            return;
    for (int i = 0; i < detail->batch_rank; i++)
        detail->M *= detail->a.batch[i];
    detail->batch_rank = 0;
}

static void each_product(const struct op_call *call, product_function function)
{
    struct matmul_detail detail = call_detail(call);
    flatten_rows(&detail);
    struct product product = {.call = call, .shape = {.M = detail.M, .N = detail.N, .K = detail.K}};
    int64_t index[SHAPE_RANK_MAX] = {0};
    for (bool more = true; more;) {
        int64_t a = 0, b = 0;
        for (int i = 0; i < detail.batch_rank; i++) {
            a = a * detail.a.batch[i] + (detail.a.batch[i] > 1 ? index[i] : 0);
            b = b * detail.b.batch[i] + (detail.b.batch[i] > 1 ? index[i] : 0);
        }
        product.a = a * detail.M * detail.K;
        product.b = b * detail.K * detail.N;
        function(&product);
        product.y += detail.M * detail.N;
        more = false;
        for (int i = detail.batch_rank - 1; i >= 0 && !more; i--) {
            int64_t extent =
                detail.a.batch[i] > detail.b.batch[i] ? detail.a.batch[i] : detail.b.batch[i];
            more = ++index[i] < extent;
            if (!more)
                index[i] = 0;
        }
    }
}

static void multiply(const struct product *product)
{
    const struct op_call *call = product->call;
    gemm_f32(&product->shape, 1.0f, call->in[0] + product->a, call->in[1] + product->b, 0.0f,
             call->out[0] + product->y);
}

static void multiply_grad(const struct product *product)
{
    const struct op_call *call = product->call;
    const struct gemm_shape *at = &product->shape;
    const float *grad_y = call->grad_out[0] + product->y;
    struct gemm_shape a = {.M = at->M, .N = at->K, .K = at->N, .transpose_b = true};
    struct gemm_shape b = {.M = at->K, .N = at->N, .K = at->M, .transpose_a = true};
    if (call->grad_in[0] != NULL)
        gemm_f32(&a, 1.0f, grad_y, call->in[1] + product->b, 1.0f, call->grad_in[0] + product->a);
    if (call->grad_in[1] != NULL)
        gemm_f32(&b, 1.0f, call->in[0] + product->a, grad_y, 1.0f, call->grad_in[1] + product->b);
}

static bool matmul_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_product(call, multiply);
    return true;
}

static bool matmul_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    each_product(call, multiply_grad);
    return true;
}

const struct op op_matmul = {
    .name = "MatMul",
    .layout = LAYOUT_PLAIN,
    .mac = true,
    .infer = matmul_infer,
    .macs = matmul_macs,
    .forward = matmul_forward,
    .backward = matmul_backward,
};
