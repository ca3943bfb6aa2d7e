#pragma once

/* Products of row-major float32 matrices: c = alpha · op(a) · op(b) + beta · c.
 *
 *   op(a) [M][K]   op(b) [K][N]   c [M][N]
 */

#include <stdbool.h>
#include <stdint.h>

struct gemm_shape {
    int64_t M, N, K;
    bool transpose_a;      /* a is stored [K][M] */
    bool transpose_b;      /* b is stored [N][K] */
    int64_t lda, ldb, ldc; /* elements from one stored row to the next; 0: dense */
};

/* With beta = 0 the old content of c does not matter, not even NaN. Through oneDNN on one thread:
 * same arguments, same machine, same bits. */
void gemm_f32(const struct gemm_shape *shape, float alpha, const float *a, const float *b,
              float beta, float *c);

/* The reference: plain loops, sums in float64. */
void gemm_f32_reference(const struct gemm_shape *shape, float alpha, const float *a, const float *b,
                        float beta, float *c);
