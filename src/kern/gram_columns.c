/* Moments by packed columns (gram_ways.h).
 *
 * Columns are laid out a tile of positions at a time, small enough to stay in the cache; products
 * of the tiles of one block add up in float32, blocks in float64. Narrow columns are packed from
 * samples with their padding around them (gram_pack.h) and multiplied by gram_products.h, up to the
 * diagonal; wide ones are laid out by im2col, and multiplied by the library in bands of rows, each
 * as wide as the diagonal reaches. Per position that is D²/2 multiply-adds for H, D² for C. */

#include "gram_pack.h"
#include "gram_sums.h"
#include "gram_ways.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/kern/im2col.h"
#include "sizes.h"

#include <string.h>

enum {
    TILE_FLOATS = 1 << 17, /* columns of a tile: 512 KiB, half of a common second-level cache */
    TILE_LEAST = 128,      /* positions, so that a product is worth its packing */
    NARROW = 256,          /* columns of products made here; of wider ones by the library */
    PART = 256,            /* positions whose sums are in registers */
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
    int64_t tile, matrix;               /* floats of ... */
    int64_t width;                      /* of a matrix */
    struct gram_maps maps;              /* for narrow columns */
    int64_t maps_floats;                /* of them; 0 for wide ones */
    float *map, *map_quantized;         /* of x and x̂ */
    float *columns, *columns_quantized; /* [tile][D], and what is read beyond */
    float *inner, *cross;               /* [D, rounded up][width] of the current block */
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    int64_t D = conv_column_elements(shape), width = round_up(D, GRAM_LANES);
    struct workspace at = {
        .tile = round_up(tile_positions(D) * D, GRAM_LANES) + GRAM_BEYOND,
        .matrix = round_up(D, GRAM_ROWS) * width,
        .width = width,
        .maps = gram_maps_of(shape, sizeof(float)),
    };
    if (D <= NARROW)
        at.maps_floats = round_up(gram_maps_bytes(&at.maps) / (int64_t)sizeof(float), GRAM_LANES);
    return at;
}

size_t gram_columns_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(2 * (at.tile + at.matrix + at.maps_floats)) * sizeof(float);
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    at.columns = scratch;
    at.columns_quantized = at.columns + at.tile;
    at.inner = at.columns_quantized + at.tile;
    at.cross = at.inner + at.matrix;
    at.map = at.cross + at.matrix;
    at.map_quantized = at.map + at.maps_floats;
    return at;
}

/* `count` columns from position `first`. */
struct tile {
    int64_t first, count;
};

/* What is multiplied: columns of D values, and matrices with rows of `width`. */
struct product {
    const struct gram_version *version;
    const float *left, *right;
    int64_t count, D, width;
    bool lower; /* all that is wanted of the symmetric matrix */
};

/* out += leftᵀ right by the library; of a symmetric product in bands of rows. */
static void add_wide(const struct product *product, float *out)
{
    int64_t D = product->D, step = product->lower ? BAND : D;
    for (int64_t row = 0; row < D; row += step) {
        int64_t rows = least(step, D - row);
        struct gemm_shape shape = {
            .M = rows,
            .N = row + rows,
            .K = product->count,
            .transpose_a = true,
            .lda = D,
            .ldb = D,
            .ldc = product->width,
        };
        gemm_f32(&shape, 1.0f, product->left + row, product->right, 1.0f, out + row * shape.ldc);
    }
}

/* The same for few columns, PART positions at a time. */
static void add_narrow(const struct product *product, float *out)
{
    int64_t step = product->D * (int64_t)sizeof(float);
    for (int64_t first = 0; first < product->count; first += PART) {
        struct gram_operands operands = {
            .left = (const uint8_t *)(product->left + first * product->D),
            .right = (const uint8_t *)(product->right + first * product->D),
            .columns = product->D,
            .lower = product->lower,
            .outer = {1, 0},
            .middle = {1, 0},
            .inner = {least(PART, product->count - first), step},
        };
        product->version->add_floats(&operands, out, product->width);
    }
}

static void add_product(const struct product *product, float *out)
{
    if (product->D > NARROW)
        add_wide(product, out);
    else
        add_narrow(product, out);
}

/* Elements (i, j), j ≤ i, of a square of the lower triangle to both places of `sum`. */
static void add_mirrored(const float *lower, int64_t width, int64_t D, int64_t first_i,
                         int64_t first_j, double *sum)
{
    int64_t end_i = least(first_i + SQUARE, D), end_j = least(first_j + SQUARE, D);
    for (int64_t i = first_i; i < end_i; i++)
        for (int64_t j = first_j; j < least(end_j, i + 1); j++)
            sum[i * D + j] += (double)lower[i * width + j];
    for (int64_t j = first_j; j < end_j; j++)
        for (int64_t i = first_i > j ? first_i : j + 1; i < end_i; i++)
            sum[j * D + i] += (double)lower[i * width + j];
}

/* sum += the symmetric matrix whose lower triangle is given. Going by squares keeps the lines of
 * the strided side in the cache. */
static void add_symmetric(const float *lower, int64_t width, int64_t D, double *sum)
{
    for (int64_t i = 0; i < D; i += SQUARE)
        for (int64_t j = 0; j <= i; j += SQUARE)
            add_mirrored(lower, width, D, i, j, sum);
}

static void add_matrix(const float *matrix, int64_t width, int64_t D, double *sum)
{
    for (int64_t i = 0; i < D; i++)
        for (int64_t j = 0; j < D; j++)
            sum[i * D + j] += (double)matrix[i * width + j];
}

/* x or x̂, and which of its samples are in the maps. */
struct source {
    const float *values;
    float *map;
    int64_t first, count;
};

/* What one call adds up: the inputs, and which group's accumulators. */
struct job {
    const struct gram_version *version;
    const struct conv_shape *shape;
    struct source x, x_quantized;
    struct workspace workspace;
    int64_t D, g;
    double *inner, *cross, *sum_float, *sum_quantized; /* of group g; as in struct gram */
};

/* Columns of one row of positions of a sample's map. */
static float *pack_row(const struct job *job, const float *map, int64_t oh, int64_t ow,
                       int64_t count, float *out)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_maps *maps = &job->workspace.maps;
    const float *from = map + job->g * (shape->C / shape->G);
    from += (oh * shape->stride_h * maps->W + ow * shape->stride_w) * shape->C;
    for (int64_t i = 0; i < count; i++, from += shape->stride_w * shape->C, out += job->D)
        gram_pack_column(maps, from, out);
    return out;
}

/* A sample in the maps, which then hold those that follow, too. */
static const float *map_of(const struct job *job, struct source *source, int64_t n)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_maps *maps = &job->workspace.maps;
    if (n < source->first || n >= source->first + source->count) {
        int64_t sample = shape->H * shape->W * shape->C;
        source->first = n;
        source->count = least(maps->count, shape->N - n);
        gram_maps_fill(maps, shape, source->count, source->values + n * sample, 0, source->map);
    }
    return source->map + (n - source->first) * maps->size;
}

static void pack_columns(const struct job *job, struct source *source, const struct tile *tile,
                         float *out)
{
    int64_t OW = job->shape->OW, OH = job->shape->OH, end = tile->first + tile->count;
    for (int64_t p = tile->first, count; p < end; p += count) {
        int64_t row = p / OW, ow = p % OW;
        count = least(OW - ow, end - p);
        out = pack_row(job, map_of(job, source, row / OH), row % OH, ow, count, out);
    }
}

static void make_columns(const struct job *job, struct source *source, const struct tile *tile,
                         float *out)
{
    if (job->D > NARROW)
        im2col_group_f32(job->shape, source->values, job->g, tile->first, tile->count, out);
    else
        pack_columns(job, source, tile, out);
}

static bool is_crossed(const struct job *job)
{
    return job->cross != NULL && job->x.values != job->x_quantized.values;
}

static void add_tile(struct job *job, const struct tile *tile)
{
    const struct workspace *at = &job->workspace;
    int64_t D = job->D;
    struct product product = {
        .version = job->version,
        .left = at->columns_quantized,
        .right = at->columns_quantized,
        .count = tile->count,
        .D = D,
        .width = at->width,
        .lower = true,
    };
    make_columns(job, &job->x_quantized, tile, at->columns_quantized);
    add_product(&product, at->inner);
    gram_sums_add(at->columns_quantized, tile->count, D, D, job->sum_quantized);
    if (job->cross != NULL && !is_crossed(job))
        gram_sums_add(at->columns_quantized, tile->count, D, D, job->sum_float);
    if (!is_crossed(job))
        return;
    make_columns(job, &job->x, tile, at->columns);
    product.left = at->columns;
    product.lower = false;
    add_product(&product, at->cross);
    gram_sums_add(at->columns, tile->count, D, D, job->sum_float);
}

static void add_block(struct job *job, int64_t first, int64_t count)
{
    const struct workspace *at = &job->workspace;
    int64_t step = tile_positions(job->D);
    memset(at->inner, 0, (size_t)at->matrix * sizeof(float));
    if (is_crossed(job))
        memset(at->cross, 0, (size_t)at->matrix * sizeof(float));
    for (int64_t done = 0; done < count; done += step) {
        struct tile tile = {.first = first + done, .count = least(step, count - done)};
        add_tile(job, &tile);
    }
    add_symmetric(at->inner, at->width, job->D, job->inner);
    if (is_crossed(job))
        add_matrix(at->cross, at->width, job->D, job->cross);
    else if (job->cross != NULL)
        add_symmetric(at->inner, at->width, job->D, job->cross);
}

void gram_columns_add(const struct gram_version *version, struct gram *gram,
                      const struct conv_shape *shape, const float *x, const float *x_quantized,
                      void *scratch)
{
    int64_t D = gram->D, positions = shape->N * shape->OH * shape->OW;
    struct workspace at = workspace_at(shape, scratch);
    for (int64_t g = 0; g < gram->G; g++) {
        struct job job = {
            .version = version,
            .shape = shape,
            .x = {.values = x, .map = at.map},
            .x_quantized = {.values = x_quantized, .map = at.map_quantized},
            .workspace = at,
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
