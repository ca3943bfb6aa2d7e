/* Gemm: y = alpha · op(a) · op(b) + beta · c, with c broadcast to y.
 *
 *   op(a) [M][K]   op(b) [K][N]   c [M or 1][N or 1], or fewer axes   y [M][N]
 *
 * M grows with the number of samples. b and c are constants. */

#include "ptqd/kern/gemm.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/infer.h"
#include "ptqd/nn/op.h"

#include <inttypes.h>

struct gemm_detail {
    int64_t M, N, K; /* M of one sample */
    bool transpose_a, transpose_b;
    float alpha, beta;
    int64_t c_rows, c_columns; /* 1, or M and N; 0: no c */
};

static bool infer_matrix(const struct graph *graph, const struct node *node, int input,
                         bool transpose, int64_t *out_rows, int64_t *out_columns, struct error *err)
{
    const struct tensor *tensor;
    if (!infer_input(graph, node, input, &tensor, err))
        return false;
    if (tensor->shape.rank != 2)
        return FAIL(err, E_INVALID, "input %d '%s' has %d axes; a matrix has 2", input,
                    tensor->name, tensor->shape.rank);
    *out_rows = tensor->shape.dim[transpose ? 1 : 0];
    *out_columns = tensor->shape.dim[transpose ? 0 : 1];
    return true;
}

static bool check_constant(const struct graph *graph, const struct node *node, int input,
                           struct error *err)
{
    const struct tensor *tensor = &graph->tensors[node->inputs[input]];
    if (tensor->values == NULL)
        return FAIL(err, E_UNSUPPORTED, "input %d '%s' is computed; it must be a constant", input,
                    tensor->name);
    return true;
}

static bool infer_addend(const struct graph *graph, const struct node *node,
                         struct gemm_detail *detail, struct error *err)
{
    const struct tensor *tensor;
    if (!infer_has_input(node, 2))
        return true;
    if (!infer_input(graph, node, 2, &tensor, err) || !check_constant(graph, node, 2, err))
        return false;
    const struct shape *shape = &tensor->shape;
    detail->c_rows = shape->rank == 2 ? shape->dim[0] : 1;
    detail->c_columns = shape->rank > 0 ? shape->dim[shape->rank - 1] : 1;
    bool fits = shape->rank <= 2 && (detail->c_rows == 1 || detail->c_rows == detail->M) &&
                (detail->c_columns == 1 || detail->c_columns == detail->N);
    if (!fits) {
        char text[128];
        shape_print(shape, text, sizeof(text));
        return FAIL(err, E_INVALID,
                    "input 2 '%s' is %s; it can't be broadcast to %" PRId64 "x%" PRId64,
                    tensor->name, text, detail->M, detail->N);
    }
    return true;
}

static bool infer_attributes(const struct node *node, struct gemm_detail *detail, struct error *err)
{
    int64_t transpose_a, transpose_b;
    if (!attribute_int(node, "transA", 0, &transpose_a, err) ||
        !attribute_int(node, "transB", 0, &transpose_b, err) ||
        !attribute_real(node, "alpha", 1, &detail->alpha, err) ||
        !attribute_real(node, "beta", 1, &detail->beta, err))
        return false;
    detail->transpose_a = transpose_a != 0;
    detail->transpose_b = transpose_b != 0;
    return true;
}

static bool gemm_infer(struct graph *graph, struct node *node, struct error *err)
{
    struct gemm_detail *detail = ARENA_NEW(graph->arena, struct gemm_detail, err);
    int64_t inner;
    if (detail == NULL || !infer_counts(node, 2, 3, err) || !infer_attributes(node, detail, err) ||
        !infer_matrix(graph, node, 0, detail->transpose_a, &detail->M, &detail->K, err) ||
        !infer_matrix(graph, node, 1, detail->transpose_b, &inner, &detail->N, err) ||
        !check_constant(graph, node, 1, err))
        return false;
    if (inner != detail->K)
        return FAIL(err, E_INVALID,
                    "the product of %" PRId64 "x%" PRId64 " and %" PRId64 "x%" PRId64
                    " is not defined",
                    detail->M, detail->K, inner, detail->N);
    if (!infer_addend(graph, node, detail, err))
        return false;
    if (detail->transpose_a && graph->tensors[node->inputs[0]].batched)
        graph->batchable = false; /* samples would be summed over */
    node->detail = detail;
    struct shape shape = {.rank = 2, .dim = {detail->M, detail->N}};
    int64_t macs;
    if (!infer_output(graph, node, 0, &shape, err))
        return false;
    if (!mem_mul_i64(detail->M * detail->N, detail->K, &macs))
        return FAIL(err, E_INVALID, "more than 2^63 multiply-accumulates");
    return true;
}

static int64_t gemm_macs(const struct graph *graph, const struct node *node)
{
    (void)graph;
    const struct gemm_detail *detail = node->detail;
    return detail->M * detail->N * detail->K;
}

static int64_t row_count(const struct op_call *call)
{
    const struct gemm_detail *detail = call->node->detail;
    bool batched = call->graph->tensors[call->node->inputs[0]].batched;
    return batched ? detail->M * call->samples : detail->M;
}

/* y = beta · c */
static void set_addend(const struct gemm_detail *detail, int64_t M, const float *c, float *y)
{
    for (int64_t m = 0; m < M; m++) {
        const float *row = c + (detail->c_rows > 1 ? m * detail->c_columns : 0);
        for (int64_t n = 0; n < detail->N; n++)
            y[m * detail->N + n] = detail->beta * row[detail->c_columns > 1 ? n : 0];
    }
}

static bool gemm_forward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct gemm_detail *detail = call->node->detail;
    struct gemm_shape shape = {
        .M = row_count(call),
        .N = detail->N,
        .K = detail->K,
        .transpose_a = detail->transpose_a,
        .transpose_b = detail->transpose_b,
    };
    bool addend = detail->c_columns > 0;
    if (addend)
        set_addend(detail, shape.M, call->in[2], call->out[0]);
    gemm_f32(&shape, detail->alpha, call->in[0], call->in[1], addend ? 1.0f : 0.0f, call->out[0]);
    return true;
}

/* grad_a += alpha · grad_y · op(b)ᵀ, or its transpose where a is stored transposed */
static void add_grad_a(const struct gemm_detail *detail, int64_t M, const float *b,
                       const float *grad_y, float *grad_a)
{
    if (detail->transpose_a) {
        struct gemm_shape shape = {
            .M = detail->K,
            .N = M,
            .K = detail->N,
            .transpose_a = detail->transpose_b,
            .transpose_b = true,
        };
        gemm_f32(&shape, detail->alpha, b, grad_y, 1.0f, grad_a);
        return;
    }
    struct gemm_shape shape = {
        .M = M, .N = detail->K, .K = detail->N, .transpose_b = !detail->transpose_b};
    gemm_f32(&shape, detail->alpha, grad_y, b, 1.0f, grad_a);
}

/* grad_b += alpha · op(a)ᵀ · grad_y, or its transpose where b is stored transposed */
static void add_grad_b(const struct gemm_detail *detail, int64_t M, const float *a,
                       const float *grad_y, float *grad_b)
{
    if (detail->transpose_b) {
        struct gemm_shape shape = {
            .M = detail->N,
            .N = detail->K,
            .K = M,
            .transpose_a = true,
            .transpose_b = detail->transpose_a,
        };
        gemm_f32(&shape, detail->alpha, grad_y, a, 1.0f, grad_b);
        return;
    }
    struct gemm_shape shape = {
        .M = detail->K, .N = detail->N, .K = M, .transpose_a = !detail->transpose_a};
    gemm_f32(&shape, detail->alpha, a, grad_y, 1.0f, grad_b);
}

/* grad_c += beta · grad_y, summed in float64 over what c was broadcast to */
static void add_grad_c(const struct gemm_detail *detail, int64_t M, const float *grad_y,
                       float *grad_c)
{
    int64_t rows = detail->c_rows > 1 ? M : 1, columns = detail->c_columns, N = detail->N;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            double sum = 0;
            for (int64_t m = row; m < M; m += rows)
                for (int64_t n = column; n < N; n += columns)
                    sum += (double)grad_y[m * N + n];
            grad_c[row * columns + column] += (float)((double)detail->beta * sum);
        }
    }
}

static bool gemm_backward(const struct op_call *call, struct error *err)
{
    (void)err; /* can't fail */
    const struct gemm_detail *detail = call->node->detail;
    const float *grad_y = call->grad_out[0];
    int64_t M = row_count(call);
    if (call->grad_in[0] != NULL)
        add_grad_a(detail, M, call->in[1], grad_y, call->grad_in[0]);
    if (call->grad_in[1] != NULL)
        add_grad_b(detail, M, call->in[0], grad_y, call->grad_in[1]);
    if (detail->c_columns > 0 && call->grad_in[2] != NULL)
        add_grad_c(detail, M, grad_y, call->grad_in[2]);
    return true;
}

const struct op op_gemm = {
    .name = "Gemm",
    .layout = LAYOUT_PLAIN,
    .mac = true,
    .infer = gemm_infer,
    .macs = gemm_macs,
    .forward = gemm_forward,
    .backward = gemm_backward,
    .limits = "inputs B and C must be constants",
};
