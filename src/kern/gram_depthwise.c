/* Second moments for depthwise filters: per channel, all pairs of taps.
 *
 * Each sample is copied into a padded map whose channels are rounded up to LANES; there every tap
 * is at a fixed distance from the position, and a vector is LANES channels of one tap. Pairs are
 * made in squares of TAPS × TAPS taps, whose sums stay in registers over a region of positions: for
 * a 3 × 3 filter six squares of x̂ with x̂, nine of x with x̂. The number of taps is rounded up to
 * whole squares by repeating the last; what those give is not read.
 *
 * In float also where x̂ has codes: a channel of a 3 × 3 filter costs 45 multiply-adds a position,
 * at a quarter to a third of the peak. In integers, quads of positions would have to be kept apart
 * for every tap's alignment and stride; all depthwise layers of MobileNet take 0.3 ms a sample. */

#include "gram_depthwise.h"

#include "simd.h"

#include <string.h>

enum { LANES = 16, TAPS = 3 };

/* LANES floats at any address. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* The caller's scratch, cut up. */
struct workspace {
    int64_t H, W, C;                  /* of the padded map */
    int64_t D;                        /* taps, rounded up */
    size_t map, square, row;          /* floats of a map, of [D][D][C] and of [D][C] */
    float *x, *x_quantized;           /* [H][W][C] */
    float *inner, *cross;             /* [D][D][C] of the current block; `inner`: lower triangle */
    float *sum_float, *sum_quantized; /* [D][C] */
    int64_t *offset;                  /* [D] of a tap from the position's first element */
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct workspace at = {
        .H = shape->H + shape->pad_top + shape->pad_bottom,
        .W = shape->W + shape->pad_left + shape->pad_right,
        .C = round_up(shape->C, LANES),
        .D = round_up(shape->R * shape->S, TAPS),
    };
    at.map = (size_t)(at.H * at.W * at.C);
    at.square = (size_t)(at.D * at.D * at.C);
    at.row = (size_t)(at.D * at.C);
    return at;
}

/* The sums of a block: everything that is cleared with it. */
static size_t block_floats(const struct workspace *at)
{
    return 2 * (at->square + at->row);
}

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (2 * at.map + block_floats(&at)) * sizeof(float) + (size_t)at.D * sizeof(int64_t);
}

static void place(struct workspace *at, const struct conv_shape *shape, void *scratch)
{
    /* Floats first: they come in multiples of LANES, so what follows stays aligned. */
    at->x = scratch;
    at->x_quantized = at->x + at->map;
    at->inner = at->x_quantized + at->map;
    at->cross = at->inner + at->square;
    at->sum_float = at->cross + at->square;
    at->sum_quantized = at->sum_float + at->row;
    at->offset = (int64_t *)(void *)(at->sum_quantized + at->row);
    int64_t taps = shape->R * shape->S;
    for (int64_t tap = 0; tap < at->D; tap++) {
        int64_t rs = tap < taps ? tap : taps - 1;
        int64_t h = rs / shape->S * shape->dilation_h, w = rs % shape->S * shape->dilation_w;
        at->offset[tap] = (h * at->W + w) * at->C;
    }
}

static void copy_padded(const struct conv_shape *shape, const struct workspace *at, const float *x,
                        float *map)
{
    memset(map, 0, (size_t)(at->H * at->W * at->C) * sizeof(float));
    for (int64_t h = 0; h < shape->H; h++) {
        for (int64_t w = 0; w < shape->W; w++) {
            int64_t to = (h + shape->pad_top) * at->W + w + shape->pad_left;
            memcpy(map + to * at->C, x + (h * shape->W + w) * shape->C,
                   (size_t)shape->C * sizeof(float));
        }
    }
}

/* A rectangle of output positions of one sample, in elements of the padded map. */
struct region {
    int64_t first;
    int64_t rows, row_step;
    int64_t columns, column_step;
};

/* out[i][j] += Σ a_i b_j over a region, for TAPS taps of each and LANES channels. */
struct square {
    const float *a, *b;                 /* the vector's first channel */
    const int64_t *offset_a, *offset_b; /* [TAPS] */
    float *out;                         /* out[i][j] is at out[i · row + j · column] */
    int64_t row, column;
};

KERN_CLONES static void add_square(const struct square *square, const struct region *region)
{
    lanes sum[TAPS][TAPS];
    for (int i = 0; i < TAPS; i++)
        for (int j = 0; j < TAPS; j++)
            sum[i][j] = *(const lanes *)(square->out + i * square->row + j * square->column);
    for (int64_t r = 0; r < region->rows; r++) {
        int64_t at = region->first + r * region->row_step;
        for (int64_t c = 0; c < region->columns; c++, at += region->column_step) {
            lanes b[TAPS];
            for (int j = 0; j < TAPS; j++)
                b[j] = *(const lanes *)(square->b + at + square->offset_b[j]);
            for (int i = 0; i < TAPS; i++) {
                lanes a = *(const lanes *)(square->a + at + square->offset_a[i]);
                for (int j = 0; j < TAPS; j++)
                    sum[i][j] += a * b[j];
            }
        }
    }
    for (int i = 0; i < TAPS; i++)
        for (int j = 0; j < TAPS; j++)
            *(lanes *)(square->out + i * square->row + j * square->column) = sum[i][j];
}

KERN_CLONES static void add_tap_sum(const float *x, const struct region *region, float *out)
{
    lanes sum = *(const lanes *)out;
    for (int64_t r = 0; r < region->rows; r++)
        for (int64_t c = 0; c < region->columns; c++)
            sum += *(const lanes *)(x + region->first + r * region->row_step +
                                    c * region->column_step);
    *(lanes *)out = sum;
}

/* All pairs of taps of a with b (with `lower`: those on and below the diagonal). */
static void add_pairs(const struct workspace *at, const struct region *region, const float *a,
                      const float *b, bool lower, float *out)
{
    for (int64_t c = 0; c < at->C; c += LANES) {
        for (int64_t i = 0; i < at->D; i += TAPS) {
            for (int64_t j = 0; j < (lower ? i + TAPS : at->D); j += TAPS) {
                struct square square = {
                    .a = a + c,
                    .b = b + c,
                    .offset_a = at->offset + i,
                    .offset_b = at->offset + j,
                    .out = out + (i * at->D + j) * at->C + c,
                    .row = at->D * at->C,
                    .column = at->C,
                };
                add_square(&square, region);
            }
        }
    }
}

static void add_sums(const struct workspace *at, const struct region *region, const float *x,
                     float *out)
{
    for (int64_t tap = 0; tap < at->D; tap++)
        for (int64_t c = 0; c < at->C; c += LANES)
            add_tap_sum(x + at->offset[tap] + c, region, out + tap * at->C + c);
}

/* Adds the block's sums in float64 and clears them. */
static void flush_block(const struct conv_shape *shape, const struct workspace *at, bool symmetric,
                        float *block, double *out)
{
    int64_t D = shape->R * shape->S;
    for (int64_t c = 0; c < shape->C; c++) {
        double *matrix = out + c * D * D;
        for (int64_t i = 0; i < D; i++) {
            for (int64_t j = 0; j < D; j++) {
                int64_t row = symmetric && j > i ? j : i, column = symmetric && j > i ? i : j;
                matrix[i * D + j] += (double)block[(row * at->D + column) * at->C + c];
            }
        }
    }
}

static void flush_sums(const struct conv_shape *shape, const struct workspace *at,
                       const float *block, double *out)
{
    int64_t D = shape->R * shape->S;
    for (int64_t c = 0; c < shape->C; c++)
        for (int64_t tap = 0; tap < D; tap++)
            out[c * D + tap] += (double)block[tap * at->C + c];
}

static void block_clear(const struct workspace *at)
{
    memset(at->inner, 0, block_floats(at) * sizeof(float));
}

static void block_flush(struct gram *gram, const struct conv_shape *shape,
                        const struct workspace *at, bool same)
{
    flush_block(shape, at, true, at->inner, gram->inner);
    flush_sums(shape, at, at->sum_quantized, gram->sum_quantized);
    if (gram->cross != NULL) {
        flush_block(shape, at, same, same ? at->inner : at->cross, gram->cross);
        flush_sums(shape, at, same ? at->sum_quantized : at->sum_float, gram->sum_float);
    }
    block_clear(at);
}

static void add_region(const struct workspace *at, const struct region *region, bool crossed)
{
    add_pairs(at, region, at->x_quantized, at->x_quantized, true, at->inner);
    add_sums(at, region, at->x_quantized, at->sum_quantized);
    if (!crossed)
        return;
    add_pairs(at, region, at->x, at->x_quantized, false, at->cross);
    add_sums(at, region, at->x, at->sum_float);
}

/* Rows first … of the output map, columns first … of each. */
static struct region region_at(const struct conv_shape *shape, const struct workspace *at,
                               int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    return (struct region){
        .first = (row * shape->stride_h * at->W + column * shape->stride_w) * at->C,
        .rows = rows,
        .row_step = shape->stride_h * at->W * at->C,
        .columns = columns,
        .column_step = shape->stride_w * at->C,
    };
}

void gram_add_depthwise(struct gram *gram, const struct conv_shape *shape, const float *x,
                        const float *x_quantized, void *scratch)
{
    struct workspace at = workspace_of(shape);
    place(&at, shape, scratch);
    block_clear(&at);
    bool same = x == x_quantized, crossed = gram->cross != NULL && !same;
    int64_t sample = shape->H * shape->W * shape->C, in_block = 0;
    /* The largest regions that a block has room for: as many whole rows as fit, or parts of one. */
    int64_t columns_step = least(shape->OW, GRAM_BLOCK);
    int64_t rows_step = GRAM_BLOCK / columns_step;
    for (int64_t n = 0; n < shape->N; n++) {
        copy_padded(shape, &at, x_quantized + n * sample, at.x_quantized);
        if (crossed)
            copy_padded(shape, &at, x + n * sample, at.x);
        for (int64_t row = 0; row < shape->OH; row += rows_step) {
            int64_t rows = least(rows_step, shape->OH - row);
            for (int64_t column = 0; column < shape->OW; column += columns_step) {
                int64_t columns = least(columns_step, shape->OW - column);
                if (in_block + rows * columns > GRAM_BLOCK) {
                    block_flush(gram, shape, &at, same);
                    in_block = 0;
                }
                struct region region = region_at(shape, &at, row, rows, column, columns);
                add_region(&at, &region, crossed);
                in_block += rows * columns;
            }
        }
    }
    block_flush(gram, shape, &at, same);
}
