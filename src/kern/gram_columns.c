/* Moments by packed columns (gram_ways.h).
 *
 * Columns are laid out by im2col a tile of positions at a time, small enough to stay in the cache;
 * products of the tiles of one block add up in float32, blocks in float64. x̂ x̂ᵀ is symmetric: its
 * product is made in bands of rows, each as wide as the diagonal reaches. Per position that is D²/2
 * multiply-adds for H, D² for C. */

#include "gram_sizes.h"
#include "gram_ways.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/kern/im2col.h"

enum {
    TILE_FLOATS = 1 << 17, /* columns of a tile: 512 KiB, half of a common second-level cache */
    TILE_LEAST = 128,      /* positions, so that a product is worth its packing */
    BAND = 32,             /* rows of a symmetric product made at once */
    SQUARE = 32,           /* of a matrix that is mirrored: both sides fit the first-level cache */
};

static int64_t tile_positions(int64_t D)
{
    int64_t positions = TILE_FLOATS / D;
    return positions < TILE_LEAST ? TILE_LEAST : least(positions, GRAM_BLOCK);
}

/* The caller's scratch, cut up. */
struct workspace {
    float *columns, *columns_quantized; /* [tile][D] */
    float *inner, *cross;               /* [D][D] of the current block */
};

static size_t workspace_floats(const struct conv_shape *shape)
{
    size_t D = (size_t)conv_column_elements(shape);
    size_t columns = (size_t)tile_positions((int64_t)D) * D;
    return 2 * columns + 2 * D * D;
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    size_t D = (size_t)conv_column_elements(shape);
    size_t columns = (workspace_floats(shape) - 2 * D * D) / 2;
    float *floats = scratch;
    return (struct workspace){
        .columns = floats,
        .columns_quantized = floats + columns,
        .inner = floats + 2 * columns,
        .cross = floats + 2 * columns + D * D,
    };
}

size_t gram_columns_scratch_bytes(const struct conv_shape *shape)
{
    return workspace_floats(shape) * sizeof(float);
}

/* `count` columns from position `first`. */
struct tile {
    int64_t first, count;
};

/* Elements are taken a cache line at a time, so that the sums fit in registers. */
enum { CHUNK = 16 };

static inline void add_chunk(const float *columns, int64_t count, int64_t D, int64_t width,
                             double *sum)
{
    double chunk[CHUNK] = {0};
    for (int64_t p = 0; p < count; p++)
        for (int64_t d = 0; d < width; d++)
            chunk[d] += (double)columns[p * D + d];
    for (int64_t d = 0; d < width; d++)
        sum[d] += chunk[d];
}

/* sum[d] += Σ columns[p][d] */
static void add_sums(const float *columns, int64_t count, int64_t D, double *sum)
{
    int64_t whole = D / CHUNK * CHUNK;
    for (int64_t d = 0; d < whole; d += CHUNK)
        add_chunk(columns + d, count, D, CHUNK, sum + d); /* a constant width makes vectors */
    add_chunk(columns + whole, count, D, D - whole, sum + whole);
}

/* Lower triangle (and what the bands cover beyond it) of out = columnsᵀ columns + beta · out. */
static void symmetric_product(const float *columns, int64_t count, int64_t D, float beta,
                              float *out)
{
    for (int64_t row = 0; row < D; row += BAND) {
        int64_t rows = least(BAND, D - row);
        struct gemm_shape shape = {
            .M = rows,
            .N = row + rows,
            .K = count,
            .transpose_a = true,
            .lda = D,
            .ldb = D,
            .ldc = D,
        };
        gemm_f32(&shape, 1.0f, columns + row, columns, beta, out + row * D);
    }
}

/* Elements (i, j), j ≤ i, of a square of the lower triangle to both places of `sum`. */
static void add_mirrored(const float *lower, int64_t D, int64_t first_i, int64_t first_j,
                         double *sum)
{
    int64_t end_i = least(first_i + SQUARE, D), end_j = least(first_j + SQUARE, D);
    for (int64_t i = first_i; i < end_i; i++)
        for (int64_t j = first_j; j < least(end_j, i + 1); j++)
            sum[i * D + j] += (double)lower[i * D + j];
    for (int64_t j = first_j; j < end_j; j++)
        for (int64_t i = first_i > j ? first_i : j + 1; i < end_i; i++)
            sum[j * D + i] += (double)lower[i * D + j];
}

/* sum += the symmetric matrix whose lower triangle is given. Going by squares keeps the lines of
 * the strided side in the cache. */
static void add_symmetric(const float *lower, int64_t D, double *sum)
{
    for (int64_t i = 0; i < D; i += SQUARE)
        for (int64_t j = 0; j <= i; j += SQUARE)
            add_mirrored(lower, D, i, j, sum);
}

static void add_matrix(const float *matrix, int64_t D, double *sum)
{
    for (int64_t i = 0; i < D * D; i++)
        sum[i] += (double)matrix[i];
}

/* What one call adds up: the inputs, and which group's accumulators. */
struct job {
    const struct conv_shape *shape;
    const float *x, *x_quantized;
    struct workspace workspace;
    int64_t D, g;
    double *inner, *cross, *sum_float, *sum_quantized; /* of group g; as in struct gram */
};

static void add_tile(const struct job *job, const struct tile *tile, float beta)
{
    const struct workspace *at = &job->workspace;
    int64_t D = job->D;
    float *quantized = at->columns_quantized, *plain = at->columns;
    im2col_group_f32(job->shape, job->x_quantized, job->g, tile->first, tile->count, quantized);
    symmetric_product(quantized, tile->count, D, beta, at->inner);
    add_sums(quantized, tile->count, D, job->sum_quantized);
    if (job->cross == NULL)
        return;
    if (job->x == job->x_quantized) {
        add_sums(quantized, tile->count, D, job->sum_float);
        return;
    }
    im2col_group_f32(job->shape, job->x, job->g, tile->first, tile->count, plain);
    struct gemm_shape product = {.M = D, .N = D, .K = tile->count, .transpose_a = true};
    gemm_f32(&product, 1.0f, plain, quantized, beta, at->cross);
    add_sums(plain, tile->count, D, job->sum_float);
}

static void add_block(const struct job *job, int64_t first, int64_t count)
{
    int64_t step = tile_positions(job->D);
    for (int64_t done = 0; done < count; done += step) {
        struct tile tile = {.first = first + done, .count = least(step, count - done)};
        add_tile(job, &tile, done == 0 ? 0.0f : 1.0f);
    }
    add_symmetric(job->workspace.inner, job->D, job->inner);
    if (job->cross == NULL)
        return;
    if (job->x == job->x_quantized)
        add_symmetric(job->workspace.inner, job->D, job->cross);
    else
        add_matrix(job->workspace.cross, job->D, job->cross);
}

void gram_columns_add(struct gram *gram, const struct conv_shape *shape, const float *x,
                      const float *x_quantized, void *scratch)
{
    int64_t D = gram->D, positions = shape->N * shape->OH * shape->OW;
    for (int64_t g = 0; g < gram->G; g++) {
        struct job job = {
            .shape = shape,
            .x = x,
            .x_quantized = x_quantized,
            .workspace = workspace_at(shape, scratch),
            .D = D,
            .g = g,
            .inner = gram->inner + g * D * D,
            .cross = gram->cross != NULL ? gram->cross + g * D * D : NULL,
            .sum_float = gram->cross != NULL ? gram->sum_float + g * D : NULL,
            .sum_quantized = gram->sum_quantized + g * D,
        };
        for (int64_t first = 0; first < positions; first += GRAM_BLOCK)
            add_block(&job, first, least(GRAM_BLOCK, positions - first));
    }
}
