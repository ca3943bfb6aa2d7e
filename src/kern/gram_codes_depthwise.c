/* Moments of codes for depthwise filters, by the shift structure (gram_shift.h, gram_codes_ways.h):
 * as gram_depthwise.c has them of floats, but of maps that are packed. A plane is four samples side
 * by side, as in gram_codes_shift.c; a vector is LANES channels of a place, and of the last ones,
 * where there are fewer, those of the next place follow, of which nothing is used. All channels of
 * as many planes, or rows of one, as fit a second-level cache are packed at once, so that samples
 * are read as they are in memory, and once.
 *
 * A pair of taps is summed over the places where both are on the map; S_i and S_j are sums over two
 * rectangles of these. Rows that all pairs see or miss alike, the classes below, have one line of
 * sums in a table, in which every place holds the sum of those to the left of it, a stride apart;
 * modulo 2^32, for a rectangle's sum itself fits. */

#include "gram_cells.h"
#include "gram_codes_ways.h"
#include "gram_pack.h"
#include "gram_sums.h"
#include "gram_tiles.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    LANES = GRAM_CELL_LANES,
    PLACES = 1 << 14,  /* of a band */
    VECTORS = 1 << 14, /* packed at once: 1 MiB; half of it takes 1.1 times as long for 14 × 14 ×
                          576, and 0.95 for 12 × 12 × 64 */
};

/* Rows first, first + stride, … that belong to the same pairs of taps. */
struct class
{
    int64_t first, count;
};

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t planes, rows;  /* at once; or so many rows of one plane, and those that they meet */
    int64_t groups;        /* of LANES channels */
    int64_t sums_bytes;    /* of a group */
    int64_t line_bytes;    /* of the table */
    int64_t table_bytes, classes_bytes, map_bytes, plan_bytes, all_plan_bytes;
    uint8_t *sums, *table, *map;
    struct class *classes;
    void *plan, *all_plan;
};

/* Rows behind those on the left of a product. */
static int64_t rows_met(const struct conv_shape *shape)
{
    return (shape->R - 1) * shape->dilation_h;
}

/* Classes at most: each pair of taps has a first and a last row. */
static int64_t classes_most(const struct conv_shape *shape)
{
    return least(shape->H, 2 * shape->R * shape->R);
}

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct conv_shape one = joined(shape);
    int64_t segments = gram_segments_most(shape->R, false) * gram_segments_most(shape->S, true);
    struct workspace at = {
        .band = gram_band_of(&one, PLACES * shape->C, GRAM_CODES_BLOCK / GRAM_QUAD),
        .groups = (shape->C + LANES - 1) / LANES,
        .sums_bytes = segments * GRAM_VECTOR,
        .line_bytes = round_up(shape->W * shape->C, LANES) * (int64_t)sizeof(uint32_t),
        .classes_bytes = lines(classes_most(shape) * (int64_t)sizeof(struct class)),
        .plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
        .all_plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, true)),
    };
    int64_t lanes = gram_band_lanes(&one, &at.band), line = shape->W * shape->C;
    at.planes = at_least_one(VECTORS * LANES / lanes);
    at.rows = at_least_one(VECTORS * LANES / line - rows_met(shape));
    at.table_bytes = lines(classes_most(shape) * at.line_bytes + GRAM_VECTOR);
    int64_t most =
        at.planes > 1 ? at.planes * lanes : least((at.rows + rows_met(shape)) * line, lanes);
    at.map_bytes = lines(most * GRAM_QUAD + GRAM_BEYOND);
    return at;
}

size_t gram_codes_depthwise_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(at.groups * at.sums_bytes + at.table_bytes + at.classes_bytes + at.map_bytes +
                    at.plan_bytes + at.all_plan_bytes);
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.sums = memory;
    at.table = memory += at.groups * at.sums_bytes;
    at.classes = (struct class *)(void *)(memory += at.table_bytes);
    at.map = memory += at.classes_bytes;
    at.plan = memory += at.map_bytes;
    at.all_plan = memory + at.plan_bytes;
    return at;
}

/* What one call adds up. */
struct job {
    const struct gram_version *version;
    const struct conv_shape *shape;
    struct conv_shape one; /* of joined */
    const struct gram_grid *grid;
    const struct gram *gram;
    const uint8_t *codes; /* [N][H][W][C] */
    struct workspace at;
    struct gram_shift shift;
    int64_t classes;
    int64_t samples; /* of the block */
};

/* Of all distances, upwards, too: either tap's places. */
static void find_classes(struct job *job, const struct gram_band *band)
{
    struct gram_shift all;
    int64_t stride = job->shape->stride_h, cut, next;
    const struct gram_segments *rows = &all.rows;
    gram_shift_plan(&job->one, band, true, job->at.all_plan, &all);
    job->classes = 0;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(rows, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(rows, stride, cut, &next); cut = next)
                job->at.classes[job->classes++] = (struct class){cut, (next - cut) / stride};
}

/* Rows of up to four samples from n on; those that are not there are 0. */
static void pack_rows(const struct job *job, int64_t n, int64_t samples, int64_t row, int64_t rows,
                      uint8_t *out)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_shift *shift = &job->shift;
    bool whole = shift->W == shape->W;
    int64_t runs = whole ? 1 : rows, length = whole ? rows * shift->line : shift->line;
    int64_t sample = shape->H * shape->W * shape->C;
    for (int64_t i = 0; i < runs; i++) {
        int64_t first = ((n * shape->H + row + i) * shape->W + shift->w) * shape->C;
        const uint8_t *from[GRAM_QUAD];
        for (int64_t t = 0; t < GRAM_QUAD; t++)
            from[t] = job->codes + first + (t < samples ? t : 0) * sample;
        gram_pack_places(from, 1, 0, length, out + i * length * GRAM_QUAD);
    }
    gram_quad_clear(samples, runs * length * GRAM_QUAD, out);
}

/* Rows of some planes that are packed: map.h is the first row there. */
struct packed {
    struct gram_shift map;
    int64_t planes;
    int64_t row, rows; /* those on the left */
};

/* Adds the rows of a class, as far as they are on the left, to its line of the table. */
static void add_class(const struct job *job, const struct packed *packed, const struct class *class,
                      int32_t *line)
{
    const struct gram_shift *map = &packed->map;
    int64_t stride = job->shape->stride_h, end = packed->row + packed->rows;
    int64_t skipped =
        class->first < packed->row ? (packed->row - class->first + stride - 1) / stride : 0;
    int64_t first = class->first + skipped * stride;
    int64_t rows = least(class->count - skipped, (end - first + stride - 1) / stride);
    if (first >= end || rows <= 0)
        return;
    const uint8_t *codes = job->at.map + (first - map->h) * map->line * GRAM_QUAD;
    int64_t row_step = stride * map->line * GRAM_QUAD, plane_step = map->plane * GRAM_QUAD;
    gram_add_sums *add = job->version->add_sums;
    if (rows >= packed->planes)
        for (int64_t p = 0; p < packed->planes; p++)
            add(codes + p * plane_step, rows, row_step, map->line, line);
    else
        for (int64_t r = 0; r < rows; r++)
            add(codes + r * row_step, packed->planes, plane_step, map->line, line);
}

static void add_packed(const struct job *job, const struct packed *packed)
{
    const struct workspace *at = &job->at;
    struct gram_cells maps = {
        .left = at->map,
        .right = at->map,
        .element = GRAM_QUAD,
        .planes = packed->planes,
        .groups = at->groups,
        .group_step = GRAM_VECTOR,
        .products_step = at->sums_bytes,
        .products = at->sums,
        .first_row = packed->row,
        .rows = packed->rows,
        .coded = job->version,
    };
    for (int64_t i = 0; i < job->classes; i++)
        add_class(job, packed, &at->classes[i],
                  (int32_t *)(void *)(at->table + i * at->line_bytes));
    gram_cells_add(&packed->map, &maps);
}

/* One plane, some rows at a time; rows that follow them are kept for the next ones. */
static void add_rows(const struct job *job, int64_t n, int64_t samples)
{
    const struct gram_shift *shift = &job->shift;
    struct packed packed = {.map = *shift, .planes = 1};
    int64_t line = shift->line * GRAM_QUAD, end = shift->h + shift->H, there = shift->h;
    for (int64_t row = shift->h; row < end; row += job->at.rows) {
        int64_t rows = least(job->at.rows, end - row), kept = there - row;
        int64_t wanted = least(rows + rows_met(job->shape), end - row) - kept;
        memmove(job->at.map, job->at.map + (row - packed.map.h) * line, (size_t)(kept * line));
        pack_rows(job, n, samples, there, wanted, job->at.map + kept * line);
        there += wanted;
        packed.map.h = packed.row = row;
        packed.rows = rows;
        add_packed(job, &packed);
    }
}

/* Planes with samples from `first` to `end`. */
static void add_planes(const struct job *job, int64_t first, int64_t end, int64_t planes)
{
    const struct gram_shift *shift = &job->shift;
    struct packed packed = {*shift, planes, shift->h, shift->H};
    int64_t n = first, bytes = shift->plane * GRAM_QUAD;
    if (job->at.planes == 1) {
        add_rows(job, n, least(GRAM_QUAD, end - n));
        return;
    }
    for (int64_t i = 0; i < planes; i++, n += GRAM_QUAD)
        pack_rows(job, n, least(GRAM_QUAD, end - n), shift->h, shift->H, job->at.map + i * bytes);
    add_packed(job, &packed);
}

/* One group's moments. */
struct flush {
    const struct job *job;
    int64_t channel, channels;
};

/* The sums of the places of a pair's first tap, `down` and `right` from there. */
static inline void rectangle_sums(const struct flush *flush, const struct gram_pair *pair,
                                  int64_t down, int64_t right, double out[LANES])
{
    const struct job *job = flush->job;
    const struct conv_shape *shape = job->shape;
    int64_t row = pair->rows.first + down, end_row = row + pair->rows.count * shape->stride_h;
    int64_t left = pair->columns.first + right - job->shift.w - shape->stride_w;
    int64_t end = left + pair->columns.count * shape->stride_w;
    uint32_t sum[LANES] = {0};
    for (int64_t i = 0; i < job->classes; i++) {
        const struct class *class = &job->at.classes[i];
        if (class->first < row || class->first >= end_row ||
            (class->first - row) % shape->stride_h != 0)
            continue;
        const uint8_t *bytes = job->at.table + i * job->at.line_bytes;
        const uint32_t *line = (const uint32_t *)(const void *)bytes + flush->channel;
        for (int c = 0; c < LANES; c++)
            sum[c] += line[end * shape->C + c];
        for (int c = 0; left >= 0 && c < LANES; c++)
            sum[c] -= line[left * shape->C + c];
    }
    for (int c = 0; c < LANES; c++)
        out[c] = (double)sum[c];
}

/* One pair of taps; as gram_codes.c has it, the left operand shifted. All numbers but the scaled
 * ones are whole and below 2^53. */
KERN_CLONES static void use_pair(void *context, const struct gram_pair *pair)
{
    const struct flush *flush = context;
    const struct job *job = flush->job;
    double zero = (double)job->grid->zero, scale = (double)job->grid->scale, area = scale * scale;
    double places = (double)(job->samples * pair->rows.count * pair->columns.count);
    double sum_i[LANES], sum_j[LANES], value[LANES];
    int32_t sum[LANES] = {0};
    rectangle_sums(flush, pair, 0, 0, sum_i);
    rectangle_sums(flush, pair, pair->down, pair->right, sum_j);
    for (int64_t a = 0; a < pair->rows.end - pair->rows.begin; a++)
        for (int64_t b = 0; b < pair->columns.end - pair->columns.begin; b++) {
            const int32_t *part = (const int32_t *)pair->matrix + a * pair->row_step;
            for (int c = 0; c < LANES; c++)
                sum[c] += part[b * pair->step + c];
        }
    for (int c = 0; c < LANES; c++) {
        double of_columns = ((double)GRAM_SHIFT - zero) * sum_j[c] - zero * sum_i[c];
        value[c] = area * ((double)sum[c] + of_columns + places * zero * zero);
    }
    int64_t D = job->gram->D;
    double *inner = job->gram->inner + flush->channel * D * D;
    double *sums = job->gram->sum_quantized + flush->channel * D + pair->row;
    for (int64_t c = 0; c < flush->channels; c++, inner += D * D) {
        inner[pair->row * D + pair->column] += value[c];
        if (pair->same)
            sums[c * D] += scale * (sum_i[c] - places * zero);
        else
            inner[pair->column * D + pair->row] += value[c];
    }
}

static void flush_group(const struct job *job, int64_t group)
{
    struct flush flush = {.job = job, .channel = group * LANES};
    struct gram_shift one = job->shift; /* of one channel, whose matrices are vectors */
    one.C = one.height = 1;
    one.width = LANES;
    flush.channels = least(LANES, job->shape->C - flush.channel);
    gram_shift_each_pair(&one, job->at.sums + group * job->at.sums_bytes, 0, use_pair, &flush);
}

/* Samples first … of the band, as many as the sums have room for. */
static void add_block(struct job *job, int64_t first, int64_t samples)
{
    const struct workspace *at = &job->at;
    int64_t end = first + samples;
    memset(at->sums, 0, (size_t)(at->groups * at->sums_bytes));
    memset(at->table, 0, (size_t)at->table_bytes);
    for (int64_t n = first, planes; n < end; n += planes * GRAM_QUAD) {
        planes = least(at->planes, (end - n + GRAM_QUAD - 1) / GRAM_QUAD);
        add_planes(job, n, end, planes);
    }
    job->samples = samples;
    for (int64_t i = 0; i < job->classes; i++)
        gram_sums_accumulate((uint32_t *)(void *)(at->table + i * at->line_bytes), job->shift.line,
                             job->shape->stride_w * job->shape->C);
    for (int64_t group = 0; group < at->groups; group++)
        flush_group(job, group);
}

static void add_band(void *context, const struct gram_band *band)
{
    struct job *job = context;
    int64_t positions = band->rows * band->columns;
    int64_t N = job->shape->N, step = GRAM_CODES_BLOCK / positions / GRAM_QUAD * GRAM_QUAD;
    gram_shift_plan(&job->one, band, false, job->at.plan, &job->shift);
    if (job->shift.H == 0 || job->shift.W == 0)
        return; /* nothing but padding */
    find_classes(job, band);
    for (int64_t n = 0; n < N; n += step)
        add_block(job, n, least(step, N - n));
}

bool gram_codes_depthwise_takes(const struct conv_shape *shape)
{
    return shape->G == shape->C && shape->C > 1;
}

void gram_codes_depthwise_add(const struct gram_version *version, struct gram *gram,
                              const struct conv_shape *shape, const struct gram_grid *grid,
                              const uint8_t *codes, void *scratch)
{
    struct job job = {
        .version = version,
        .shape = shape,
        .one = joined(shape),
        .grid = grid,
        .gram = gram,
        .codes = codes,
        .at = workspace_at(shape, scratch),
    };
    gram_each_band(&job.one, &job.at.band, add_band, &job);
}
