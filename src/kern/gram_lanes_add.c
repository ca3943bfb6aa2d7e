/* Products of samples side by side (gram_lanes.h). The segments of rows and of columns of all
 * distances are cut once more, into cells: rectangles of places at which the products with the same
 * other places are wanted. Tiles of some channels of the place, and of all channels of the others,
 * are multiplied a hundred places at a time, which stay in the first-level cache until all tiles
 * are done. */

#include "gram_lanes.h"
#include "gram_lines.h"
#include "simd.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

enum {
    PART = 256,                         /* places at once */
    LISTED = 16,                        /* tiles of vectors on the right that are listed at once */
    COVERING = 2 * GRAM_LANES_TAPS - 1, /* segments of a place: one of each distance */
};

/* Vectors of sums, of a segment of rows and one of columns, and of all. */
static int64_t segment_vectors(const struct gram_shift *shift)
{
    return shift->C * shift->C;
}

size_t gram_lanes_sums_bytes(const struct conv_shape *shape, bool all)
{
    int64_t C = shape->C / shape->G;
    int64_t segments = gram_segments_most(shape->R, all) * gram_segments_most(shape->S, true);
    return (size_t)(shape->G * segments * C * C * GRAM_VECTOR);
}

void gram_lanes_clear(const struct gram_shift *shift, void *sums)
{
    int64_t segments = shift->shape->G * shift->rows.count * shift->columns.count;
    memset(sums, 0, (size_t)(segments * segment_vectors(shift) * GRAM_VECTOR));
}

/* Channels of one group at the places of a cell, and tiles of what they are multiplied with. */
struct list {
    gram_add_tile *add;
    struct gram_tile whole; /* what all tiles have in common */
    int64_t most, count;    /* vectors on the right of a tile, and of all */
    struct gram_tile tiles[LISTED];
};

static void add_tiles(struct list *list, const struct gram_tile *part)
{
    for (int64_t i = 0; i * list->most < list->count; i++) {
        struct gram_tile *tile = &list->tiles[i];
        tile->left = part->left;
        tile->right = part->right;
        tile->outer = part->outer;
        tile->middle = part->middle;
        tile->inner = part->inner;
        list->add(tile);
    }
}

static void add_listed(struct list *list)
{
    const struct gram_span outer = list->whole.outer, middle = list->whole.middle;
    const struct gram_span inner = list->whole.inner;
    int64_t n_step = least(inner.count, PART), m_step = least(middle.count, PART / n_step);
    int64_t o_step = least(outer.count, PART / (n_step * m_step));
    struct gram_tile part = list->whole;
    for (int64_t o = 0; o < outer.count; o += o_step)
        for (int64_t m = 0; m < middle.count; m += m_step)
            for (int64_t n = 0; n < inner.count; n += n_step) {
                int64_t place = o * outer.step + m * middle.step + n * inner.step;
                part.left = list->whole.left + place;
                part.right = list->whole.right + place;
                part.outer.count = least(o_step, outer.count - o);
                part.middle.count = least(m_step, middle.count - m);
                part.inner.count = least(n_step, inner.count - n);
                add_tiles(list, &part);
            }
    list->count = 0;
}

/* Lists one more vector on the right. A tile that is not full multiplies with its first one. */
static void push(struct list *list, int64_t distance, uint8_t *out)
{
    if (list->count == LISTED * list->most)
        add_listed(list);
    struct gram_tile *tile = &list->tiles[list->count / list->most];
    int64_t i = list->count++ % list->most;
    if (i == 0) {
        *tile = list->whole;
        for (int64_t k = 0; k < GRAM_TILE_READ; k++)
            tile->distance[k] = distance;
    }
    tile->distance[i] = distance;
    tile->out[i] = out;
    tile->count = i + 1;
}

/* What one call adds up. */
struct job {
    const struct gram_shift *shift;
    gram_add_tile *add;
    const uint8_t *left, *right;
    int64_t planes;
    uint8_t *sums;
};

/* The segments of an axis that have a place. */
struct covering {
    int64_t count;
    int64_t segment[COVERING];
};

static void find_covering(const struct gram_segments *segments, int64_t stride, int64_t place,
                          struct covering *out)
{
    out->count = 0;
    for (int64_t i = 0; i < segments->count; i++)
        if (gram_segment_covers(&segments->segment[i], stride, place))
            out->segment[out->count++] = i;
}

/* Loops in bytes. */
struct cell {
    int64_t row, column; /* the first place */
    struct gram_span rows, places;
    struct covering down, right;
};

/* Channels c … of a group against those of segment a of rows and b of columns. */
static void list_segment(const struct job *job, int64_t g, int64_t c, int64_t a, int64_t b,
                         struct list *list)
{
    const struct gram_shift *shift = job->shift;
    int64_t down = shift->rows.segment[a].distance, right = shift->columns.segment[b].distance;
    int64_t segment = (g * shift->rows.count + a) * shift->columns.count + b, C = shift->C;
    int64_t place = down * shift->line + right * shift->shape->C;
    bool lower = !shift->all && down == 0 && right == 0;
    for (int64_t j = 0; j < (lower ? c + list->whole.rows : C); j++)
        push(list, (place + j) * GRAM_VECTOR,
             job->sums + ((segment * C + c) * C + j) * GRAM_VECTOR);
}

/* Channels c … of a group at the places of a cell, with all that they are multiplied with. */
static void add_channels(const struct job *job, const struct cell *cell, int64_t g, int64_t c,
                         struct list *list)
{
    const struct gram_shift *shift = job->shift;
    for (int64_t i = 0; i < cell->down.count; i++)
        for (int64_t j = 0; j < cell->right.count; j++) {
            int64_t a = cell->down.segment[i], b = cell->right.segment[j];
            if (gram_shift_makes(shift, &shift->rows.segment[a], &shift->columns.segment[b]))
                list_segment(job, g, c, a, b, list);
        }
    if (list->count > 0)
        add_listed(list);
}

/* The longer of two loops inside: short ones cost more than far steps. */
static void order(struct gram_span *outside, struct gram_span *inside)
{
    struct gram_span longer = *outside;
    if (inside->count >= longer.count / 4)
        return;
    *outside = *inside;
    *inside = longer;
}

static void add_cell(const struct job *job, const struct cell *cell)
{
    const struct gram_shift *shift = job->shift;
    int64_t C = shift->C, blocks = (C + GRAM_TILE_ROWS - 1) / GRAM_TILE_ROWS;
    int64_t rows = (C + blocks - 1) / blocks;
    int64_t place = (cell->row - shift->h) * shift->line;
    place += (cell->column - shift->w) * shift->shape->C;
    for (int64_t g = 0; g < shift->shape->G; g++)
        for (int64_t c = 0; c < C; c += rows) {
            struct list list;
            list.add = job->add;
            list.count = 0;
            list.whole = (struct gram_tile){
                .left = job->left + (place + g * C + c) * GRAM_VECTOR,
                .right = job->right + (place + g * C) * GRAM_VECTOR,
                .rows = least(rows, C - c),
                .step = C * GRAM_VECTOR,
                .outer = {job->planes, shift->plane * GRAM_VECTOR},
                .middle = cell->rows,
                .inner = cell->places,
            };
            list.most = gram_tile_most(list.whole.rows);
            order(&list.whole.middle, &list.whole.inner);
            order(&list.whole.outer, &list.whole.inner);
            add_channels(job, cell, g, c, &list);
        }
}

/* The cells of some rows. */
static void add_rows(const struct job *job, struct cell *cell)
{
    const struct gram_shift *shift = job->shift;
    int64_t stride = shift->shape->stride_w, cut, next;
    find_covering(&shift->rows, shift->shape->stride_h, cell->row, &cell->down);
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->columns, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->columns, stride, cut, &next); cut = next) {
                int64_t step = stride * shift->shape->C * GRAM_VECTOR;
                cell->column = cut;
                cell->places = (struct gram_span){(next - cut) / stride, step};
                find_covering(&shift->columns, stride, cut, &cell->right);
                add_cell(job, cell);
            }
}

/* Of one channel, samples side by side are what channels are that do not meet. False if there is no
 * code for its lines. */
static bool add_single(const struct gram_shift *shift, const struct gram_version *version,
                       bool codes, const struct job *job)
{
    struct gram_lines lines;
    if (shift->shape->C > 1 || !version->four_at_once ||
        !gram_lines_match(shift, GRAM_VECTOR, codes, &lines) || lines.sums)
        return false;
    struct gram_cells maps = {
        .left = job->left,
        .right = job->right,
        .element = GRAM_VECTOR,
        .planes = job->planes,
        .groups = 1,
        .products = job->sums,
        .first_row = shift->h,
        .rows = shift->H,
        .coded = codes ? version : NULL,
    };
    gram_cells_add(shift, &maps);
    return true;
}

void gram_lanes_add(const struct gram_shift *shift, const struct gram_version *version, bool codes,
                    const void *left, const void *right, int64_t planes, void *sums)
{
    gram_add_tile *add = codes ? version->add_code_tile : version->add_float_tile;
    struct job job = {shift, add, left, right, planes, sums};
    struct cell cell;
    int64_t stride = shift->shape->stride_h, cut, next;
    assert(shift->shape->R <= GRAM_LANES_TAPS && shift->shape->S <= GRAM_LANES_TAPS);
    if (add_single(shift, version, codes, &job))
        return;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->rows, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->rows, stride, cut, &next); cut = next) {
                int64_t step = stride * shift->line * GRAM_VECTOR;
                cell.row = cut;
                cell.rows = (struct gram_span){(next - cut) / stride, step};
                add_rows(&job, &cell);
            }
}

void gram_lanes_products_f32(const struct gram_shift *shift, const float *sums, float *products)
{
    int64_t C = shift->C, segments = shift->shape->G * shift->rows.count * shift->columns.count;
    for (int64_t s = 0; s < segments; s++, products += shift->height * shift->width)
        for (int64_t i = 0; i < C; i++)
            for (int64_t j = 0; j < C; j++, sums += GRAM_LANES) {
                double sum = 0;
                for (int lane = 0; lane < GRAM_LANES; lane++)
                    sum += (double)sums[lane];
                products[i * shift->width + j] = (float)sum;
            }
}

void gram_lanes_products_codes(const struct gram_shift *shift, const int32_t *sums,
                               int32_t *products)
{
    int64_t C = shift->C, segments = shift->shape->G * shift->rows.count * shift->columns.count;
    for (int64_t s = 0; s < segments; s++, products += shift->height * shift->width)
        for (int64_t i = 0; i < C; i++)
            for (int64_t j = 0; j < C; j++, sums += GRAM_LANES) {
                int32_t sum = 0;
                for (int lane = 0; lane < GRAM_LANES; lane++)
                    sum += sums[lane];
                products[i * shift->width + j] = sum;
            }
}

/* Adds lines a step apart to the first one. */
KERN_CLONES static void add_up_lines(double *line, int64_t count, int64_t step, int64_t length)
{
    for (int64_t h = 1; h < count; h++)
        for (int64_t i = 0; i < length; i++)
            line[i] += line[h * step + i];
}

/* All rows of a segment are seen by the same segments of columns: so they are added up before. */
void gram_lanes_add_channels(const struct gram_shift *shift, double *sums, double *out)
{
    const struct conv_shape *shape = shift->shape;
    int64_t C = shape->C, length = shift->W * C;
    for (int64_t a = 0; a < shift->rows.count; a++) {
        const struct gram_segment *rows = &shift->rows.segment[a];
        double *line = sums + (rows->first - shift->h) * length;
        if (rows->distance != 0)
            continue;
        add_up_lines(line, rows->count, shape->stride_h * length, length);
        for (int64_t b = 0; b < shift->columns.count; b++) {
            const struct gram_segment *columns = &shift->columns.segment[b];
            const double *place = line + (columns->first - shift->w) * C;
            double *to = out + (a * shift->columns.count + b) * C;
            if (columns->distance != 0)
                continue;
            for (int64_t w = 0; w < columns->count; w++, place += shape->stride_w * C)
                for (int64_t c = 0; c < C; c++)
                    to[c] += place[c];
        }
    }
}
