/* Moments of floats by the shift structure (gram_shift.h, gram_ways.h). A plane is a sample where
 * it is, or a copy where vectors would reach beyond the last one; or, for few channels, GRAM_LANES
 * samples side by side (gram_lanes.h), each with sums of its own until a block ends. Products are
 * made in float32 for at most GRAM_BLOCK positions, sums of columns in float64 of a few places
 * each. They come first, and bring the samples to a cache. C has all distances, for x and x̂ differ:
 * 25 of a 3 × 3 filter, of 81 pairs of taps. */

#include "gram_lanes.h"
#include "gram_squares.h"
#include "gram_sums.h"
#include "gram_ways.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    LANES = 1 << 17, /* of a map at once: half a MiB, of a second-level cache; ... */
};

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t samples;       /* of a plane */
    int64_t planes;        /* at once */
    int64_t map_bytes, sums_bytes, table_bytes, inner_lanes_bytes, cross_lanes_bytes;
    int64_t column_bytes, inner_bytes, cross_bytes, inner_plan_bytes, cross_plan_bytes;
    double *sums, *sums_quantized;   /* [segments of rows][of columns][C] */
    float *column_sums;              /* [G][C, rounded up] where there is one rectangle of places */
    double *table, *table_quantized; /* [H][W][C] sums of samples side by side */
    float *x, *x_quantized;          /* [planes][H][W][C] */
    float *inner_lanes, *cross_lanes; /* of gram_lanes.h, where samples are side by side */
    float *inner, *cross;             /* of gram_shift.h */
    void *inner_plan, *cross_plan;
};

/* For samples one after the other, but for the band and its maps. */
static struct workspace sized(const struct conv_shape *shape)
{
    int64_t segments = gram_segments_most(shape->R, false) * gram_segments_most(shape->S, true);
    return (struct workspace){
        .samples = 1,
        .sums_bytes = lines(segments * shape->C * (int64_t)sizeof(double)),
        .column_bytes =
            shape->G * round_up(shape->C / shape->G, GRAM_LANES) * (int64_t)sizeof(float),
        .inner_bytes = lines((int64_t)gram_shift_products_bytes(shape, false)),
        .cross_bytes = lines((int64_t)gram_shift_products_bytes(shape, true)),
        .inner_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
        .cross_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, true)),
    };
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct workspace at = sized(shape);
    at.band = gram_band_of(shape, LANES, GRAM_BLOCK);
    int64_t lanes = gram_band_lanes(shape, &at.band);
    at.planes = lanes < LANES ? LANES / lanes : 1;
    at.map_bytes = lines(at.planes * lanes * (int64_t)sizeof(float) + GRAM_BEYOND);
    return at;
}

/* Maps have the same room however samples are folded, which depends on N. */
static struct workspace workspace_of_lanes(const struct conv_shape *shape)
{
    enum { VECTORS = 2 * LANES / GRAM_LANES }; /* ... all of it where bands cost more: 0.92 */
    struct workspace at = sized(shape);
    at.samples = GRAM_LANES;
    at.band = gram_band_of(shape, VECTORS, GRAM_BLOCK);
    int64_t vectors = gram_band_lanes(shape, &at.band);
    int64_t room = gram_lanes_map_vectors(shape, VECTORS);
    at.planes = vectors < VECTORS ? VECTORS / vectors : 1;
    at.map_bytes = room * GRAM_VECTOR;
    at.table_bytes = lines(room * (int64_t)sizeof(double));
    at.inner_lanes_bytes = (int64_t)gram_lanes_sums_bytes(shape, false);
    at.cross_lanes_bytes = (int64_t)gram_lanes_sums_bytes(shape, true);
    return at;
}

static size_t bytes_of(const struct workspace *at)
{
    return (size_t)(2 * (at->map_bytes + at->sums_bytes + at->table_bytes) + at->inner_lanes_bytes +
                    at->cross_lanes_bytes + at->column_bytes + at->inner_bytes + at->cross_bytes +
                    at->inner_plan_bytes + at->cross_plan_bytes);
}

size_t gram_f32_shift_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return bytes_of(&at);
}

size_t gram_f32_lanes_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of_lanes(shape);
    return bytes_of(&at);
}

static void place_workspace(struct workspace *at, void *scratch)
{
    uint8_t *memory = scratch;
    at->sums = (double *)(void *)memory;
    at->sums_quantized = (double *)(void *)(memory += at->sums_bytes);
    at->column_sums = (float *)(void *)(memory += at->sums_bytes);
    at->table = (double *)(void *)(memory += at->column_bytes);
    at->table_quantized = (double *)(void *)(memory += at->table_bytes);
    at->x = (float *)(void *)(memory += at->table_bytes);
    at->x_quantized = (float *)(void *)(memory += at->map_bytes);
    at->inner_lanes = (float *)(void *)(memory += at->map_bytes);
    at->cross_lanes = (float *)(void *)(memory += at->inner_lanes_bytes);
    at->inner = (float *)(void *)(memory += at->cross_lanes_bytes);
    at->cross = (float *)(void *)(memory += at->inner_bytes);
    at->inner_plan = memory += at->cross_bytes;
    at->cross_plan = memory + at->inner_plan_bytes;
}

/* What one call adds up. */
struct job {
    const struct gram_version *version;
    const struct conv_shape *shape; /* of samples, or parts of them */
    const struct gram_lanes *lanes; /* or NULL: one sample after the other */
    const struct gram *gram;
    const float *x, *x_quantized;
    bool crossed; /* C is wanted and not H */
    struct workspace at;
    struct gram_shift inner, cross;
    int64_t g; /* of the block that is flushed */
};

/* Samples first … of the band, one plane each. */
static void copy_planes(const struct job *job, const float *x, int64_t first, int64_t planes,
                        float *out)
{
    const struct gram_shift *shift = &job->inner;
    for (int64_t n = first; n < first + planes; n++, out += gram_shift_lanes(shift))
        for (int64_t i = 0; i < gram_shift_runs(shift); i++) {
            struct gram_run run = gram_shift_run(shift, n, i);
            memcpy(out + run.plane, x + run.sample, (size_t)run.length * sizeof(float));
        }
}

static void add_channels(const struct gram_operands *at, double *out)
{
    int64_t step = at->inner.step / GRAM_QUAD;
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++) {
            const void *row = at->left + o * at->outer.step + m * at->middle.step;
            gram_sums_add(row, at->inner.count, step, at->columns, out);
        }
}

/* The sums of the rectangles in which a tap meets itself: all that any tap sees is made of them. */
static void add_sums(const struct gram_shift *shift, const float *x, int64_t planes, double *sums)
{
    for (int64_t a = 0; a < shift->rows.count; a++)
        for (int64_t b = 0; b < shift->columns.count; b++, sums += shift->shape->C) {
            if (shift->rows.segment[a].distance != 0 || shift->columns.segment[b].distance != 0)
                continue;
            struct gram_operands places = gram_shift_operands(shift, a, b, x, x, planes);
            add_channels(&places, sums);
        }
}

/* The sums of what one tap sees. */
static void use_sums(const struct job *job, const struct gram_pair *pair, const double *sums,
                     double *out)
{
    int64_t C = job->inner.C;
    out += job->g * job->gram->D + pair->row;
    for (int64_t a = pair->rows.begin; a < pair->rows.end; a++)
        for (int64_t b = pair->columns.begin; b < pair->columns.end; b++) {
            const double *at = sums + (a * job->inner.columns.count + b) * job->shape->C;
            for (int64_t c = 0; c < C; c++)
                out[c] += at[job->g * C + c];
        }
}

KERN_CLONES static void fill_square_f32(const void *context, const struct gram_pair *pair,
                                        struct gram_square *square)
{
    const struct job *job = context;
    for (int64_t i = 0; i < square->rows; i++) {
        double sum[GRAM_SQUARE] = {0};
        const float *matrix = pair->matrix;
        matrix += (square->i + i) * job->inner.width + square->j;
        for (int64_t a = 0; a < pair->rows.end - pair->rows.begin; a++)
            for (int64_t b = 0; b < pair->columns.end - pair->columns.begin; b++)
                for (int64_t j = 0; j < square->columns; j++)
                    sum[j] += (double)matrix[a * pair->row_step + b * pair->step + j];
        memcpy(square->value[i], sum, sizeof(sum));
    }
}

/* A pair of taps. */
static void add_pair(const struct job *job, const struct gram_shift *shift,
                     const struct gram_pair *pair, double *gram)
{
    if (shift->C > 1) {
        gram_pair_add(shift, pair, fill_square_f32, job, gram);
        return;
    }
    double sum = 0;
    for (int64_t a = 0; a < pair->rows.end - pair->rows.begin; a++)
        for (int64_t b = 0; b < pair->columns.end - pair->columns.begin; b++)
            sum += (double)((const float *)pair->matrix)[a * pair->row_step + b * pair->step];
    gram_pair_add_single(pair, sum, shift->all, job->gram->D, gram);
}

static void use_inner(void *context, const struct gram_pair *pair)
{
    const struct job *job = context;
    const struct gram *gram = job->gram;
    int64_t matrix = job->g * gram->D * gram->D;
    add_pair(job, &job->inner, pair, gram->inner + matrix);
    if (gram->cross != NULL && !job->crossed)
        add_pair(job, &job->inner, pair, gram->cross + matrix);
    if (!pair->same)
        return;
    use_sums(job, pair, job->at.sums_quantized, gram->sum_quantized);
    if (gram->cross != NULL)
        use_sums(job, pair, job->crossed ? job->at.sums : job->at.sums_quantized, gram->sum_float);
}

static void use_cross(void *context, const struct gram_pair *pair)
{
    const struct job *job = context;
    int64_t D = job->gram->D;
    add_pair(job, &job->cross, pair, job->gram->cross + job->g * D * D);
}

static void clear(const struct job *job)
{
    const struct workspace *at = &job->at;
    size_t table = (size_t)gram_shift_lanes(&job->inner) * sizeof(double);
    memset(at->sums_quantized, 0, (size_t)at->sums_bytes);
    memset(at->column_sums, 0, (size_t)at->column_bytes);
    gram_shift_clear(&job->inner, at->inner);
    if (job->lanes != NULL) {
        memset(at->table_quantized, 0, table);
        gram_lanes_clear(&job->inner, at->inner_lanes);
    }
    if (!job->crossed)
        return;
    memset(at->sums, 0, (size_t)at->sums_bytes);
    gram_shift_clear(&job->cross, at->cross);
    if (job->lanes != NULL) {
        memset(at->table, 0, table);
        gram_lanes_clear(&job->cross, at->cross_lanes);
    }
}

/* Whether vectors that start in one of the planes end in the samples. */
static bool ends_within(const struct job *job, int64_t first, int64_t planes)
{
    struct conv_shape behind = *job->shape;
    behind.N -= first + planes;
    return conv_input_elements(&behind) >= GRAM_LANES || job->inner.C % GRAM_LANES == 0;
}

static void add_planes(const struct job *job, int64_t first, int64_t planes)
{
    const struct workspace *at = &job->at;
    gram_add_products *add = job->version->add_floats;
    struct gram_shift inner = job->inner, cross = job->cross;
    const float *x = at->x, *x_quantized = at->x_quantized;
    if (ends_within(job, first, planes)) {
        inner = gram_shift_in_place(&inner);
        if (job->crossed)
            cross = gram_shift_in_place(&cross);
        x = job->x + gram_shift_origin(&inner, first);
        x_quantized = job->x_quantized + gram_shift_origin(&inner, first);
    } else {
        copy_planes(job, job->x_quantized, first, planes, at->x_quantized);
        if (job->crossed)
            copy_planes(job, job->x, first, planes, at->x);
    }
    bool single = gram_shift_is_single(&inner);
    if (!single)
        add_sums(&inner, x_quantized, planes, at->sums_quantized);
    gram_shift_add(&inner, add, x_quantized, x_quantized, planes, at->inner,
                   single ? at->column_sums : NULL);
    if (!job->crossed)
        return;
    add_sums(&inner, x, planes, at->sums);
    gram_shift_add(&cross, add, x, x_quantized, planes, at->cross, NULL);
}

/* What add_planes has left in sums of all its products. */
static void add_up_columns(const struct job *job)
{
    const struct gram_shift *shift = &job->inner;
    const float *from = job->at.column_sums;
    for (int64_t g = 0; g < shift->shape->G; g++, from += shift->width)
        for (int64_t c = 0; c < shift->C; c++)
            job->at.sums_quantized[g * shift->C + c] = (double)from[c];
}

static void fill_lanes(const struct job *job, const float *x, int64_t first, int64_t planes,
                       float *out, double *table)
{
    int64_t step = gram_shift_lanes(&job->inner) * GRAM_LANES;
    for (int64_t i = 0; i < planes; i++, first += GRAM_LANES, out += step)
        gram_lanes_fill(job->lanes, &job->inner, x, first, out, table);
}

/* The same for planes of samples side by side, whose sums wait in tables. */
static void add_lanes(const struct job *job, int64_t first, int64_t planes)
{
    const struct workspace *at = &job->at;
    fill_lanes(job, job->x_quantized, first, planes, at->x_quantized, at->table_quantized);
    gram_lanes_add(&job->inner, job->version, false, at->x_quantized, at->x_quantized, planes,
                   at->inner_lanes);
    if (!job->crossed)
        return;
    fill_lanes(job, job->x, first, planes, at->x, at->table);
    gram_lanes_add(&job->cross, job->version, false, at->x, at->x_quantized, planes,
                   at->cross_lanes);
}

/* What all lanes give together. */
static void add_up_lanes(const struct job *job)
{
    const struct workspace *at = &job->at;
    gram_lanes_products_f32(&job->inner, at->inner_lanes, at->inner);
    gram_lanes_add_channels(&job->inner, at->table_quantized, at->sums_quantized);
    if (!job->crossed)
        return;
    gram_lanes_products_f32(&job->cross, at->cross_lanes, at->cross);
    gram_lanes_add_channels(&job->inner, at->table, at->sums);
}

/* Samples first … of the band, as many as a block has room for. */
static void add_block(struct job *job, int64_t first, int64_t samples)
{
    const struct workspace *at = &job->at;
    clear(job);
    for (int64_t done = 0, planes; done < samples; done += planes * at->samples) {
        planes = least(at->planes, (samples - done + at->samples - 1) / at->samples);
        if (job->lanes != NULL)
            add_lanes(job, first + done, planes);
        else
            add_planes(job, first + done, planes);
    }
    if (job->lanes != NULL)
        add_up_lanes(job);
    else if (gram_shift_is_single(&job->inner))
        add_up_columns(job);
    for (job->g = 0; job->g < job->shape->G; job->g++) {
        gram_shift_each_pair(&job->inner, at->inner, job->g, use_inner, job);
        if (job->crossed)
            gram_shift_each_pair(&job->cross, at->cross, job->g, use_cross, job);
    }
}

static void add_band(void *context, const struct gram_band *band)
{
    struct job *job = context;
    int64_t N = job->shape->N, step = GRAM_BLOCK / (band->rows * band->columns);
    step *= job->at.samples;
    gram_shift_plan(job->shape, band, false, job->at.inner_plan, &job->inner);
    if (job->crossed)
        gram_shift_plan(job->shape, band, true, job->at.cross_plan, &job->cross);
    if (job->lanes != NULL) {
        job->inner = gram_shift_dense(&job->inner);
        job->cross = gram_shift_dense(&job->cross);
    }
    if (job->inner.H == 0 || job->inner.W == 0)
        return; /* nothing but padding */
    for (int64_t n = 0; n < N; n += step)
        add_block(job, n, least(step, N - n));
}

void gram_f32_shift_add(const struct gram_version *version, struct gram *gram,
                        const struct conv_shape *shape, const float *x, const float *x_quantized,
                        void *scratch)
{
    struct job job = {
        .version = version,
        .shape = shape,
        .gram = gram,
        .x = x,
        .x_quantized = x_quantized,
        .crossed = gram->cross != NULL && x != x_quantized,
        .at = workspace_of(shape),
    };
    place_workspace(&job.at, scratch);
    gram_each_band(job.shape, &job.at.band, add_band, &job);
}

void gram_f32_lanes_add(const struct gram_version *version, struct gram *gram,
                        const struct conv_shape *shape, const float *x, const float *x_quantized,
                        void *scratch)
{
    struct gram_lanes lanes = gram_lanes_of(shape, GRAM_LANES);
    struct job job = {
        .version = version,
        .shape = &lanes.parts,
        .lanes = &lanes,
        .gram = gram,
        .x = x,
        .x_quantized = x_quantized,
        .crossed = gram->cross != NULL && x != x_quantized,
        .at = workspace_of_lanes(&lanes.parts),
    };
    place_workspace(&job.at, scratch);
    gram_each_band(job.shape, &job.at.band, add_band, &job);
}
