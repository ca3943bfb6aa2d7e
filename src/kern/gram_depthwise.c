/* Second moments for depthwise filters: per channel, all pairs of taps, by the shift structure
 * (gram_shift.h): 13 products of a place instead of 45 for a 3 × 3 filter.
 *
 * LANES channels at a time are copied into maps of their own, where a vector is all channels of a
 * place. Along a line of the map a place is multiplied with all places that are some distance below
 * it, or beside it, while it is in a register: five distances for a 3 × 3 filter. So the segments
 * of columns of all distances are cut once more, into cells in which the same distances are wanted.
 *
 * In float also where x̂ has codes: integers would save at most three of four products, which are
 * half of the time; a layer of the keyword-spotting network takes 5 µs a sample. */

#include "gram_depthwise.h"

#include "gram_shift.h"
#include "gram_sizes.h"
#include "simd.h"

#include <string.h>

enum {
    LANES = 16,            /* channels at once */
    DISTANCES = 5,         /* whose sums stay in registers */
    PART = 256,            /* places whose sums are in registers */
    PLACES = 1 << 10,      /* of maps at once, if they fit: 64 KiB */
    PLACES_MOST = 1 << 12, /* of a band: 256 KiB, of a second-level cache */
    SLIM = 4,              /* rows to columns of a cell, from which on rows are the inner loop */
};

/* LANES floats at any address. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* The same filter on LANES channels that are not kept apart. */
static struct conv_shape lanes_of(const struct conv_shape *shape)
{
    struct conv_shape one = *shape;
    one.C = LANES;
    one.G = 1;
    return one;
}

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t planes;        /* at once */
    size_t map_bytes, inner_bytes, cross_bytes, inner_plan_bytes, cross_plan_bytes;
    float *x, *x_quantized;           /* [planes][H][W][LANES] */
    float *inner, *cross;             /* [segments of rows][of columns][LANES] of a block */
    float *sum_float, *sum_quantized; /* the same, where a tap meets itself */
    void *inner_plan, *cross_plan;
};

static size_t segment_bytes(const struct conv_shape *shape, bool all)
{
    int64_t rows = gram_segments_most(shape->R, all), columns = gram_segments_most(shape->S, true);
    return (size_t)(rows * columns * LANES) * sizeof(float);
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct conv_shape one = lanes_of(shape);
    struct workspace at = {
        .band = gram_band_of(&one, PLACES_MOST * LANES, GRAM_BLOCK),
        .inner_bytes = segment_bytes(shape, false),
        .cross_bytes = segment_bytes(shape, true),
        .inner_plan_bytes = lines(gram_shift_plan_bytes(shape, false)),
        .cross_plan_bytes = lines(gram_shift_plan_bytes(shape, true)),
    };
    int64_t plane = gram_band_lanes(&one, &at.band);
    at.planes = plane < PLACES * LANES ? PLACES * LANES / plane : 1;
    at.map_bytes = (size_t)(at.planes * plane) * sizeof(float);
    return at;
}

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return 2 * at.map_bytes + 3 * at.inner_bytes + at.cross_bytes + at.inner_plan_bytes +
           at.cross_plan_bytes;
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.x = (float *)(void *)memory;
    at.x_quantized = (float *)(void *)(memory += at.map_bytes);
    at.inner = (float *)(void *)(memory += at.map_bytes);
    at.sum_float = (float *)(void *)(memory += at.inner_bytes);
    at.sum_quantized = (float *)(void *)(memory += at.inner_bytes);
    at.cross = (float *)(void *)(memory += at.inner_bytes);
    at.inner_plan = memory += at.cross_bytes;
    at.cross_plan = memory + at.inner_plan_bytes;
    return at;
}

/* What one call adds up. */
struct job {
    const struct conv_shape *shape;
    struct conv_shape one; /* of lanes_of */
    const float *x, *x_quantized;
    bool crossed; /* C is wanted and not H */
    struct workspace at;
    struct gram_shift inner, cross;
    int64_t channel, channels; /* of the maps */
};

/* The channels of samples first …, one plane each. Where there are fewer, other places follow: what
 * comes of them is not used. */
KERN_CLONES static void copy_planes(const struct job *job, const float *x, int64_t first,
                                    int64_t planes, float *out)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_shift *shift = &job->inner;
    const float *end = x + conv_input_elements(shape);
    for (int64_t n = first; n < first + planes; n++)
        for (int64_t h = 0; h < shift->H; h++) {
            int64_t line = (n * shape->H + shift->h + h) * shape->W + shift->w;
            const float *from = x + line * shape->C + job->channel;
            for (int64_t w = 0; w < shift->W; w++, from += shape->C, out += LANES)
                if (end - from >= LANES)
                    *(lanes *)out = *(const lanes *)from;
                else
                    memcpy(out, from, (size_t)job->channels * sizeof(float));
        }
}

/* Places of one segment of rows and some columns, in which the products with up to DISTANCES other
 * places are wanted; in lanes of the map. */
struct cell {
    const float *left, *right;          /* the first place, in both maps */
    struct gram_span plane, row, place; /* steps in lanes */
    int64_t distance[DISTANCES];        /* to the other places */
    float *out[DISTANCES];
    int count;
};

/* A function for a constant count, whose sums stay in registers; a macro, for GCC splits vectors of
 * functions that are inlined into clones before it knows the clone's instruction set. */
#define DEFINE_ADD_CELL(name, COUNT)                                                               \
    KERN_CLONES static void name(const struct cell *cell)                                          \
    {                                                                                              \
        lanes sum[COUNT];                                                                          \
        const float *right[COUNT];                                                                 \
        for (int i = 0; i < COUNT; i++)                                                            \
            sum[i] = (lanes){0};                                                                   \
        for (int64_t p = 0; p < cell->plane.count; p++)                                            \
            for (int64_t r = 0; r < cell->row.count; r++) {                                        \
                int64_t at = p * cell->plane.step + r * cell->row.step;                            \
                const float *left = cell->left + at;                                               \
                for (int i = 0; i < COUNT; i++)                                                    \
                    right[i] = cell->right + at + cell->distance[i];                               \
                for (int64_t c = 0, w = 0; c < cell->place.count; c++, w += cell->place.step) {    \
                    lanes value = *(const lanes *)(left + w);                                      \
                    for (int i = 0; i < COUNT; i++)                                                \
                        sum[i] += value * *(const lanes *)(right[i] + w);                          \
                }                                                                                  \
            }                                                                                      \
        for (int i = 0; i < COUNT; i++)                                                            \
            *(lanes *)cell->out[i] += sum[i];                                                      \
    }

DEFINE_ADD_CELL(add_distances_1, 1)
DEFINE_ADD_CELL(add_distances_2, 2)
DEFINE_ADD_CELL(add_distances_3, 3)
DEFINE_ADD_CELL(add_distances_4, 4)
DEFINE_ADD_CELL(add_distances_5, 5)

/* Some hundred places at a time: sums of float32 over thousands of squares would lose as many bits
 * again. */
static void add_cell(const struct cell *cell)
{
    typedef void add_distances(const struct cell *cell);
    static add_distances *const counts[DISTANCES] = {
        add_distances_1, add_distances_2, add_distances_3, add_distances_4, add_distances_5,
    };
    if (cell->count == 0)
        return;
    int64_t row_step = 1 + (PART - 1) / cell->place.count;
    int64_t plane_step = 1 + (row_step - 1) / cell->row.count;
    struct cell part = *cell;
    for (int64_t p = 0; p < cell->plane.count; p += plane_step)
        for (int64_t r = 0; r < cell->row.count; r += row_step) {
            int64_t at = p * cell->plane.step + r * cell->row.step;
            part.left = cell->left + at;
            part.right = cell->right + at;
            part.plane.count = least(plane_step, cell->plane.count - p);
            part.row.count = least(row_step, cell->row.count - r);
            counts[cell->count - 1](&part);
        }
}

/* out += Σ of the places of a cell. */
KERN_CLONES static void add_places(const struct cell *cell, float *out)
{
    lanes sum = {0};
    for (int64_t p = 0; p < cell->plane.count; p++)
        for (int64_t r = 0; r < cell->row.count; r++) {
            const float *at = cell->left + p * cell->plane.step + r * cell->row.step;
            for (int64_t c = 0; c < cell->place.count; c++)
                sum += *(const lanes *)(at + c * cell->place.step);
        }
    *(lanes *)out += sum;
}

/* The first end behind `cut` of segments of columns that are in step with it; false if none is. */
static bool next_cut(const struct gram_shift *shift, int64_t cut, int64_t *out_next)
{
    bool found = false;
    *out_next = cut;
    int64_t stride = shift->shape->stride_w;
    for (int64_t b = 0; b < shift->columns.count; b++) {
        const struct gram_segment *segment = &shift->columns.segment[b];
        int64_t end = segment->first + segment->count * stride;
        if ((segment->first - cut) % stride != 0 || end <= cut)
            continue;
        int64_t next = segment->first > cut ? segment->first : end;
        if (!found || next < *out_next)
            *out_next = next;
        found = true;
    }
    return found;
}

static bool covers(const struct gram_segment *segment, int64_t stride, int64_t column)
{
    return segment->first <= column && column < segment->first + segment->count * stride &&
           (column - segment->first) % stride == 0;
}

/* Fixes the columns of a cell of segment `a` of rows and adds the products of all distances. */
static void add_columns(const struct gram_shift *shift, int64_t a, struct cell *cell,
                        int64_t column, int64_t next, float *products)
{
    const struct gram_segment *rows = &shift->rows.segment[a];
    int64_t stride = shift->shape->stride_w;
    cell->place = (struct gram_span){(next - column) / stride, stride * LANES};
    cell->left += (column - shift->w) * LANES;
    cell->right += (column - shift->w) * LANES;
    if (cell->place.count < cell->row.count / SLIM) { /* short loops cost more than far steps */
        struct gram_span rows_of_cell = cell->row;
        cell->row = cell->place;
        cell->place = rows_of_cell;
    }
    cell->count = 0;
    for (int64_t b = 0; b < shift->columns.count; b++) {
        const struct gram_segment *columns = &shift->columns.segment[b];
        if (!covers(columns, stride, column) || !gram_shift_makes(shift, rows, columns))
            continue;
        cell->distance[cell->count] = (rows->distance * shift->W + columns->distance) * LANES;
        cell->out[cell->count++] = products + (a * shift->columns.count + b) * LANES;
        if (cell->count == DISTANCES) {
            add_cell(cell);
            cell->count = 0;
        }
    }
    add_cell(cell);
}

/* The first place of a segment of rows, at the left end of the map, and the loops over planes and
 * rows. */
static struct cell cell_of(const struct gram_shift *shift, int64_t a, const float *left,
                           const float *right, int64_t planes)
{
    const struct gram_segment *rows = &shift->rows.segment[a];
    int64_t line = shift->W * LANES, first = (rows->first - shift->h) * line;
    return (struct cell){
        .left = left + first,
        .right = right + first,
        .plane = {planes, shift->H * line},
        .row = {rows->count, shift->shape->stride_h * line},
    };
}

static void add_products(const struct gram_shift *shift, const float *left, const float *right,
                         int64_t planes, float *products)
{
    int64_t stride = shift->shape->stride_w;
    for (int64_t a = 0; a < shift->rows.count; a++)
        for (int64_t phase = 0; phase < stride; phase++) {
            int64_t cut, next;
            if (!next_cut(shift, phase - stride, &cut))
                continue;
            for (; next_cut(shift, cut, &next); cut = next) {
                struct cell cell = cell_of(shift, a, left, right, planes);
                add_columns(shift, a, &cell, cut, next, products);
            }
        }
}

/* The sums of the rectangles in which a tap meets itself: all that any tap sees is made of them. */
static void add_sums(const struct gram_shift *shift, const float *x, int64_t planes, float *sums)
{
    for (int64_t a = 0; a < shift->rows.count; a++)
        for (int64_t b = 0; b < shift->columns.count; b++, sums += LANES) {
            const struct gram_segment *columns = &shift->columns.segment[b];
            if (shift->rows.segment[a].distance != 0 || columns->distance != 0)
                continue;
            struct cell cell = cell_of(shift, a, x, x, planes);
            cell.left += (columns->first - shift->w) * LANES;
            cell.place = (struct gram_span){columns->count, shift->shape->stride_w * LANES};
            add_places(&cell, sums);
        }
}

/* What two taps see: the sum of some segments. */
KERN_CLONES static void sum_segments(const struct gram_shift *shift, const float *segments,
                                     const struct gram_range *rows,
                                     const struct gram_range *columns, double *out)
{
    memset(out, 0, LANES * sizeof(*out));
    for (int64_t a = rows->begin; a < rows->end; a++)
        for (int64_t b = columns->begin; b < columns->end; b++)
            for (int c = 0; c < LANES; c++)
                out[c] += (double)segments[(a * shift->columns.count + b) * LANES + c];
}

/* Adds a block's products to matrices [C][D][D]. */
static void flush_products(const struct job *job, const struct gram_shift *shift,
                           const float *products, double *gram)
{
    int64_t R = job->shape->R, S = job->shape->S, D = R * S;
    gram += job->channel * D * D;
    for (int64_t tap = 0; tap < D; tap++)
        for (int64_t other = shift->all ? 0 : tap; other < D; other++) {
            double sum[LANES];
            sum_segments(shift, products, &shift->rows.range[tap / S * R + other / S],
                         &shift->columns.range[tap % S * S + other % S], sum);
            for (int64_t c = 0; c < job->channels; c++) {
                gram[(c * D + tap) * D + other] += sum[c];
                if (!shift->all && tap != other)
                    gram[(c * D + other) * D + tap] += sum[c];
            }
        }
}

/* Adds a block's sums to rows [C][D]. */
static void flush_sums(const struct job *job, const float *sums, double *out)
{
    const struct gram_shift *shift = &job->inner;
    int64_t R = job->shape->R, S = job->shape->S, D = R * S;
    for (int64_t tap = 0; tap < D; tap++) {
        double sum[LANES];
        sum_segments(shift, sums, &shift->rows.range[tap / S * (R + 1)],
                     &shift->columns.range[tap % S * (S + 1)], sum);
        for (int64_t c = 0; c < job->channels; c++)
            out[(job->channel + c) * D + tap] += sum[c];
    }
}

static void block_clear(const struct job *job)
{
    memset(job->at.inner, 0, job->at.inner_bytes);
    memset(job->at.sum_quantized, 0, job->at.inner_bytes);
    memset(job->at.sum_float, 0, job->at.inner_bytes);
    memset(job->at.cross, 0, job->crossed ? job->at.cross_bytes : 0);
}

static void block_flush(const struct job *job, struct gram *gram)
{
    const struct workspace *at = &job->at;
    flush_products(job, &job->inner, at->inner, gram->inner);
    flush_sums(job, at->sum_quantized, gram->sum_quantized);
    if (gram->cross == NULL)
        return;
    if (job->crossed)
        flush_products(job, &job->cross, at->cross, gram->cross);
    else
        flush_products(job, &job->inner, at->inner, gram->cross);
    flush_sums(job, job->crossed ? at->sum_float : at->sum_quantized, gram->sum_float);
}

static void add_planes(const struct job *job, int64_t first, int64_t planes)
{
    const struct workspace *at = &job->at;
    copy_planes(job, job->x_quantized, first, planes, at->x_quantized);
    add_products(&job->inner, at->x_quantized, at->x_quantized, planes, at->inner);
    add_sums(&job->inner, at->x_quantized, planes, at->sum_quantized);
    if (!job->crossed)
        return;
    copy_planes(job, job->x, first, planes, at->x);
    add_products(&job->cross, at->x, at->x_quantized, planes, at->cross);
    add_sums(&job->inner, at->x, planes, at->sum_float);
}

static void add_block(const struct job *job, int64_t first, int64_t samples, struct gram *gram)
{
    block_clear(job);
    for (int64_t done = 0; done < samples; done += job->at.planes)
        add_planes(job, first + done, least(job->at.planes, samples - done));
    block_flush(job, gram);
}

/* All samples of a band. All channels of a block of samples follow one another, while it is in a
 * cache. */
static void add_band(struct job *job, const struct gram_band *band, struct gram *gram)
{
    int64_t N = job->shape->N, block = GRAM_BLOCK / (band->rows * band->columns);
    gram_shift_plan(&job->one, band, false, job->at.inner_plan, &job->inner);
    gram_shift_plan(&job->one, band, true, job->at.cross_plan, &job->cross);
    for (int64_t first = 0; first < N; first += block)
        for (job->channel = 0; job->channel < job->shape->C; job->channel += LANES) {
            job->channels = least(LANES, job->shape->C - job->channel);
            add_block(job, first, least(block, N - first), gram);
        }
}

void gram_add_depthwise(struct gram *gram, const struct conv_shape *shape, const float *x,
                        const float *x_quantized, void *scratch)
{
    struct job job = {
        .shape = shape,
        .one = lanes_of(shape),
        .x = x,
        .x_quantized = x_quantized,
        .crossed = gram->cross != NULL && x != x_quantized,
        .at = workspace_at(shape, scratch),
    };
    struct gram_band largest = job.at.band, band;
    for (band.row = 0; band.row < shape->OH; band.row += largest.rows)
        for (band.column = 0; band.column < shape->OW; band.column += largest.columns) {
            band.rows = least(largest.rows, shape->OH - band.row);
            band.columns = least(largest.columns, shape->OW - band.column);
            add_band(&job, &band, gram);
        }
}
