/* Products of small matrices (winograd_product.h): a block of sums stays in registers over all
 * terms. Called 36 times for a part of the tiles, which is why it isn't dnnl_sgemm: that copies its
 * operands first. */

#include "winograd_product.h"

#include "sizes.h"
#include "winograd_lanes.h"

enum { ROWS = 12, VECTORS = 2 }; /* of a block: 24 sums, 2 vectors and a factor in 32 registers */

/* Rows i … of a block; their number and that of the vectors are constant where this is inlined. */
CPU_AVX512 LANES_INLINE void multiply_block(const struct winograd_product *at, int64_t i, int64_t j,
                                            int rows, int vectors)
{
    lanes sum[ROWS][VECTORS];
    float *out = at->out + i * at->out_row + j;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = at->added ? lanes_load(out + r * at->out_row + v * LANES) : lanes_spread(0);
    const float *left = at->left + i * at->left_row, *right = at->right + j;
    for (int64_t n = 0; n < at->terms; n++, left += at->left_step, right += at->right_step) {
        lanes vector[VECTORS];
        for (int v = 0; v < vectors; v++)
            vector[v] = lanes_load(right + v * LANES);
        for (int r = 0; r < rows; r++) {
            lanes factor = lanes_spread(left[r * at->left_row]);
            for (int v = 0; v < vectors; v++)
                sum[r][v] = lanes_add_product(sum[r][v], vector[v], factor);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            lanes_store(sum[r][v], out + r * at->out_row + v * LANES);
}

#define BLOCK(rows)                                                                                \
    case rows:                                                                                     \
        multiply_block(at, i, j, rows, vectors);                                                   \
        break

CPU_AVX512 LANES_INLINE void multiply_rows(const struct winograd_product *at, int64_t i, int64_t j,
                                           int vectors)
{
    switch (least(at->rows - i, ROWS)) {
        BLOCK(12);
        BLOCK(11);
        BLOCK(10);
        BLOCK(9);
        BLOCK(8);
        BLOCK(7);
        BLOCK(6);
        BLOCK(5);
        BLOCK(4);
        BLOCK(3);
        BLOCK(2);
        BLOCK(1);
    }
}

CPU_AVX512 void winograd_multiply(const struct winograd_product *at)
{
    enum { WIDE = VECTORS * LANES };
    int64_t j = 0;
    for (; j + WIDE <= at->columns; j += WIDE)
        for (int64_t i = 0; i < at->rows; i += ROWS)
            multiply_rows(at, i, j, VECTORS);
    for (; j < at->columns; j += LANES)
        for (int64_t i = 0; i < at->rows; i += ROWS)
            multiply_rows(at, i, j, 1);
}
