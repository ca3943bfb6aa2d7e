/* Second moments for depthwise filters: per channel, all pairs of taps, by the shift structure
 * (gram_shift.h): 13 products of a place instead of 45 for a 3 × 3 filter.
 *
 * Samples are copied, as many as fit a second-level cache, into maps of LANES channels each, where
 * a vector is all channels of a place (gram_cells.h). Reading them is the bound: while products are
 * made of some samples, the next ones are on their way, but the products of a 3 × 3 filter take no
 * longer than that.
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
    PLACES = 1 << 12,        /* of a band, ... */
    PLACES_FEW = 1 << 10,    /* ... and as many where all channels would not fit at once */
    VECTORS = 6 << 10,       /* copied at once, if that is a plane: 384 KiB, of a second-level
                                cache */
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

static int64_t at_least_one(int64_t count)
{
    return count < 1 ? 1 : count;
}

/* Vectors of so many channels. */
static int64_t groups_of(int64_t channels)
{
    return (channels + LANES - 1) / LANES;
}

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band;               /* the largest */
    int64_t planes, groups;              /* at once; a group is LANES channels */
    int64_t map, inner_step, cross_step; /* floats of a group */
    size_t map_bytes, inner_bytes, cross_bytes, inner_plan_bytes, cross_plan_bytes;
    float *x, *x_quantized;           /* [groups][planes][H][W][LANES] */
    float *inner, *cross;             /* [groups][segments of rows][of columns][LANES] of a block */
    float *sum_quantized, *sum_float; /* the same, where a tap meets itself */
    void *inner_plan, *cross_plan;
};

static int64_t segment_floats(const struct conv_shape *shape, bool all)
{
    int64_t rows = gram_segments_most(shape->R, all), columns = gram_segments_most(shape->S, true);
    return rows * columns * LANES;
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct conv_shape one = lanes_of(shape);
    int64_t places = least(PLACES, VECTORS / groups_of(shape->C));
    places = places < PLACES_FEW ? PLACES_FEW : places;
    struct workspace at = {
        .band = gram_band_of(&one, places * LANES, GRAM_BLOCK),
        .inner_step = segment_floats(shape, false),
        .cross_step = segment_floats(shape, true),
        .inner_plan_bytes = lines(gram_shift_plan_bytes(shape, false)),
        .cross_plan_bytes = lines(gram_shift_plan_bytes(shape, true)),
    };
    int64_t plane = gram_band_lanes(&one, &at.band);
    at.groups = least(groups_of(shape->C), at_least_one(VECTORS * LANES / plane));
    at.planes = at_least_one(VECTORS * LANES / (at.groups * plane));
    at.map = at.planes * plane;
    at.map_bytes = (size_t)(at.groups * at.map) * sizeof(float);
    at.inner_bytes = (size_t)(at.groups * at.inner_step) * sizeof(float);
    at.cross_bytes = (size_t)(at.groups * at.cross_step) * sizeof(float);
    return at;
}

size_t gram_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return 2 * (at.map_bytes + at.inner_bytes + at.cross_bytes) + at.inner_plan_bytes +
           at.cross_plan_bytes;
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.x = (float *)(void *)memory;
    at.x_quantized = (float *)(void *)(memory += at.map_bytes);
    at.inner = (float *)(void *)(memory += at.map_bytes);
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
    struct conv_shape one; /* of lanes_of */
    const float *x, *x_quantized;
    bool crossed; /* C is wanted and not H */
    struct workspace at;
    struct gram_shift inner, cross;
    int64_t channel, groups; /* of the maps: the first, and vectors of them */
};

/* The channels of a place, a vector to each group's maps. Where there are fewer, other places
 * follow, up to `end`: what comes of them is not used. */
KERN_CLONES static void copy_line(const float *from, const float *end, int64_t step, int64_t count,
                                  int64_t groups, int64_t map, float *out)
{
    for (int64_t w = 0; w < count; w++, from += step, out += LANES)
        for (int64_t g = 0; g < groups; g++) {
            const float *vector = from + g * LANES;
            if (end - vector >= LANES)
                *(lanes *)(out + g * map) = *(const lanes *)vector;
            else
                memcpy(out + g * map, vector, (size_t)(end - vector) * sizeof(float));
        }
}

/* The channels of samples first …, one plane each. */
static void copy_planes(const struct job *job, const float *x, int64_t first, int64_t planes,
                        float *out)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_shift *shift = &job->inner;
    const float *end = x + conv_input_elements(shape);
    for (int64_t n = first; n < first + planes; n++)
        for (int64_t h = 0; h < shift->H; h++, out += shift->line) {
            int64_t line = (n * shape->H + shift->h + h) * shape->W + shift->w;
            copy_line(x + line * shape->C + job->channel, end, shape->C, shift->W, job->groups,
                      job->at.map, out);
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
    memset(job->at.inner, 0, job->at.inner_bytes);
    memset(job->at.sum_quantized, 0, job->at.inner_bytes);
    if (!job->crossed)
        return;
    memset(job->at.cross, 0, job->at.cross_bytes);
    memset(job->at.sum_float, 0, job->at.cross_bytes);
}

static void group_flush(const struct job *job, int64_t group, struct gram *gram)
{
    const struct workspace *at = &job->at;
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

/* Where the planes behind those from `first` on are, if all that is copied of them is in one piece.
 */
static const float *planes_behind(const struct job *job, const float *x, int64_t first,
                                  int64_t planes)
{
    const struct gram_shift *shift = &job->inner;
    bool whole = job->groups * LANES >= job->shape->C && shift->W == job->shape->W &&
                 (shift->H == job->shape->H || job->at.planes == 1);
    if (!whole || first + planes >= job->shape->N)
        return NULL;
    struct gram_shift all = job->inner;
    all.shape = job->shape;
    return x + gram_shift_origin(&all, first + planes);
}

static void add_planes(const struct job *job, int64_t first, int64_t planes)
{
    const struct workspace *at = &job->at;
    struct gram_cells maps = {
        .left = at->x_quantized,
        .right = at->x_quantized,
        .planes = planes,
        .groups = job->groups,
        .group_step = at->map,
        .products_step = at->inner_step,
        .products = at->inner,
        .sums = at->sum_quantized,
        .ahead = planes_behind(job, job->x_quantized, first, planes),
        .ahead_step = job->shape->C / job->groups,
    };
    copy_planes(job, job->x_quantized, first, planes, at->x_quantized);
    gram_cells_add(&job->inner, &maps);
    if (!job->crossed)
        return;
    copy_planes(job, job->x, first, planes, at->x);
    maps.left = at->x;
    maps.products_step = at->cross_step;
    maps.products = at->cross;
    maps.sums = at->sum_float;
    maps.ahead = planes_behind(job, job->x, first, planes);
    gram_cells_add(&job->cross, &maps);
}

static void add_block(const struct job *job, int64_t first, int64_t samples, struct gram *gram)
{
    block_clear(job);
    for (int64_t done = 0; done < samples; done += job->at.planes)
        add_planes(job, first + done, least(job->at.planes, samples - done));
    for (int64_t group = 0; group < job->groups; group++)
        group_flush(job, group, gram);
}

/* All samples of a band. All channels of a block of samples follow one another, while it is in a
 * cache. */
static void add_band(struct job *job, const struct gram_band *band, struct gram *gram)
{
    int64_t N = job->shape->N, block = GRAM_BLOCK / (band->rows * band->columns);
    gram_shift_plan(&job->one, band, false, job->at.inner_plan, &job->inner);
    gram_shift_plan(&job->one, band, true, job->at.cross_plan, &job->cross);
    for (int64_t first = 0; first < N; first += block)
        for (job->channel = 0; job->channel < job->shape->C;
             job->channel += job->at.groups * LANES) {
            job->groups = least(job->at.groups, groups_of(job->shape->C - job->channel));
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
