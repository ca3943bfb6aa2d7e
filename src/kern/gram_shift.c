/* Products by shift structure (gram_shift.h). Taps (r, s) and (r', s') of a filter see, position by
 * position, two places of the map that are a fixed distance apart; all pairs of taps with the same
 * distance see the same products, but for some rows and columns at the ends of the map. So for each
 * distance the places are cut into rectangles, one for each segment of rows and segment of columns
 * (gram_axis.h); each is multiplied once, into a matrix [C][C] of its own; and what a pair of taps
 * sees is the sum of some of them, neighbours in the order of the segments. Places on the padding
 * are zero and left out.
 *
 * Of a symmetric matrix only distances of the upper half are made: for a 3 × 3 filter with stride 1
 * the 13 of the 25 that go down, or right, or nowhere, where 45 pairs of taps are. */

#include "gram_shift.h"
#include "sizes.h"

#include <string.h>

enum { PART = 256 };

static struct gram_axis rows_of(const struct conv_shape *shape, int64_t row, int64_t rows)
{
    return (struct gram_axis){
        .taps = shape->R,
        .stride = shape->stride_h,
        .dilation = shape->dilation_h,
        .size = shape->H,
        .first = row * shape->stride_h - shape->pad_top,
        .count = rows,
    };
}

static struct gram_axis columns_of(const struct conv_shape *shape, int64_t column, int64_t columns)
{
    return (struct gram_axis){
        .taps = shape->S,
        .stride = shape->stride_w,
        .dilation = shape->dilation_w,
        .size = shape->W,
        .first = column * shape->stride_w - shape->pad_left,
        .count = columns,
    };
}

/* Places from the first to the last that windows see, at most. */
static int64_t seen_most(const struct gram_axis *axis)
{
    int64_t seen = (axis->count - 1) * axis->stride + (axis->taps - 1) * axis->dilation + 1;
    return least(seen, axis->size);
}

/* The part of the axis that windows see; maybe nothing. */
static void seen_part(const struct gram_axis *axis, int64_t *out_first, int64_t *out_count)
{
    int64_t end = axis->first + (axis->count - 1) * axis->stride;
    end = least(end + (axis->taps - 1) * axis->dilation + 1, axis->size);
    *out_first = axis->first > 0 ? least(axis->first, axis->size) : 0;
    *out_count = end > *out_first ? end - *out_first : 0;
}

/* The largest count of positions of an axis that sees at most `most` places; 1 at least. */
static int64_t positions_within(const struct gram_axis *axis, int64_t most)
{
    int64_t filter = (axis->taps - 1) * axis->dilation + 1;
    if (most >= axis->size)
        return axis->count;
    return most <= filter ? 1 : least(axis->count, 1 + (most - filter) / axis->stride);
}

struct gram_band gram_band_of(const struct conv_shape *shape, int64_t lanes, int64_t positions)
{
    struct gram_axis rows = rows_of(shape, 0, shape->OH), one = rows_of(shape, 0, 1);
    struct gram_axis columns = columns_of(shape, 0, shape->OW);
    struct gram_band band = {.columns =
                                 positions_within(&columns, lanes / shape->C / seen_most(&one))};
    band.columns = least(band.columns, positions);
    columns.count = band.columns;
    band.rows = positions_within(&rows, lanes / shape->C / seen_most(&columns));
    band.rows = least(band.rows, positions / band.columns);
    return band;
}

void gram_each_band(const struct conv_shape *shape, const struct gram_band *largest,
                    gram_use_band *use, void *context)
{
    struct gram_band band;
    for (band.row = 0; band.row < shape->OH; band.row += largest->rows)
        for (band.column = 0; band.column < shape->OW; band.column += largest->columns) {
            band.rows = least(largest->rows, shape->OH - band.row);
            band.columns = least(largest->columns, shape->OW - band.column);
            use(context, &band);
        }
}

int64_t gram_band_lanes(const struct conv_shape *shape, const struct gram_band *band)
{
    struct gram_axis rows = rows_of(shape, 0, band->rows);
    struct gram_axis columns = columns_of(shape, 0, band->columns);
    return seen_most(&rows) * seen_most(&columns) * shape->C;
}

/* Lanes of a matrix of products. */
static int64_t matrix_lanes(const struct gram_shift *shift)
{
    return shift->height * shift->width;
}

static int64_t matrices_of(const struct gram_shift *shift)
{
    return shift->shape->G * shift->rows.count * shift->columns.count;
}

size_t gram_shift_plan_bytes(const struct conv_shape *shape, bool all)
{
    size_t segments =
        (size_t)gram_segments_most(shape->R, all) + (size_t)gram_segments_most(shape->S, true);
    size_t ranges = (size_t)(shape->R * shape->R) + (size_t)(shape->S * shape->S);
    return segments * sizeof(struct gram_segment) + ranges * sizeof(struct gram_range);
}

static struct gram_shift sized(const struct conv_shape *shape, bool all)
{
    int64_t C = shape->C / shape->G;
    return (struct gram_shift){
        .shape = shape,
        .all = all,
        .C = C,
        .height = round_up(C, GRAM_ROWS),
        .width = round_up(C, GRAM_LANES),
        .rows = {.count = gram_segments_most(shape->R, all)},
        .columns = {.count = gram_segments_most(shape->S, true)},
    };
}

size_t gram_shift_products_bytes(const struct conv_shape *shape, bool all)
{
    struct gram_shift shift = sized(shape, all);
    return (size_t)(matrices_of(&shift) * matrix_lanes(&shift)) * GRAM_QUAD;
}

void gram_shift_plan(const struct conv_shape *shape, const struct gram_band *band, bool all,
                     void *memory, struct gram_shift *out)
{
    struct gram_axis rows = rows_of(shape, band->row, band->rows);
    struct gram_axis columns = columns_of(shape, band->column, band->columns);
    *out = sized(shape, all);
    out->rows.segment = memory;
    out->columns.segment = out->rows.segment + out->rows.count;
    out->rows.range = (struct gram_range *)(void *)(out->columns.segment + out->columns.count);
    out->columns.range = out->rows.range + shape->R * shape->R;
    seen_part(&rows, &out->h, &out->H);
    seen_part(&columns, &out->w, &out->W);
    gram_segments_cut(&rows, all, &out->rows);
    gram_segments_cut(&columns, true, &out->columns);
    out->line = out->W * shape->C;
    out->plane = out->H * out->line;
}

struct gram_shift gram_shift_dense(const struct gram_shift *shift)
{
    struct gram_shift dense = *shift;
    dense.height = dense.width = shift->C;
    return dense;
}

struct gram_shift gram_shift_in_place(const struct gram_shift *shift)
{
    struct gram_shift in_place = *shift;
    in_place.line = shift->shape->W * shift->shape->C;
    in_place.plane = shift->shape->H * in_place.line;
    return in_place;
}

int64_t gram_shift_origin(const struct gram_shift *shift, int64_t n)
{
    const struct conv_shape *shape = shift->shape;
    return ((n * shape->H + shift->h) * shape->W + shift->w) * shape->C;
}

int64_t gram_shift_lanes(const struct gram_shift *shift)
{
    return shift->H * shift->W * shift->shape->C;
}

int64_t gram_shift_runs(const struct gram_shift *shift)
{
    return shift->W == shift->shape->W ? 1 : shift->H;
}

struct gram_run gram_shift_run(const struct gram_shift *shift, int64_t n, int64_t i)
{
    const struct conv_shape *shape = shift->shape;
    int64_t length = gram_shift_lanes(shift) / gram_shift_runs(shift);
    int64_t line = n * shape->H + shift->h + i;
    return (struct gram_run){
        .sample = (line * shape->W + shift->w) * shape->C,
        .plane = i * length,
        .length = length,
    };
}

bool gram_shift_is_single(const struct gram_shift *shift)
{
    return shift->rows.count * shift->columns.count == 1;
}

void gram_shift_clear(const struct gram_shift *shift, void *products)
{
    memset(products, 0, (size_t)(matrices_of(shift) * matrix_lanes(shift)) * GRAM_QUAD);
}

bool gram_shift_makes(const struct gram_shift *shift, const struct gram_segment *rows,
                      const struct gram_segment *columns)
{
    return shift->all || rows->distance > 0 || columns->distance >= 0;
}

/* One loop of two, the inner one, where one does. */
static void join(struct gram_span *outside, struct gram_span *inside)
{
    if (inside->count == 1)
        *inside = *outside;
    else if (outside->count == 1 || inside->count * inside->step == outside->step)
        inside->count *= outside->count;
    else
        return;
    *outside = (struct gram_span){1, 0};
}

/* Lanes from the map's origin to a place of segments. */
static int64_t place_at(const struct gram_shift *shift, int64_t row, int64_t column)
{
    return (row - shift->h) * shift->line + (column - shift->w) * shift->shape->C;
}

/* Adds the products of at most PART positions at a time: sums of float32 over thousands of squares
 * would lose as many bits again, and parts of wide maps stay in the first-level cache. */
static void add_parts(gram_add_products *add, const struct gram_operands *whole, void *products,
                      int64_t row)
{
    struct gram_span outer = whole->outer, middle = whole->middle, inner = whole->inner;
    int64_t n_step = least(inner.count, PART);
    int64_t m_step = least(middle.count, PART / n_step);
    int64_t o_step = least(outer.count, PART / (n_step * m_step));
    struct gram_operands part = *whole;
    for (int64_t o = 0; o < outer.count; o += o_step)
        for (int64_t m = 0; m < middle.count; m += m_step)
            for (int64_t n = 0; n < inner.count; n += n_step) {
                int64_t offset = o * outer.step + m * middle.step + n * inner.step;
                part.left = whole->left + offset;
                part.right = whole->right + offset;
                part.outer.count = least(o_step, outer.count - o);
                part.middle.count = least(m_step, middle.count - m);
                part.inner.count = least(n_step, inner.count - n);
                add(&part, products, row);
            }
}

struct gram_operands gram_shift_operands(const struct gram_shift *shift, int64_t a, int64_t b,
                                         const void *left, const void *right, int64_t planes)
{
    const struct conv_shape *shape = shift->shape;
    const struct gram_segment *rows = &shift->rows.segment[a];
    const struct gram_segment *columns = &shift->columns.segment[b];
    int64_t first = place_at(shift, rows->first, columns->first);
    int64_t second =
        place_at(shift, rows->first + rows->distance, columns->first + columns->distance);
    struct gram_operands operands = {
        .left = (const uint8_t *)left + first * GRAM_QUAD,
        .right = (const uint8_t *)right + second * GRAM_QUAD,
        .columns = shape->C,
        .lower = !shift->all && rows->distance == 0 && columns->distance == 0,
        .outer = {planes, shift->plane * GRAM_QUAD},
        .middle = {rows->count, shape->stride_h * shift->line * GRAM_QUAD},
        .inner = {columns->count, shape->stride_w * shape->C * GRAM_QUAD},
    };
    join(&operands.middle, &operands.inner);
    join(&operands.outer, &operands.middle);
    join(&operands.middle, &operands.inner);
    return operands;
}

void gram_shift_add(const struct gram_shift *shift, gram_add_products *add, const void *left,
                    const void *right, int64_t planes, void *products, void *sums)
{
    int64_t group = shift->C * GRAM_QUAD;
    uint8_t *matrix = products;
    for (int64_t g = 0; g < shift->shape->G; g++)
        for (int64_t a = 0; a < shift->rows.count; a++)
            for (int64_t b = 0; b < shift->columns.count; b++) {
                if (gram_shift_makes(shift, &shift->rows.segment[a], &shift->columns.segment[b])) {
                    struct gram_operands operands =
                        gram_shift_operands(shift, a, b, left, right, planes);
                    operands.left += g * group;
                    operands.right += g * group;
                    operands.columns = shift->C;
                    if (sums != NULL)
                        operands.sums = (uint8_t *)sums + g * shift->width * GRAM_QUAD;
                    add_parts(add, &operands, matrix, shift->width);
                }
                matrix += matrix_lanes(shift) * GRAM_QUAD;
            }
}

static void use_pair(const struct gram_shift *shift, const void *products, int64_t g,
                     const int64_t tap[2], const int64_t other[2], gram_use_pair *use,
                     void *context)
{
    const struct conv_shape *shape = shift->shape;
    const struct gram_range *rows = &shift->rows.range[tap[0] * shape->R + other[0]];
    const struct gram_range *columns = &shift->columns.range[tap[1] * shape->S + other[1]];
    int64_t matrix = (g * shift->rows.count + rows->begin) * shift->columns.count + columns->begin;
    struct gram_pair pair = {
        .rows = *rows,
        .columns = *columns,
        .down = (other[0] - tap[0]) * shape->dilation_h,
        .right = (other[1] - tap[1]) * shape->dilation_w,
        .row = (tap[0] * shape->S + tap[1]) * shift->C,
        .column = (other[0] * shape->S + other[1]) * shift->C,
        .matrix = (const uint8_t *)products + matrix * matrix_lanes(shift) * GRAM_QUAD,
        .step = matrix_lanes(shift),
        .row_step = shift->columns.count * matrix_lanes(shift),
        .same = tap[0] == other[0] && tap[1] == other[1],
    };
    if (rows->count > 0 && columns->count > 0)
        use(context, &pair);
}

void gram_shift_each_pair(const struct gram_shift *shift, const void *products, int64_t g,
                          gram_use_pair *use, void *context)
{
    int64_t R = shift->shape->R, S = shift->shape->S;
    for (int64_t tap = 0; tap < R * S; tap++)
        for (int64_t other = shift->all ? 0 : tap; other < R * S; other++)
            use_pair(shift, products, g, (const int64_t[]){tap / S, tap % S},
                     (const int64_t[]){other / S, other % S}, use, context);
}

int64_t gram_shift_places(const struct conv_shape *shape)
{
    struct gram_axis rows = rows_of(shape, 0, shape->OH), columns = columns_of(shape, 0, shape->OW);
    int64_t before = 0, behind = 0, below = 0; /* of distances < 0 and ≥ 0, and of rows > 0 */
    for (int64_t right = 1; right < shape->S; right++)
        before += gram_axis_places(&columns, -right);
    for (int64_t right = 0; right < shape->S; right++)
        behind += gram_axis_places(&columns, right);
    for (int64_t down = 1; down < shape->R; down++)
        below += gram_axis_places(&rows, down);
    return gram_axis_places(&rows, 0) * behind + below * (before + behind);
}

int64_t gram_shift_own_places(const struct conv_shape *shape)
{
    struct gram_axis rows = rows_of(shape, 0, shape->OH), columns = columns_of(shape, 0, shape->OW);
    return gram_axis_places(&rows, 0) * gram_axis_places(&columns, 0);
}

/* Products of D columns with those up to the diagonal, as blocks of registers make them. */
static int64_t lower_products(int64_t D)
{
    int64_t products = 0;
    for (int64_t i = 0; i < D; i += GRAM_ROWS)
        products += GRAM_ROWS * round_up(i + GRAM_ROWS, GRAM_LANES);
    return products;
}

int64_t gram_columns_products(const struct conv_shape *shape)
{
    return lower_products(conv_column_elements(shape));
}

int64_t gram_shift_products(const struct conv_shape *shape)
{
    int64_t C = shape->C / shape->G, matrix = round_up(C, GRAM_ROWS) * round_up(C, GRAM_LANES);
    int64_t own = gram_shift_own_places(shape);
    return (gram_shift_places(shape) - own) * matrix + own * lower_products(C);
}
