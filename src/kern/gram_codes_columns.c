/* Moments of codes by packed columns (gram_codes_ways.h). Samples are copied into maps with the
 * padding around them, and their columns packed in quads of four positions into the rows of a tile
 * (gram_pack.h). Where positions end within a quad, codes of 0 follow: they add nothing to the
 * products and sums. Per position that is D²/2 multiply-adds, D bytes packed, and D²/2 additions
 * per call. */

#include "gram_codes_ways.h"
#include "gram_pack.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    TILE = 512,  /* positions: a strip of 48 columns fits the first-level cache */
    SQUARE = 32, /* of a matrix that is mirrored: both sides fit the first-level cache */
};
static_assert(GRAM_CODES_BLOCK % TILE == 0 && TILE % GRAM_QUAD == 0, "tiles are whole");

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_maps maps;
    int64_t rows, width; /* of `products` */
    int64_t stride;      /* of the tile's quads */
    int32_t *products;   /* [rows][width], of the block */
    int32_t *sums;       /* [width], of the block */
    uint8_t *tile;       /* [TILE / GRAM_QUAD][stride] */
    uint8_t *codes;      /* the maps */
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    int64_t D = conv_column_elements(shape);
    return (struct workspace){
        .maps = gram_maps_of(shape, 1),
        .rows = round_up(D, GRAM_ROWS),
        .width = round_up(D, GRAM_LANES),
        .stride = gram_quad_bytes(D),
    };
}

static int64_t tile_bytes(const struct workspace *at)
{
    return TILE / GRAM_QUAD * at->stride;
}

static int64_t products_bytes(const struct workspace *at)
{
    return (at->rows + 1) * at->width * (int64_t)sizeof(int32_t);
}

size_t gram_codes_columns_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(products_bytes(&at) + tile_bytes(&at) + GRAM_BEYOND +
                    gram_maps_bytes(&at.maps));
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    at.products = scratch;
    at.sums = at.products + at.rows * at.width;
    at.tile = (uint8_t *)scratch + products_bytes(&at);
    at.codes = at.tile + tile_bytes(&at) + GRAM_BEYOND;
    return at;
}

/* What one call adds up: the input, and which group's accumulators. */
struct job {
    const struct conv_shape *shape;
    const struct gram_grid *grid;
    const struct gram_version *version;
    struct workspace at;
    int64_t D, g;
    double *inner, *sum_quantized; /* of group g; as in struct gram */
    int64_t quads;                 /* in the tile */
    int64_t block;     /* positions of the block, as room for them, tile included, ... */
    int64_t positions; /* ... and as they are */
};

static void flush_tile(struct job *job)
{
    struct gram_operands operands = {
        .left = job->at.tile,
        .right = job->at.tile,
        .columns = job->D,
        .lower = true,
        .outer = {1, 0},
        .middle = {1, 0},
        .inner = {job->quads, job->at.stride},
        .sums = job->at.sums,
    };
    job->version->add_codes(&operands, job->at.products, job->at.width);
    job->quads = 0;
}

static void block_clear(struct job *job)
{
    memset(job->at.products, 0, (size_t)products_bytes(&job->at));
    job->block = job->positions = 0;
}

/* Elements (i, j), j ≤ i, of a square of the lower triangle to both places of `inner`. All numbers
 * but the scaled ones are whole and below 2^53. */
KERN_CLONES static void flush_square(const struct job *job, int64_t first_i, int64_t first_j)
{
    double scaled[SQUARE][SQUARE];
    double zero = (double)job->grid->zero, scale = (double)job->grid->scale;
    double area = scale * scale, corner = (double)job->positions * zero * zero;
    int64_t D = job->D, end_i = least(first_i + SQUARE, D), end_j = least(first_j + SQUARE, D);
    for (int64_t i = first_i; i < end_i; i++) {
        const int32_t *products = job->at.products + i * job->at.width;
        double *inner = job->inner + i * D, *row = scaled[i - first_i];
        double of_row = corner + ((double)GRAM_SHIFT - zero) * (double)job->at.sums[i];
        int64_t last = least(end_j, i + 1);
        for (int64_t j = first_j; j < last; j++) {
            double of_column = zero * (double)job->at.sums[j];
            row[j - first_j] = area * ((double)products[j] + of_row - of_column);
            inner[j] += row[j - first_j];
        }
    }
    for (int64_t j = first_j; j < end_j; j++)
        for (int64_t i = first_i > j ? first_i : j + 1; i < end_i; i++)
            job->inner[j * D + i] += scaled[i - first_i][j - first_j];
}

static void flush_block(struct job *job)
{
    if (job->quads > 0)
        flush_tile(job);
    for (int64_t i = 0; i < job->D; i += SQUARE)
        for (int64_t j = 0; j <= i; j += SQUARE)
            flush_square(job, i, j);
    double zeros = (double)job->positions * (double)job->grid->zero;
    for (int64_t d = 0; d < job->D; d++)
        job->sum_quantized[d] += (double)job->grid->scale * ((double)job->at.sums[d] - zeros);
    block_clear(job);
}

/* Up to four positions. */
static void add_quad(struct job *job, const uint8_t *const from[GRAM_QUAD], int64_t count)
{
    if (job->block == GRAM_CODES_BLOCK)
        flush_block(job);
    gram_pack_quad(&job->at.maps, from, count, job->at.tile + job->quads * job->at.stride);
    job->positions += count;
    job->block += GRAM_QUAD;
    if (++job->quads == TILE / GRAM_QUAD)
        flush_tile(job);
}

/* All positions of the samples in the maps. */
static void add_maps(struct job *job, int64_t samples)
{
    const struct conv_shape *shape = job->shape;
    const uint8_t *from[GRAM_QUAD];
    const struct gram_maps *maps = &job->at.maps;
    int64_t count = 0, line = shape->stride_h * maps->W * shape->C;
    for (int64_t n = 0; n < samples; n++)
        for (int64_t oh = 0; oh < shape->OH; oh++) {
            const uint8_t *at = job->at.codes + n * maps->size + oh * line;
            at += job->g * (shape->C / shape->G);
            for (int64_t ow = 0; ow < shape->OW; ow++, at += shape->stride_w * shape->C) {
                from[count++] = at;
                if (count < GRAM_QUAD)
                    continue;
                add_quad(job, from, GRAM_QUAD);
                count = 0;
            }
        }
    if (count == 0)
        return;
    for (int64_t t = count; t < GRAM_QUAD; t++)
        from[t] = from[0];
    add_quad(job, from, count);
}

static void add_group(struct job *job, const uint8_t *codes)
{
    const struct conv_shape *shape = job->shape;
    int64_t sample = shape->H * shape->W * shape->C;
    block_clear(job);
    for (int64_t first = 0; first < shape->N; first += job->at.maps.count) {
        int64_t samples = least(job->at.maps.count, shape->N - first);
        gram_maps_fill(&job->at.maps, shape, samples, codes + first * sample, job->grid->zero,
                       job->at.codes);
        add_maps(job, samples);
    }
    flush_block(job);
}

void gram_codes_columns_add(const struct gram_version *version, struct gram *gram,
                            const struct conv_shape *shape, const struct gram_grid *grid,
                            const uint8_t *codes, void *scratch)
{
    int64_t D = gram->D;
    struct workspace at = workspace_at(shape, scratch);
    for (int64_t g = 0; g < gram->G; g++) {
        struct job job = {
            .shape = shape,
            .grid = grid,
            .version = version,
            .at = at,
            .D = D,
            .g = g,
            .inner = gram->inner + g * D * D,
            .sum_quantized = gram->sum_quantized + g * D,
        };
        add_group(&job, codes);
    }
}
