/* Second moments for depthwise filters: per channel, all pairs of taps, by the shift structure
 * (gram_shift.h): 13 products of a place instead of 45 for a 3 × 3 filter.
 *
 * A vector is LANES channels of a place, where the samples are (gram_cells.h); of the last ones,
 * where there are fewer, those of the next place follow, and what comes of them is not used. As
 * many samples and channels as fit a second-level cache are taken at once. Reading them is the
 * bound: while products are made of some, the next ones are on their way.
 *
 * In float also where x̂ has codes: they would have to be made of x̂, which is read once for that. */

#include "gram_depthwise.h"

#include "gram_cells.h"
#include "gram_shift.h"
#include "gram_sizes.h"
#include "simd.h"

#include <string.h>

enum {
    LANES = GRAM_CELL_LANES, /* channels of a vector */
    PLACES = 1 << 12,        /* of a band */
    PLACES_LEAST = 1 << 9,   /* at once, of several samples: shorter loops cost more than they do */
    VECTORS = 1 << 12,       /* at once, if that is a plane: 256 KiB, a quarter of a common
                                second-level cache; twice as many take up to 2.4 times as long */
};

/* The same filter on channels that are not kept apart. */
static struct conv_shape joined(const struct conv_shape *shape)
{
    struct conv_shape one = *shape;
    one.G = 1;
    return one;
}

static int64_t at_least_one(int64_t count)
{
    return count < 1 ? 1 : count;
}

static int64_t divided_up(int64_t count, int64_t step)
{
    return (count + step - 1) / step;
}

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band;          /* the largest */
    int64_t planes, groups;         /* at once; a group is LANES channels */
    int64_t inner_step, cross_step; /* floats of a group */
    int64_t plane_bytes, inner_bytes, cross_bytes, inner_plan_bytes, cross_plan_bytes;
    float *x, *x_quantized;           /* a plane: of a sample, and what is read beyond */
    float *inner, *cross;             /* [groups][segments of rows][of columns][LANES] of a block */
    float *sum_quantized, *sum_float; /* the same, where a tap meets itself */
    void *inner_plan, *cross_plan;
};

static int64_t segment_floats(const struct conv_shape *shape, bool all)
{
    int64_t rows = gram_segments_most(shape->R, all), columns = gram_segments_most(shape->S, true);
    return rows * columns * LANES;
}

/* Of the whole lines of a sample that a band sees, at most, and what is read beyond. */
static int64_t plane_bytes(const struct conv_shape *shape, const struct gram_band *band)
{
    int64_t seen = (band->rows - 1) * shape->stride_h + (shape->R - 1) * shape->dilation_h + 1;
    int64_t floats = least(seen, shape->H) * shape->W * shape->C + LANES;
    return lines(floats * (int64_t)sizeof(float));
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct conv_shape one = joined(shape);
    struct workspace at = {
        .band = gram_band_of(&one, PLACES * shape->C, GRAM_BLOCK),
        .inner_step = segment_floats(shape, false),
        .cross_step = segment_floats(shape, true),
        .inner_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
        .cross_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, true)),
    };
    int64_t places = gram_band_lanes(&one, &at.band) / shape->C;
    int64_t all = divided_up(shape->C, LANES), some = divided_up(PLACES_LEAST, places);
    at.groups = least(all, at_least_one(VECTORS / (some * places)));
    at.groups = divided_up(all, divided_up(all, at.groups)); /* as many each time */
    at.planes = at_least_one(VECTORS / (at.groups * places));
    at.plane_bytes = shape->C % LANES == 0 ? 0 : plane_bytes(shape, &at.band);
    at.inner_bytes = at.groups * at.inner_step * (int64_t)sizeof(float);
    at.cross_bytes = at.groups * at.cross_step * (int64_t)sizeof(float);
    return at;
}

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(2 * (at.plane_bytes + at.inner_bytes + at.cross_bytes) + at.inner_plan_bytes +
                    at.cross_plan_bytes);
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.x = (float *)(void *)memory;
    at.x_quantized = (float *)(void *)(memory += at.plane_bytes);
    at.inner = (float *)(void *)(memory += at.plane_bytes);
    at.sum_quantized = (float *)(void *)(memory += at.inner_bytes);
    at.cross = (float *)(void *)(memory += at.inner_bytes);
    at.sum_float = (float *)(void *)(memory += at.cross_bytes);
    at.inner_plan = memory += at.cross_bytes;
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
    int64_t channel, groups;        /* at once: the first, and vectors of them */
};

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

/* Adds a block's products of some channels to matrices [channels][D][D]. */
static void flush_products(const struct gram_shift *shift, const float *products, int64_t channels,
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

/* Adds a block's sums to rows [channels][D]. */
static void flush_sums(const struct gram_shift *shift, const float *sums, int64_t channels,
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

static void block_clear(const struct job *job)
{
    memset(job->at.inner, 0, (size_t)job->at.inner_bytes);
    memset(job->at.sum_quantized, 0, (size_t)job->at.inner_bytes);
    if (!job->crossed)
        return;
    memset(job->at.cross, 0, (size_t)job->at.cross_bytes);
    memset(job->at.sum_float, 0, (size_t)job->at.cross_bytes);
}

static void group_flush(const struct job *job, int64_t group)
{
    const struct workspace *at = &job->at;
    struct gram *gram = job->gram;
    int64_t first = job->channel + group * LANES, channels = least(LANES, job->shape->C - first);
    const float *inner = at->inner + group * at->inner_step;
    const float *sum = at->sum_quantized + group * at->inner_step;
    int64_t row = first * gram->D, matrix = row * gram->D;
    flush_products(&job->inner, inner, channels, gram->inner + matrix);
    flush_sums(&job->inner, sum, channels, gram->sum_quantized + row);
    if (gram->cross == NULL)
        return;
    const struct gram_shift *shift = job->crossed ? &job->cross : &job->inner;
    const float *cross = job->crossed ? at->cross + group * at->cross_step : inner;
    const float *sum_float = job->crossed ? at->sum_float + group * at->cross_step : sum;
    flush_products(shift, cross, channels, gram->cross + matrix);
    flush_sums(shift, sum_float, channels, gram->sum_float + row);
}

/* Planes first … of some channels. */
struct batch {
    int64_t first, planes, channel;
};

/* Whether the vectors of a batch end in the samples. */
static bool ends_within(const struct job *job, const struct batch *batch)
{
    return job->shape->C % LANES == 0 || batch->first + batch->planes < job->shape->N;
}

static const float *batch_origin(const struct job *job, const float *x, const struct batch *batch)
{
    return x + gram_shift_origin(&job->inner, batch->first) + batch->channel;
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
    memcpy(copy, origin, (size_t)(floats - batch->channel) * sizeof(float));
    return copy;
}

/* `next`: the batch that follows, or this one. */
static void add_batch(const struct job *job, const struct batch *batch, const struct batch *next)
{
    const struct workspace *at = &job->at;
    const float *x_quantized = maps_of(job, job->x_quantized, batch, at->x_quantized);
    struct gram_cells maps = {
        .left = x_quantized,
        .right = x_quantized,
        .planes = batch->planes,
        .groups = job->groups,
        .group_step = LANES,
        .products_step = at->inner_step,
        .products = at->inner,
        .sums = at->sum_quantized,
        .ahead = batch_origin(job, job->x_quantized, next),
    };
    gram_cells_add(&job->inner, &maps);
    if (!job->crossed)
        return;
    maps.left = maps_of(job, job->x, batch, at->x);
    maps.products_step = at->cross_step;
    maps.products = at->cross;
    maps.sums = at->sum_float;
    maps.ahead = batch_origin(job, job->x, next);
    gram_cells_add(&job->cross, &maps);
}

/* As many planes as fit, of those up to `end`; the last plane of all alone if it is copied. */
static struct batch batch_at(const struct job *job, int64_t first, int64_t end)
{
    struct batch batch = {
        .first = first,
        .planes = least(job->at.planes, end - first),
        .channel = job->channel,
    };
    if (batch.planes > 1 && !ends_within(job, &batch))
        batch.planes--;
    return batch;
}

static void add_block(const struct job *job, int64_t first, int64_t samples)
{
    int64_t end = first + samples;
    block_clear(job);
    struct batch batch = batch_at(job, first, end), next = batch;
    for (; batch.first < end; batch = next) {
        next = batch_at(job, batch.first + batch.planes, end);
        bool last = next.first == end;
        struct batch ahead = last ? (struct batch){.first = first, .channel = job->channel} : next;
        add_batch(job, &batch, &ahead);
    }
    for (int64_t group = 0; group < job->groups; group++)
        group_flush(job, group);
}

/* All samples of a band. All channels of a block of samples follow one another, while it is in a
 * cache. */
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
    for (int64_t first = 0; first < N; first += block)
        for (job->channel = 0; job->channel < job->shape->C;
             job->channel += job->at.groups * LANES) {
            int64_t left = divided_up(job->shape->C - job->channel, LANES);
            job->groups = least(job->at.groups, left);
            add_block(job, first, least(block, N - first));
        }
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
