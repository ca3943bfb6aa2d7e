/* Second moments for depthwise filters: per channel, all pairs of taps, by the shift structure
 * (gram_shift.h): 13 products of a place instead of 45 for a 3 × 3 filter.
 *
 * A vector is LANES channels of a place, where the samples are (gram_cells.h); of the last ones,
 * where there are fewer, those of the next place follow, and what comes of them is not used.
 * Reading the samples is the bound: a layer of MobileNetV2 has 5 to 6 operations for a byte, 4 with
 * stride 2, and memory that streams at 20 GB/s gives it 60 to 100 % of a peak of 117 GFLOP/s if
 * nothing else takes time; 38 to 88 % are reached. It is half as fast where not all of a line is
 * read at once: so all channels of as many samples, or rows of one, as fit a second-level cache are
 * taken, and while products are made of them, those that follow are on their way. */

#include "gram_depthwise.h"

#include "gram_cells.h"
#include "gram_shift.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    LANES = GRAM_CELL_LANES, /* channels of a vector */
    PLACES = 1 << 14,        /* of a band */
    VECTORS = 1 << 13,       /* at once: 512 KiB, half of a common second-level cache, ... */
    POSITIONS = 300,         /* ... or as many as fewer positions than these have, for sums take
                                longer than few places do: 0.8 of the time for 7 × 7 × 960, 0.9 for
                                14 × 14 × 576 with stride 2; ... */
    VECTORS_MOST = 5 << 12,  /* ... up to a whole cache and more */
};

/* Sums of products [groups][segments of rows][of columns][LANES], and as many of values behind
 * them, where a tap meets itself; of a block in float32, of a band in float64. */
struct sums {
    int64_t step, count; /* of a group, and of all */
    float *block;
    double *band;
};

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t planes, rows;  /* at once; or so many rows of one plane */
    int64_t groups;        /* of LANES channels */
    int64_t plane_bytes, inner_plan_bytes, cross_plan_bytes;
    float *x, *x_quantized; /* a plane: of a sample, and what is read beyond */
    struct sums inner, cross;
    void *inner_plan, *cross_plan;
};

/* For so many segments. */
static struct sums sums_of(const struct conv_shape *shape, int64_t rows, int64_t columns)
{
    int64_t step = rows * columns * LANES;
    return (struct sums){.step = step, .count = divided_up(shape->C, LANES) * step};
}

static struct sums most_sums(const struct conv_shape *shape, bool all)
{
    return sums_of(shape, gram_segments_most(shape->R, all), gram_segments_most(shape->S, true));
}

static int64_t sums_bytes(const struct sums *sums)
{
    return 2 * sums->count * (int64_t)(sizeof(*sums->block) + sizeof(*sums->band));
}

static void place_sums(struct sums *sums, void *memory)
{
    sums->band = memory;
    sums->block = (float *)(sums->band + 2 * sums->count);
}

/* Of the whole lines of a sample that a band sees, at most, and what is read beyond. */
static int64_t plane_bytes(const struct conv_shape *shape, const struct gram_band *band)
{
    int64_t seen = (band->rows - 1) * shape->stride_h + (shape->R - 1) * shape->dilation_h + 1;
    int64_t floats = least(seen, shape->H) * shape->W * shape->C + LANES;
    return lines(floats * (int64_t)sizeof(float));
}

/* Planes of so many vectors each. */
static int64_t planes_at_once(const struct gram_band *band, int64_t vectors)
{
    int64_t wanted = POSITIONS / (band->rows * band->columns);
    int64_t fit = VECTORS / vectors, most = least(wanted, VECTORS_MOST / vectors);
    return at_least_one(fit > most ? fit : most);
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct conv_shape one = joined(shape);
    struct workspace at = {
        .band = gram_band_of(&one, PLACES * shape->C, GRAM_BLOCK),
        .inner = most_sums(shape, false),
        .cross = most_sums(shape, true),
        .inner_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
        .cross_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, true)),
    };
    int64_t places = gram_band_lanes(&one, &at.band) / shape->C;
    at.groups = divided_up(shape->C, LANES);
    at.planes = planes_at_once(&at.band, at.groups * places);
    at.rows = at_least_one(VECTORS / (at.groups * shape->W));
    at.plane_bytes = shape->C % LANES == 0 ? 0 : plane_bytes(shape, &at.band);
    return at;
}

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(2 * at.plane_bytes + sums_bytes(&at.inner) + sums_bytes(&at.cross) +
                    at.inner_plan_bytes + at.cross_plan_bytes);
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.x = (float *)(void *)memory;
    at.x_quantized = (float *)(void *)(memory += at.plane_bytes);
    place_sums(&at.inner, memory += at.plane_bytes);
    place_sums(&at.cross, memory += sums_bytes(&at.inner));
    at.inner_plan = memory += sums_bytes(&at.cross);
    at.cross_plan = memory + at.inner_plan_bytes;
    return at;
}

/* What one call adds up. */
struct job {
    const struct conv_shape *shape;
    struct conv_shape one; /* of joined */
    struct gram *gram;
    const float *x, *x_quantized;
    bool crossed; /* C is wanted and not H */
    struct workspace at;
    struct gram_shift inner, cross; /* of samples where they are */
};

/* What two taps see: the sum of some segments. */
KERN_CLONES static void sum_segments(const struct gram_shift *shift, const double *segments,
                                     const struct gram_range *rows,
                                     const struct gram_range *columns, double *out)
{
    memset(out, 0, LANES * sizeof(*out));
    for (int64_t a = rows->begin; a < rows->end; a++)
        for (int64_t b = columns->begin; b < columns->end; b++)
            for (int c = 0; c < LANES; c++)
                out[c] += segments[(a * shift->columns.count + b) * LANES + c];
}

/* Adds a band's products of some channels to matrices [channels][D][D]. */
static void flush_products(const struct gram_shift *shift, const double *products, int64_t channels,
                           double *gram)
{
    int64_t R = shift->shape->R, S = shift->shape->S, D = R * S;
    for (int64_t tap = 0; tap < D; tap++)
        for (int64_t other = shift->all ? 0 : tap; other < D; other++) {
            double sum[LANES];
            sum_segments(shift, products, &shift->rows.range[tap / S * R + other / S],
                         &shift->columns.range[tap % S * S + other % S], sum);
            for (int64_t c = 0; c < channels; c++) {
                gram[(c * D + tap) * D + other] += sum[c];
                if (!shift->all && tap != other)
                    gram[(c * D + other) * D + tap] += sum[c];
            }
        }
}

/* Adds a band's sums to rows [channels][D]. */
static void flush_sums(const struct gram_shift *shift, const double *sums, int64_t channels,
                       double *out)
{
    int64_t R = shift->shape->R, S = shift->shape->S, D = R * S;
    for (int64_t tap = 0; tap < D; tap++) {
        double sum[LANES];
        sum_segments(shift, sums, &shift->rows.range[tap / S * (R + 1)],
                     &shift->columns.range[tap % S * (S + 1)], sum);
        for (int64_t c = 0; c < channels; c++)
            out[c * D + tap] += sum[c];
    }
}

static void block_clear(const struct sums *sums)
{
    memset(sums->block, 0, (size_t)(2 * sums->count) * sizeof(*sums->block));
}

KERN_CLONES static void block_flush(const struct sums *sums)
{
    for (int64_t i = 0; i < 2 * sums->count; i++)
        sums->band[i] += (double)sums->block[i];
}

/* Of the segments that there are: far fewer than most. */
static void band_clear(const struct gram_shift *shift, struct sums *sums)
{
    void *memory = sums->band;
    *sums = sums_of(shift->shape, shift->rows.count, shift->columns.count);
    place_sums(sums, memory);
    memset(sums->band, 0, (size_t)(2 * sums->count) * sizeof(*sums->band));
}

static void group_flush(const struct job *job, int64_t group)
{
    const struct workspace *at = &job->at;
    struct gram *gram = job->gram;
    int64_t first = group * LANES, channels = least(LANES, job->shape->C - first);
    const double *inner = at->inner.band + group * at->inner.step, *sum = inner + at->inner.count;
    int64_t row = first * gram->D, matrix = row * gram->D;
    flush_products(&job->inner, inner, channels, gram->inner + matrix);
    flush_sums(&job->inner, sum, channels, gram->sum_quantized + row);
    if (gram->cross == NULL)
        return;
    const struct gram_shift *shift = job->crossed ? &job->cross : &job->inner;
    const double *cross = job->crossed ? at->cross.band + group * at->cross.step : inner;
    const double *sum_float = job->crossed ? cross + at->cross.count : sum;
    flush_products(shift, cross, channels, gram->cross + matrix);
    flush_sums(shift, sum_float, channels, gram->sum_float + row);
}

/* Rows of some planes. */
struct batch {
    int64_t first, planes;
    int64_t row, rows;
};

/* Whether the vectors of a batch end in the samples: not those of the very last place. */
static bool ends_within(const struct job *job, const struct batch *batch)
{
    const struct conv_shape *shape = job->shape;
    int64_t seen = batch->row + batch->rows + (shape->R - 1) * shape->dilation_h;
    return shape->C % LANES == 0 || batch->first + batch->planes < shape->N || seen < shape->H;
}

static const float *batch_origin(const struct job *job, const float *x, const struct batch *batch)
{
    return x + gram_shift_origin(&job->inner, batch->first);
}

/* Where its maps are: a last plane is copied, with its lines as far apart as they were. */
static const float *maps_of(const struct job *job, const float *x, const struct batch *batch,
                            float *copy)
{
    const struct gram_shift *shift = &job->inner;
    const float *origin = batch_origin(job, x, batch);
    if (ends_within(job, batch))
        return origin;
    int64_t floats = ((shift->H - 1) * shift->shape->W + shift->W) * shift->shape->C;
    memcpy(copy, origin, (size_t)floats * sizeof(float));
    return copy;
}

/* What follows the rows of a batch in memory. */
static uintptr_t behind(const struct job *job, const float *x, const struct batch *batch)
{
    const struct gram_shift *shift = &job->inner;
    int64_t end = batch->row + batch->rows - shift->h;
    int64_t floats = end < shift->H ? end * shift->line : batch->planes * shift->plane;
    return (uintptr_t)batch_origin(job, x, batch) + (uintptr_t)floats * sizeof(float);
}

static void add_batch(const struct job *job, const struct batch *batch)
{
    const struct workspace *at = &job->at;
    const float *x_quantized = maps_of(job, job->x_quantized, batch, at->x_quantized);
    struct gram_cells maps = {
        .left = (const uint8_t *)x_quantized,
        .right = (const uint8_t *)x_quantized,
        .element = sizeof(float),
        .planes = batch->planes,
        .groups = at->groups,
        .group_step = LANES * sizeof(float),
        .products_step = at->inner.step * (int64_t)sizeof(float),
        .products = (uint8_t *)at->inner.block,
        .sums = (uint8_t *)(at->inner.block + at->inner.count),
        .first_row = batch->row,
        .rows = batch->rows,
        .ahead = behind(job, job->x_quantized, batch),
    };
    gram_cells_add(&job->inner, &maps);
    if (!job->crossed)
        return;
    maps.left = (const uint8_t *)maps_of(job, job->x, batch, at->x);
    maps.products_step = at->cross.step * (int64_t)sizeof(float);
    maps.products = (uint8_t *)at->cross.block;
    maps.sums = (uint8_t *)(at->cross.block + at->cross.count);
    maps.ahead = behind(job, job->x, batch);
    gram_cells_add(&job->cross, &maps);
}

/* As many planes as fit, of those up to `end`; the last plane of all alone if it is copied. */
static struct batch batch_at(const struct job *job, int64_t first, int64_t end)
{
    struct batch batch = {
        .first = first,
        .planes = least(job->at.planes, end - first),
        .row = job->inner.h,
        .rows = job->inner.H,
    };
    if (batch.planes > 1 && !ends_within(job, &batch))
        batch.planes--;
    return batch;
}

/* Some rows at a time where a plane does not fit. */
static void add_planes(const struct job *job, const struct batch *planes)
{
    int64_t parts = planes->planes > 1 ? 1 : divided_up(planes->rows, job->at.rows);
    int64_t step = divided_up(planes->rows, parts), end = planes->row + planes->rows;
    struct batch batch = *planes;
    for (; batch.row < end; batch.row += step) {
        batch.rows = least(step, end - batch.row);
        add_batch(job, &batch);
    }
}

static void add_block(const struct job *job, int64_t first, int64_t samples)
{
    int64_t end = first + samples;
    block_clear(&job->at.inner);
    if (job->crossed)
        block_clear(&job->at.cross);
    while (first < end) {
        struct batch batch = batch_at(job, first, end);
        add_planes(job, &batch);
        first += batch.planes;
    }
    block_flush(&job->at.inner);
    if (job->crossed)
        block_flush(&job->at.cross);
}

static void add_band(void *context, const struct gram_band *band)
{
    struct job *job = context;
    int64_t N = job->shape->N, block = GRAM_BLOCK / (band->rows * band->columns);
    gram_shift_plan(&job->one, band, false, job->at.inner_plan, &job->inner);
    gram_shift_plan(&job->one, band, true, job->at.cross_plan, &job->cross);
    if (job->inner.H == 0 || job->inner.W == 0)
        return; /* nothing but padding */
    job->inner = gram_shift_in_place(&job->inner);
    job->cross = gram_shift_in_place(&job->cross);
    band_clear(&job->inner, &job->at.inner);
    if (job->crossed)
        band_clear(&job->cross, &job->at.cross);
    for (int64_t first = 0; first < N; first += block)
        add_block(job, first, least(block, N - first));
    for (int64_t group = 0; group < job->at.groups; group++)
        group_flush(job, group);
}

void gram_add_depthwise(struct gram *gram, const struct conv_shape *shape, const float *x,
                        const float *x_quantized, void *scratch)
{
    struct job job = {
        .shape = shape,
        .one = joined(shape),
        .gram = gram,
        .x = x,
        .x_quantized = x_quantized,
        .crossed = gram->cross != NULL && x != x_quantized,
        .at = workspace_at(shape, scratch),
    };
    gram_each_band(shape, &job.at.band, add_band, &job);
}
