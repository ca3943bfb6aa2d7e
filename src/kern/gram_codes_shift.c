/* Moments of codes by the shift structure (gram_shift.h, gram_codes_ways.h). A plane is four
 * samples side by side, so that places may be shifted at will and no column is ever packed: a map
 * costs C bytes a place. Samples that are missing in a last plane have codes of 0, which add
 * nothing to products and sums.
 *
 * A pair of taps is summed over the places where both are on the map; so S_i and S_j are sums over
 * two rectangles of the map that depend on the pair. They come from a table of sums over all
 * samples, in which every place holds the sum of those above and to the left of it, a stride apart;
 * modulo 2^32, for a rectangle's sum itself fits. */

#include "gram_codes_ways.h"
#include "gram_pack.h"
#include "gram_sizes.h"
#include "gram_squares.h"
#include "simd.h"

#include <string.h>

enum {
    LANES = 1 << 16, /* of the maps at once: half a MiB, left and right, of a second-level cache */
};

/* The caller's scratch, cut up. */
struct workspace {
    struct gram_band band; /* the largest */
    int64_t planes;        /* at once */
    int64_t map_bytes, products_bytes, table_bytes, plan_bytes;
    int32_t *products;        /* of gram_shift.h */
    uint32_t *table;          /* [H][W][C] */
    uint8_t *codes, *shifted; /* [planes][H][W][C] quads */
    void *plan;
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct workspace at = {
        .band = gram_band_of(shape, LANES, GRAM_CODES_BLOCK / GRAM_QUAD),
        .products_bytes = lines((int64_t)gram_shift_products_bytes(shape, false)),
        .plan_bytes = lines((int64_t)gram_shift_plan_bytes(shape, false)),
    };
    int64_t lanes = gram_band_lanes(shape, &at.band);
    at.planes = lanes < LANES ? LANES / lanes : 1;
    at.table_bytes = lines(lanes * GRAM_QUAD + GRAM_BEYOND);
    at.map_bytes = lines(at.planes * lanes * GRAM_QUAD + GRAM_BEYOND);
    return at;
}

size_t gram_codes_shift_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    return (size_t)(at.products_bytes + at.table_bytes + 2 * at.map_bytes + at.plan_bytes);
}

static struct workspace workspace_at(const struct conv_shape *shape, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.products = scratch;
    at.table = (uint32_t *)(void *)(memory += at.products_bytes);
    at.codes = memory += at.table_bytes;
    at.shifted = memory += at.map_bytes;
    at.plan = memory + at.map_bytes;
    return at;
}

/* What one call adds up. */
struct job {
    const struct gram_version *version;
    const struct conv_shape *shape;
    const struct gram_grid *grid;
    const struct gram *gram;
    struct workspace at;
    struct gram_shift shift;
    const uint8_t *codes; /* [N][H][W][C] */
    int64_t g, samples;   /* of the block that is flushed */
};

/* One plane: up to four samples. */
static void pack_plane(const struct job *job, int64_t first, int64_t samples, int64_t plane)
{
    const struct gram_shift *shift = &job->shift;
    int64_t bytes = gram_shift_lanes(shift) * GRAM_QUAD;
    uint8_t *codes = job->at.codes + plane * bytes, *shifted = job->at.shifted + plane * bytes;
    for (int64_t i = 0; i < gram_shift_runs(shift); i++) {
        const uint8_t *from[GRAM_QUAD];
        struct gram_run run;
        for (int64_t t = 0; t < GRAM_QUAD; t++) {
            run = gram_shift_run(shift, first + (t < samples ? t : 0), i);
            from[t] = job->codes + run.sample;
        }
        gram_pack_run(from, run.length, codes + run.plane * GRAM_QUAD,
                      shifted + run.plane * GRAM_QUAD);
    }
    gram_quad_clear(samples, bytes, codes);
}

/* sum[i] += sum[i − step], one after the other. */
KERN_CLONES static void accumulate(uint32_t *sum, int64_t count, int64_t step)
{
    for (int64_t first = step; first < count; first += step) {
        int64_t end = least(first + step, count);
        uint32_t *restrict to = sum + first;
        const uint32_t *restrict from = sum + first - step;
        for (int64_t i = 0; i < end - first; i++)
            to[i] += from[i];
    }
}

static void make_table(const struct job *job)
{
    const struct conv_shape *shape = job->shape;
    int64_t place = shape->C, line = job->shift.W * place;
    for (int64_t h = 0; h < job->shift.H; h++)
        accumulate(job->at.table + h * line, line, shape->stride_w * place);
    accumulate(job->at.table, job->shift.H * line, shape->stride_h * line);
}

/* The sums of `count` channels from c over the places of a pair's first tap, `down` and `right`
 * from there. */
static void rectangle_sums(const struct job *job, const struct gram_pair *pair, int64_t down,
                           int64_t right, int64_t c, int64_t count, double *out)
{
    const struct conv_shape *shape = job->shape;
    const struct gram_shift *shift = &job->shift;
    int64_t top = pair->rows.first + down - shift->h - shape->stride_h;
    int64_t left = pair->columns.first + right - shift->w - shape->stride_w;
    int64_t bottom = top + pair->rows.count * shape->stride_h;
    int64_t end = left + pair->columns.count * shape->stride_w;
    const uint32_t *table = job->at.table + c;
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
    double sum_i[GRAM_SQUARE], sum_j[GRAM_SQUARE];
    int64_t c = job->g * job->shift.C;
    rectangle_sums(job, pair, 0, 0, c + square->i, square->rows, sum_i);
    rectangle_sums(job, pair, pair->down, pair->right, c + square->j, square->columns, sum_j);
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
        double of_row = corner - zero * sum_i[i];
        for (int64_t j = 0; j < square->columns; j++) {
            double of_column = ((double)GRAM_SHIFT - zero) * sum_j[j];
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
        rectangle_sums(job, pair, 0, 0, job->g * C + c, 1, &sum);
        out[c] += scale * (sum - zeros);
    }
}

static void use_pair(void *context, const struct gram_pair *pair)
{
    const struct job *job = context;
    int64_t D = job->gram->D;
    gram_pair_add(&job->shift, pair, fill_square_codes, job, job->gram->inner + job->g * D * D);
    if (pair->same)
        add_tap_sums(job, pair);
}

/* Samples first … of the band, as many as the sums have room for. */
static void add_block(struct job *job, int64_t first, int64_t samples)
{
    int64_t lanes = gram_shift_lanes(&job->shift);
    gram_shift_clear(&job->shift, job->at.products);
    memset(job->at.table, 0, (size_t)job->at.table_bytes);
    for (int64_t done = 0; done < samples;) {
        int64_t planes = 0;
        for (; planes < job->at.planes && done < samples; planes++, done += GRAM_QUAD)
            pack_plane(job, first + done, least(GRAM_QUAD, samples - done), planes);
        gram_shift_add(&job->shift, job->version->add_codes, job->at.shifted, job->at.codes, planes,
                       job->at.products);
        job->version->add_sums(job->at.codes, planes, lanes * GRAM_QUAD, lanes,
                               (int32_t *)job->at.table);
    }
    make_table(job);
    job->samples = samples;
    for (job->g = 0; job->g < job->shape->G; job->g++)
        gram_shift_each_pair(&job->shift, job->at.products, job->g, use_pair, job);
}

static void add_band(struct job *job, const struct gram_band *band)
{
    int64_t planes = GRAM_CODES_BLOCK / (band->rows * band->columns) / GRAM_QUAD;
    int64_t N = job->shape->N, step = planes * GRAM_QUAD;
    gram_shift_plan(job->shape, band, false, job->at.plan, &job->shift);
    if (job->shift.H == 0 || job->shift.W == 0)
        return; /* nothing but padding */
    for (int64_t n = 0; n < N; n += step)
        add_block(job, n, least(step, N - n));
}

void gram_codes_shift_add(const struct gram_version *version, struct gram *gram,
                          const struct conv_shape *shape, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch)
{
    struct job job = {
        .version = version,
        .shape = shape,
        .grid = grid,
        .gram = gram,
        .at = workspace_at(shape, scratch),
        .codes = codes,
    };
    struct gram_band largest = job.at.band, band;
    for (band.row = 0; band.row < shape->OH; band.row += largest.rows)
        for (band.column = 0; band.column < shape->OW; band.column += largest.columns) {
            band.rows = least(largest.rows, shape->OH - band.row);
            band.columns = least(largest.columns, shape->OW - band.column);
            add_band(&job, &band);
        }
}
