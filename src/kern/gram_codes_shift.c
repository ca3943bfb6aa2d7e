/* Moments of codes by the shift structure (gram_shift.h, gram_codes_ways.h). A plane is four
 * samples side by side, so that places may be shifted at will and no column is ever packed: a map
 * costs C bytes a place. Samples that are missing in a last plane have codes of 0, which add
 * nothing to products and sums. For few channels, a plane is GRAM_LANES times as many samples side
 * by side (gram_lanes.h), and a map 64 bytes a place and channel.
 *
 * A pair of taps is summed over the places where both are on the map; so S_i and S_j are sums over
 * two rectangles of the map that depend on the pair. They come from a table of sums over all
 * samples, in which every place holds the sum of those above and to the left of it, a stride apart;
 * modulo 2^32, for a rectangle's sum itself fits. Of one tap there is one rectangle, whose sums are
 * made with the products. */

#include "gram_codes_ways.h"
#include "gram_lanes.h"
#include "gram_pack.h"
#include "gram_squares.h"
#include "gram_sums.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    LANES = 1 << 16, /* of the maps at once: 256 KiB, a quarter of a common second-level cache; of
                        samples side by side twice as much */
    SIDE_BY_SIDE = GRAM_LANES * GRAM_QUAD, /* samples */
};

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t samples;       /* of a plane */
    int64_t planes;        /* at once */
    int64_t map_bytes, products_bytes, sums_bytes, lanes_bytes, table_bytes, plan_bytes;
    int32_t *products; /* of gram_shift.h */
    int32_t *lanes;    /* sums of gram_lanes.h, where samples are side by side */
    int32_t *sums;     /* [G][C, rounded up] where there is one rectangle of places; or ... */
    uint32_t *table;   /* ... [H][W][C] */
    uint8_t *codes;    /* [planes][H][W][C] quads */
    void *plan;
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct workspace at = {
        .band = gram_band_of(shape, LANES, GRAM_CODES_BLOCK / GRAM_QUAD),
        .samples = GRAM_QUAD,
        .products_bytes = lines((int64_t)gram_shift_products_bytes(shape, false)),
        .sums_bytes =
            shape->G * round_up(shape->C / shape->G, GRAM_LANES) * (int64_t)sizeof(int32_t),
        .plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
    };
    int64_t lanes = gram_band_lanes(shape, &at.band);
    at.planes = lanes < LANES ? LANES / lanes : 1;
    at.table_bytes = lines(lanes * GRAM_QUAD + GRAM_BEYOND);
    at.map_bytes = lines(at.planes * lanes * GRAM_QUAD + GRAM_BEYOND);
    return at;
}

/* A filter of one tap sees places a stride apart, and no others: without padding they are a smaller
 * map, of which all is seen. */
static struct conv_shape seen_of(const struct conv_shape *samples)
{
    struct conv_shape seen = *samples;
    int64_t bottom = (samples->OH - 1) * samples->stride_h;
    int64_t right = (samples->OW - 1) * samples->stride_w;
    if (samples->R * samples->S > 1 || samples->pad_top != 0 || samples->pad_left != 0 ||
        bottom >= samples->H || right >= samples->W)
        return seen;
    seen.H = seen.OH;
    seen.W = seen.OW;
    seen.stride_h = seen.stride_w = 1;
    seen.pad_bottom = seen.pad_right = 0;
    return seen;
}

/* Maps have the same room however samples are folded, which depends on N. */
static struct workspace workspace_of_lanes(const struct conv_shape *shape)
{
    enum { VECTORS = 2 * LANES / GRAM_LANES };
    struct workspace at = {
        .band = gram_band_of(shape, VECTORS, GRAM_CODES_BLOCK / SIDE_BY_SIDE),
        .samples = SIDE_BY_SIDE,
        .products_bytes = lines((int64_t)gram_shift_products_bytes(shape, false)),
        .lanes_bytes = (int64_t)gram_lanes_sums_bytes(shape, false),
        .plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
    };
    int64_t vectors = gram_band_lanes(shape, &at.band);
    int64_t room = gram_lanes_map_vectors(shape, VECTORS);
    at.planes = vectors < VECTORS ? VECTORS / vectors : 1;
    at.table_bytes = lines(room * GRAM_QUAD + GRAM_BEYOND);
    at.map_bytes = room * GRAM_VECTOR;
    return at;
}

static size_t bytes_of(const struct workspace *at)
{
    return (size_t)(at->products_bytes + at->sums_bytes + at->lanes_bytes + at->table_bytes +
                    at->map_bytes + at->plan_bytes);
}

size_t gram_codes_shift_scratch_bytes(const struct conv_shape *shape)
{
    struct conv_shape seen = seen_of(shape);
    struct workspace at = workspace_of(&seen);
    return bytes_of(&at);
}

size_t gram_codes_lanes_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of_lanes(shape);
    return bytes_of(&at);
}

static void place_workspace(struct workspace *at, void *scratch)
{
    uint8_t *memory = scratch;
    at->products = scratch;
    at->sums = (int32_t *)(void *)(memory += at->products_bytes);
    at->lanes = (int32_t *)(void *)(memory += at->sums_bytes);
    at->table = (uint32_t *)(void *)(memory += at->lanes_bytes);
    at->codes = memory += at->table_bytes;
    at->plan = memory + at->map_bytes;
}

/* What one call adds up. */
struct job {
    const struct gram_version *version;
    const struct conv_shape *source; /* samples as they are */
    const struct conv_shape *shape;  /* of the places seen, or of parts of samples */
    const struct gram_lanes *lanes;  /* or NULL: four samples side by side */
    const struct gram_grid *grid;
    const struct gram *gram;
    struct workspace at;
    struct gram_shift shift;
    const uint8_t *codes; /* [N][H][W][C] */
    int64_t g, samples;   /* of the block that is flushed */
};

/* A run of up to four samples; the others' is that of the first. */
static void samples_at(const struct job *job, int64_t samples, int64_t offset,
                       const uint8_t *out[GRAM_QUAD])
{
    const struct conv_shape *source = job->source;
    int64_t sample = source->H * source->W * source->C;
    for (int64_t t = 0; t < GRAM_QUAD; t++)
        out[t] = job->codes + offset + (t < samples ? t : 0) * sample;
}

/* The places of a plane that are seen, where they are not all. */
static void pack_seen(const struct job *job, int64_t first, int64_t samples, uint8_t *out)
{
    const struct conv_shape *source = job->source;
    const struct gram_shift *shift = &job->shift;
    int64_t C = source->C, w = shift->w * source->stride_w;
    for (int64_t row = 0; row < shift->H; row++, out += shift->line * GRAM_QUAD) {
        const uint8_t *from[GRAM_QUAD];
        int64_t h = (shift->h + row) * source->stride_h;
        samples_at(job, samples, ((first * source->H + h) * source->W + w) * C, from);
        gram_pack_places(from, shift->W, source->stride_w * C, C, out);
    }
}

static void pack_all(const struct job *job, int64_t first, int64_t samples, uint8_t *out)
{
    const struct gram_shift *shift = &job->shift;
    for (int64_t i = 0; i < gram_shift_runs(shift); i++) {
        const uint8_t *from[GRAM_QUAD];
        struct gram_run run = gram_shift_run(shift, first, i);
        samples_at(job, samples, run.sample, from);
        gram_pack_places(from, 1, 0, run.length, out + run.plane * GRAM_QUAD);
    }
}

/* One plane: up to four samples. */
static void pack_plane(const struct job *job, int64_t first, int64_t samples, int64_t plane)
{
    const struct conv_shape *source = job->source, *seen = job->shape;
    int64_t bytes = gram_shift_lanes(&job->shift) * GRAM_QUAD;
    uint8_t *codes = job->at.codes + plane * bytes;
    if (source->H == seen->H && source->W == seen->W)
        pack_all(job, first, samples, codes);
    else
        pack_seen(job, first, samples, codes);
    gram_quad_clear(samples, bytes, codes);
}

static void make_table(const struct job *job)
{
    const struct conv_shape *shape = job->shape;
    int64_t place = shape->C, line = job->shift.W * place;
    for (int64_t h = 0; h < job->shift.H; h++)
        gram_sums_accumulate(job->at.table + h * line, line, shape->stride_w * place);
    gram_sums_accumulate(job->at.table, job->shift.H * line, shape->stride_h * line);
}

static bool sums_with_products(const struct job *job)
{
    return job->lanes == NULL && gram_shift_is_single(&job->shift);
}

/* The sums of `count` channels from c of the group over the places of a pair's first tap, `down`
 * and `right` from there. */
static void rectangle_sums(const struct job *job, const struct gram_pair *pair, int64_t down,
                           int64_t right, int64_t c, int64_t count, double *out)
{
    if (sums_with_products(job)) {
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)job->at.sums[job->g * job->shift.width + c + i];
        return;
    }
    const struct conv_shape *shape = job->shape;
    const struct gram_shift *shift = &job->shift;
    int64_t top = pair->rows.first + down - shift->h - shape->stride_h;
    int64_t left = pair->columns.first + right - shift->w - shape->stride_w;
    int64_t bottom = top + pair->rows.count * shape->stride_h;
    int64_t end = left + pair->columns.count * shape->stride_w;
    const uint32_t *table = job->at.table + job->g * shift->C + c;
    int64_t place = job->shape->C, line = shift->W * place;
    for (int64_t i = 0; i < count; i++, table++) {
        uint32_t sum = table[bottom * line + end * place];
        sum -= top >= 0 ? table[top * line + end * place] : 0;
        sum -= left >= 0 ? table[bottom * line + left * place] : 0;
        sum += top >= 0 && left >= 0 ? table[top * line + left * place] : 0;
        out[i] = (double)sum;
    }
}

/* All numbers but the scaled ones are whole and below 2^53. */
KERN_CLONES static void fill_square_codes(const void *context, const struct gram_pair *pair,
                                          struct gram_square *square)
{
    const struct job *job = context;
    double zero = (double)job->grid->zero, scale = (double)job->grid->scale, area = scale * scale;
    double corner = (double)(job->samples * pair->rows.count * pair->columns.count) * zero * zero;
    double shift_i = job->lanes != NULL ? 0 : (double)GRAM_SHIFT; /* which codes were shifted */
    double shift_j = (double)GRAM_SHIFT - shift_i;
    double sum_i[GRAM_SQUARE], sum_j[GRAM_SQUARE];
    rectangle_sums(job, pair, 0, 0, square->i, square->rows, sum_i);
    rectangle_sums(job, pair, pair->down, pair->right, square->j, square->columns, sum_j);
    const int32_t *matrix = pair->matrix;
    for (int64_t i = 0; i < square->rows; i++) {
        int32_t sum[GRAM_SQUARE] = {0};
        for (int64_t a = 0; a < pair->rows.end - pair->rows.begin; a++)
            for (int64_t b = 0; b < pair->columns.end - pair->columns.begin; b++) {
                const int32_t *row = matrix + a * pair->row_step + b * pair->step +
                                     (square->i + i) * job->shift.width + square->j;
                for (int64_t j = 0; j < square->columns; j++)
                    sum[j] += row[j];
            }
        double of_row = corner + (shift_i - zero) * sum_i[i];
        for (int64_t j = 0; j < square->columns; j++) {
            double of_column = (shift_j - zero) * sum_j[j];
            square->value[i][j] = area * ((double)sum[j] + of_row + of_column);
        }
    }
}

static void add_tap_sums(const struct job *job, const struct gram_pair *pair)
{
    int64_t C = job->shift.C, places = job->samples * pair->rows.count * pair->columns.count;
    double zeros = (double)places * (double)job->grid->zero, scale = (double)job->grid->scale;
    double *out = job->gram->sum_quantized + job->g * job->gram->D + pair->row;
    for (int64_t c = 0; c < C; c++) {
        double sum;
        rectangle_sums(job, pair, 0, 0, c, 1, &sum);
        out[c] += scale * (sum - zeros);
    }
}

/* A pair of taps of one channel, as fill_square_codes has it: most of a call's time, if it has few
 * samples and many taps. */
static void use_single(const struct job *job, const struct gram_pair *pair)
{
    double zero = (double)job->grid->zero, scale = (double)job->grid->scale, area = scale * scale;
    double places = (double)(job->samples * pair->rows.count * pair->columns.count);
    double sum_i, sum_j;
    int32_t sum = 0;
    rectangle_sums(job, pair, 0, 0, 0, 1, &sum_i);
    rectangle_sums(job, pair, pair->down, pair->right, 0, 1, &sum_j);
    for (int64_t a = 0; a < pair->rows.end - pair->rows.begin; a++)
        for (int64_t b = 0; b < pair->columns.end - pair->columns.begin; b++)
            sum += ((const int32_t *)pair->matrix)[a * pair->row_step + b * pair->step];
    double of_columns = ((double)GRAM_SHIFT - zero) * sum_j - zero * sum_i;
    gram_pair_add_single(pair, area * ((double)sum + of_columns + places * zero * zero),
                         job->shift.all, job->gram->D,
                         job->gram->inner + job->g * job->gram->D * job->gram->D);
}

static void use_pair(void *context, const struct gram_pair *pair)
{
    const struct job *job = context;
    int64_t D = job->gram->D;
    if (job->shift.C == 1 && job->lanes != NULL)
        use_single(job, pair);
    else
        gram_pair_add(&job->shift, pair, fill_square_codes, job, job->gram->inner + job->g * D * D);
    if (pair->same)
        add_tap_sums(job, pair);
}

/* Planes of quads with samples from `first` to `end`. */
static void add_planes(const struct job *job, int64_t first, int64_t end, int64_t planes)
{
    const struct workspace *at = &job->at;
    int64_t lanes = gram_shift_lanes(&job->shift);
    for (int64_t i = 0, n = first; i < planes; i++, n += GRAM_QUAD)
        pack_plane(job, n, least(GRAM_QUAD, end - n), i);
    bool single = sums_with_products(job);
    gram_shift_add(&job->shift, job->version->add_codes, at->codes, at->codes, planes, at->products,
                   single ? at->sums : NULL);
    if (!single)
        job->version->add_sums(at->codes, planes, lanes * GRAM_QUAD, lanes, (int32_t *)at->table);
}

/* The same for planes of more samples side by side. */
static void add_lanes(const struct job *job, int64_t first, int64_t planes)
{
    const struct workspace *at = &job->at;
    const struct gram_lanes_codes from = {job->codes, job->grid->zero, job->version->add_sums};
    int64_t step = gram_shift_lanes(&job->shift) * GRAM_VECTOR;
    for (int64_t i = 0, n = first; i < planes; i++, n += SIDE_BY_SIDE)
        gram_lanes_fill_codes(job->lanes, &job->shift, &from, n, at->codes + i * step,
                              (int32_t *)at->table);
    gram_lanes_add(&job->shift, job->version, true, at->codes, at->codes, planes, at->lanes);
}

/* Samples first … of the band, as many as the sums have room for. */
static void add_block(struct job *job, int64_t first, int64_t samples)
{
    const struct workspace *at = &job->at;
    int64_t end = first + samples;
    bool single = sums_with_products(job);
    gram_shift_clear(&job->shift, at->products);
    if (job->lanes != NULL)
        gram_lanes_clear(&job->shift, at->lanes);
    if (single)
        memset(at->sums, 0, (size_t)at->sums_bytes);
    else
        memset(at->table, 0, (size_t)at->table_bytes);
    for (int64_t n = first, planes; n < end; n += planes * at->samples) {
        planes = least(at->planes, (end - n + at->samples - 1) / at->samples);
        if (job->lanes != NULL)
            add_lanes(job, n, planes);
        else
            add_planes(job, n, end, planes);
    }
    if (job->lanes != NULL)
        gram_lanes_products_codes(&job->shift, at->lanes, at->products);
    if (!single)
        make_table(job);
    job->samples = samples;
    for (job->g = 0; job->g < job->shape->G; job->g++)
        gram_shift_each_pair(&job->shift, at->products, job->g, use_pair, job);
}

static void add_band(void *context, const struct gram_band *band)
{
    struct job *job = context;
    int64_t positions = band->rows * band->columns, samples = job->at.samples;
    int64_t N = job->shape->N, step = GRAM_CODES_BLOCK / positions / samples * samples;
    gram_shift_plan(job->shape, band, false, job->at.plan, &job->shift);
    if (job->lanes != NULL)
        job->shift = gram_shift_dense(&job->shift);
    if (job->shift.H == 0 || job->shift.W == 0)
        return; /* nothing but padding */
    for (int64_t n = 0; n < N; n += step)
        add_block(job, n, least(step, N - n));
}

void gram_codes_shift_add(const struct gram_version *version, struct gram *gram,
                          const struct conv_shape *shape, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch)
{
    struct conv_shape seen = seen_of(shape);
    struct job job = {
        .version = version,
        .source = shape,
        .shape = &seen,
        .grid = grid,
        .gram = gram,
        .at = workspace_of(&seen),
        .codes = codes,
    };
    place_workspace(&job.at, scratch);
    gram_each_band(job.shape, &job.at.band, add_band, &job);
}

void gram_codes_lanes_add(const struct gram_version *version, struct gram *gram,
                          const struct conv_shape *shape, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch)
{
    struct gram_lanes lanes = gram_lanes_of(shape, SIDE_BY_SIDE);
    struct job job = {
        .version = version,
        .source = shape,
        .shape = &lanes.parts,
        .lanes = &lanes,
        .grid = grid,
        .gram = gram,
        .at = workspace_of_lanes(&lanes.parts),
        .codes = codes,
    };
    place_workspace(&job.at, scratch);
    gram_each_band(job.shape, &job.at.band, add_band, &job);
}
