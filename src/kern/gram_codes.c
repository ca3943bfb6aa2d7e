/* Second moments of codes (gram_codes.h). With q_i the code of column i, Z the code of zero and n
 * the number of positions,
 *
 *   Σ (q_i − Z)(q_j − Z) = P_ij + B S_j − Z (S_i + S_j) + n Z²
 *
 * where P = Σ (q_i − B) q_j with B = GRAM_SHIFT is what gram_products.h gives, and S = Σ q. Samples
 * are copied into maps with the padding around them, and their columns packed in quads of four
 * positions into the rows of a tile (gram_pack.h). Where positions end within a quad, codes of 0
 * follow: they add nothing to P and S.
 *
 * 32 bits hold a sum of BLOCK positions: 65536 · 255 · 128 < 2^31. Per position that is D²/2
 * multiply-adds, D bytes packed, and D²/2 additions per call. */

#include "gram_codes_with.h"
#include "gram_dense.h"
#include "gram_pack.h"
#include "simd.h"

#include <assert.h>
#include <string.h>

enum {
    BLOCK = 65536, /* positions, at most, whose sums are in 32 bits */
    TILE = 512,    /* positions: a strip of 48 columns fits the first-level cache */
    SQUARE = 32,   /* of a matrix that is mirrored: both sides fit the first-level cache */
};
static_assert((int64_t)BLOCK * UINT8_MAX * GRAM_SHIFT <= INT32_MAX, "a block overflows");
static_assert(BLOCK % TILE == 0 && TILE % GRAM_QUAD == 0, "tiles are whole");

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* The code of one value; anything for a NaN. */
static inline int32_t code_at(float x, float inverse, float lowest, float highest)
{
    float steps = __builtin_rintf(x * inverse);
    steps = steps > lowest ? steps : lowest; /* false for NaN */
    return (int32_t)(steps < highest ? steps : highest);
}

/* Counts values that are not on the grid. */
KERN_CLONES static int32_t encode(const struct gram_grid *grid, const float *restrict x,
                                  size_t count, uint8_t *restrict codes)
{
    float scale = grid->scale, inverse = 1.0f / scale;
    float lowest = (float)-grid->zero, highest = (float)(grid->last - grid->zero);
    int32_t zero = grid->zero, misses = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t steps = code_at(x[i], inverse, lowest, highest);
        misses += scale * (float)steps == x[i] ? 0 : 1;
        codes[i] = (uint8_t)(steps + zero);
    }
    return misses;
}

bool gram_codes_of(const struct gram_grid *grid, const float *x_quantized, size_t count,
                   uint8_t *codes)
{
    enum { STEP = 4096 };
    for (size_t first = 0; first < count; first += STEP) {
        size_t left = count - first;
        if (encode(grid, x_quantized + first, left < STEP ? left : STEP, codes + first) > 0)
            return false;
    }
    return true;
}

bool gram_codes_pay(const struct conv_shape *shape)
{
    return shape->G != shape->C || shape->C == 1;
}

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_maps maps;
    int64_t rows, width;     /* of `products` */
    int64_t stride;          /* of the tile's quads */
    int32_t *products;       /* [rows][width], of the block */
    int32_t *sums;           /* [width], of the block */
    uint8_t *tile, *shifted; /* [TILE / GRAM_QUAD][stride] */
    uint8_t *codes;          /* the maps */
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    int64_t D = conv_column_elements(shape);
    return (struct workspace){
        .maps = gram_maps_of(shape),
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

size_t gram_codes_conv_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(products_bytes(&at) + 2 * tile_bytes(&at) + gram_maps_bytes(&at.maps));
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    at.products = scratch;
    at.sums = at.products + at.rows * at.width;
    at.tile = (uint8_t *)scratch + products_bytes(&at);
    at.shifted = at.tile + tile_bytes(&at);
    at.codes = at.shifted + tile_bytes(&at);
    return at;
}

/* What one call adds up: the input, and which group's accumulators. */
struct job {
    const struct conv_shape *shape;
    const struct gram_grid *grid;
    gram_products *add;
    struct workspace at;
    int64_t D, g;
    double *inner, *sum_quantized; /* of group g; as in struct gram */
    int64_t quads;                 /* in the tile */
    int64_t block;     /* positions of the block, as room for them, tile included, ... */
    int64_t positions; /* ... and as they are */
};

static void flush_tile(struct job *job)
{
    struct gram_tile tile = {
        .codes = job->at.tile,
        .shifted = job->at.shifted,
        .quads = job->quads,
        .stride = job->at.stride,
        .D = job->D,
    };
    job->add(&tile, job->at.products, job->at.width, job->at.sums);
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
        double of_row = corner - zero * (double)job->at.sums[i];
        int64_t last = least(end_j, i + 1);
        for (int64_t j = first_j; j < last; j++) {
            double of_column = ((double)GRAM_SHIFT - zero) * (double)job->at.sums[j];
            row[j - first_j] = area * ((double)products[j] + of_row + of_column);
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
    if (job->block == BLOCK)
        flush_block(job);
    int64_t place = job->quads * job->at.stride;
    gram_pack_quad(&job->at.maps, from, count, job->at.tile + place, job->at.shifted + place);
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

void gram_codes_add_conv_with(const struct gram_version *version, struct gram *gram,
                              const struct conv_shape *shape, const struct gram_grid *grid,
                              const uint8_t *codes, void *scratch)
{
    int64_t D = gram->D;
    assert(gram->G == shape->G && D == conv_column_elements(shape) && gram->cross == NULL);
    assert(0 <= grid->zero && grid->zero <= grid->last && grid->last <= UINT8_MAX);
    gram->positions += shape->N * shape->OH * shape->OW;
    struct workspace at = workspace_at(shape, scratch);
    for (int64_t g = 0; g < gram->G; g++) {
        struct job job = {
            .shape = shape,
            .grid = grid,
            .add = version->add,
            .at = at,
            .D = D,
            .g = g,
            .inner = gram->inner + g * D * D,
            .sum_quantized = gram->sum_quantized + g * D,
        };
        add_group(&job, codes);
    }
}

void gram_codes_add_conv(struct gram *gram, const struct conv_shape *shape,
                         const struct gram_grid *grid, const uint8_t *codes, void *scratch)
{
    const struct gram_version *version = gram_versions;
    while (!version->runs_here())
        version++;
    gram_codes_add_conv_with(version, gram, shape, grid, codes, scratch);
}

size_t gram_codes_dense_scratch_bytes(int64_t C)
{
    struct conv_shape shape = gram_dense_shape(1, C);
    return gram_codes_conv_scratch_bytes(&shape);
}

void gram_codes_add_dense(struct gram *gram, int64_t N, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch)
{
    struct conv_shape shape = gram_dense_shape(N, gram->D);
    gram_codes_add_conv(gram, &shape, grid, codes, scratch);
}
