/* Products of matrices: dnnl_sgemm, and the reference (gemm.h has the shapes). */

#include "ptqd/kern/gemm.h"

#include "onednn.h"

static int64_t stride_or(int64_t stride, int64_t dense)
{
    return stride != 0 ? stride : dense;
}

static int64_t stride_a(const struct gemm_shape *shape)
{
    return stride_or(shape->lda, shape->transpose_a ? shape->M : shape->K);
}

static int64_t stride_b(const struct gemm_shape *shape)
{
    return stride_or(shape->ldb, shape->transpose_b ? shape->K : shape->N);
}

static int64_t stride_c(const struct gemm_shape *shape)
{
    return stride_or(shape->ldc, shape->N);
}

void gemm_f32_reference(const struct gemm_shape *shape, float alpha, const float *a, const float *b,
                        float beta, float *c)
{
    int64_t lda = stride_a(shape), ldb = stride_b(shape), ldc = stride_c(shape);
    for (int64_t m = 0; m < shape->M; m++) {
        for (int64_t n = 0; n < shape->N; n++) {
            double sum = 0;
            for (int64_t k = 0; k < shape->K; k++) {
                float left = shape->transpose_a ? a[k * lda + m] : a[m * lda + k];
                float right = shape->transpose_b ? b[n * ldb + k] : b[k * ldb + n];
                sum += (double)left * (double)right;
            }
            float *out = &c[m * ldc + n];
            double old = beta != 0 ? (double)beta * (double)*out : 0;
            *out = (float)((double)alpha * sum + old);
        }
    }
}

void gemm_f32(const struct gemm_shape *shape, float alpha, const float *a, const float *b,
              float beta, float *c)
{
    onednn_single_thread();
    dnnl_status_t status =
        dnnl_sgemm(shape->transpose_a ? 'T' : 'N', shape->transpose_b ? 'T' : 'N', shape->M,
                   shape->N, shape->K, alpha, a, stride_a(shape), b, stride_b(shape), beta, c,
                   stride_c(shape));
    /* It gives up before it writes anything: without memory for its copies, or without columns. */
    if (status != dnnl_success)
        gemm_f32_reference(shape, alpha, a, b, beta, c);
}
