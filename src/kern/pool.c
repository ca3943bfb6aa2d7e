/* Pooling, channels-last (pool.h has the shapes). A window is walked in row order; cells outside
 * the map are skipped. */

#include "ptqd/kern/pool.h"

#include "ptqd/kern/statistics.h"
#include "simd.h"
#include "sizes.h"

#include <math.h>
#include <stddef.h>

int64_t pool_extent(int64_t input, int64_t window, int64_t stride, int64_t dilation,
                    int64_t pad_before, int64_t pad_after, bool ceil_mode)
{
    int64_t span = dilation * (window - 1) + 1;
    int64_t room = input + pad_before + pad_after - span;
    if (room < 0)
        return 0;
    int64_t extent = room / stride + 1;
    if (ceil_mode && room % stride != 0 && extent * stride < input + pad_before)
        extent++;
    return extent;
}

/* The taps of a window that fall on the map, along one axis: first and end (exclusive). */
struct taps {
    int64_t first, end;
};

static struct taps taps_inside(int64_t start, int64_t dilation, int64_t window, int64_t low,
                               int64_t high)
{
    int64_t first = start < low ? (low - start + dilation - 1) / dilation : 0;
    int64_t end = start < high ? (high - start + dilation - 1) / dilation : 0;
    first = first < window ? first : window;
    end = end < window ? end : window;
    return (struct taps){.first = first, .end = end > first ? end : first};
}

/* One window: where it starts, its taps on the map, and its output position. */
struct window {
    int64_t h, w; /* of the first tap, on the map or before it */
    struct taps rows, columns;
    int64_t cells; /* an average divides by this */
    size_t sample; /* first element of the sample in x */
    size_t y;      /* first element of the position in y */
};

static int64_t span_inside(int64_t start, int64_t dilation, int64_t window, int64_t low,
                           int64_t high)
{
    struct taps taps = taps_inside(start, dilation, window, low, high);
    return taps.end - taps.first;
}

static struct window window_at(const struct pool_shape *shape, int64_t position)
{
    int64_t ow = position % shape->OW;
    int64_t oh = position / shape->OW % shape->OH;
    int64_t n = position / (shape->OW * shape->OH);
    struct window window = {
        .h = oh * shape->stride_h - shape->pad_top,
        .w = ow * shape->stride_w - shape->pad_left,
        .sample = (size_t)(n * shape->H * shape->W * shape->C),
        .y = (size_t)(position * shape->C),
    };
    window.rows = taps_inside(window.h, shape->dilation_h, shape->R, 0, shape->H);
    window.columns = taps_inside(window.w, shape->dilation_w, shape->S, 0, shape->W);
    int64_t rows = window.rows.end - window.rows.first;
    int64_t columns = window.columns.end - window.columns.first;
    if (shape->count_include_pad) {
        rows = span_inside(window.h, shape->dilation_h, shape->R, -shape->pad_top,
                           shape->H + shape->pad_bottom);
        columns = span_inside(window.w, shape->dilation_w, shape->S, -shape->pad_left,
                              shape->W + shape->pad_right);
    }
    window.cells = rows * columns;
    return window;
}

/* First element of tap (r, s) in x. */
static size_t cell(const struct pool_shape *shape, const struct window *window, int64_t r,
                   int64_t s)
{
    int64_t h = window->h + r * shape->dilation_h, w = window->w + s * shape->dilation_w;
    return window->sample + (size_t)((h * shape->W + w) * shape->C);
}

static int64_t position_count(const struct pool_shape *shape)
{
    return shape->N * shape->OH * shape->OW;
}

void max_pool_f32(const struct pool_shape *shape, const float *x, float *y)
{
    for (int64_t p = 0; p < position_count(shape); p++) {
        struct window window = window_at(shape, p);
        float *out = y + window.y;
        for (int64_t c = 0; c < shape->C; c++)
            out[c] = -INFINITY;
        for (int64_t r = window.rows.first; r < window.rows.end; r++) {
            for (int64_t s = window.columns.first; s < window.columns.end; s++) {
                const float *in = x + cell(shape, &window, r, s);
                for (int64_t c = 0; c < shape->C; c++)
                    out[c] = in[c] > out[c] || isnan(in[c]) ? in[c] : out[c];
            }
        }
    }
}

/* The first cell of the window whose channel c is `value`; NULL when none is (NaN). */
static const float *find_value(const struct pool_shape *shape, const struct window *window,
                               const float *x, int64_t c, float value)
{
    for (int64_t r = window->rows.first; r < window->rows.end; r++) {
        for (int64_t s = window->columns.first; s < window->columns.end; s++) {
            const float *in = x + cell(shape, window, r, s) + c;
            if (*in == value)
                return in;
        }
    }
    return NULL;
}

void max_pool_f32_grad_x(const struct pool_shape *shape, const float *x, const float *y,
                         const float *grad_y, float *grad_x)
{
    for (int64_t p = 0; p < position_count(shape); p++) {
        struct window window = window_at(shape, p);
        for (int64_t c = 0; c < shape->C; c++) {
            size_t out = window.y + (size_t)c;
            const float *in = find_value(shape, &window, x, c, y[out]);
            if (in != NULL)
                grad_x[in - x] += grad_y[out];
        }
    }
}

enum { CHANNELS = 64 }; /* at once: a cell's, where there are no more */

static void average_window(const struct pool_shape *shape, const struct window *window,
                           const float *x, float *y)
{
    int64_t columns = window->columns.end - window->columns.first;
    struct channel_rows cells = {columns, shape->dilation_w * shape->C, CHANNELS};
    for (int64_t first = 0; first < shape->C; first += CHANNELS) {
        double sums[CHANNELS] = {0};
        cells.count = least(CHANNELS, shape->C - first);
        for (int64_t r = window->rows.first; r < window->rows.end && columns > 0; r++)
            channel_sums_f32(x + cell(shape, window, r, window->columns.first) + first, &cells,
                             sums);
        for (int64_t c = 0; c < cells.count; c++)
            y[window->y + (size_t)(first + c)] =
                window->cells > 0 ? (float)(sums[c] / (double)window->cells) : 0;
    }
}

void average_pool_f32(const struct pool_shape *shape, const float *x, float *y)
{
    for (int64_t p = 0; p < position_count(shape); p++) {
        struct window window = window_at(shape, p);
        average_window(shape, &window, x, y);
    }
}

/* Adds a cell's share of the gradient to so many cells of a row. */
KERN_CLONES static void add_shares(const float *restrict share, const struct channel_rows *cells,
                                   float *restrict grad_x)
{
    for (int64_t i = 0; i < cells->positions; i++)
        for (int64_t c = 0; c < cells->count; c++)
            grad_x[i * cells->stride + c] += share[c];
}

static void spread_window(const struct pool_shape *shape, const struct window *window,
                          const float *grad_y, float *grad_x)
{
    int64_t columns = window->columns.end - window->columns.first;
    struct channel_rows cells = {columns, shape->dilation_w * shape->C, CHANNELS};
    for (int64_t first = 0; first < shape->C; first += CHANNELS) {
        float share[CHANNELS];
        cells.count = least(CHANNELS, shape->C - first);
        for (int64_t c = 0; c < cells.count; c++)
            share[c] = grad_y[window->y + (size_t)(first + c)] / (float)window->cells;
        for (int64_t r = window->rows.first; r < window->rows.end; r++)
            add_shares(share, &cells,
                       grad_x + cell(shape, window, r, window->columns.first) + first);
    }
}

void average_pool_f32_grad_x(const struct pool_shape *shape, const float *grad_y, float *grad_x)
{
    for (int64_t p = 0; p < position_count(shape); p++) {
        struct window window = window_at(shape, p);
        if (window.columns.end > window.columns.first)
            spread_window(shape, &window, grad_y, grad_x);
    }
}

struct pool_shape pool_global_shape(int64_t N, int64_t P, int64_t C)
{
    return (struct pool_shape){
        .N = N,
        .H = 1,
        .W = P,
        .C = C,
        .R = 1,
        .S = P,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .OH = 1,
        .OW = 1,
    };
}
