/* The input of a convolution as a matrix (im2col.h has the shapes). A row is R·S runs of channels;
 * each run is copied from the map or, on the padding, cleared. */

#include "ptqd/kern/im2col.h"

#include <string.h>

struct run {
    int64_t channels; /* of the run */
    int64_t offset;   /* of its first channel in an input position */
};

/* One row of the filter over one line of the map, from input column w (maybe before the map). */
static void fill_filter_row(const struct conv_shape *shape, const float *line, int64_t w,
                            struct run run, float *out)
{
    size_t bytes = (size_t)run.channels * sizeof(float);
    for (int64_t s = 0; s < shape->S; s++, w += shape->dilation_w, out += run.channels) {
        if (w >= 0 && w < shape->W)
            memcpy(out, line + w * shape->C + run.offset, bytes);
        else
            memset(out, 0, bytes);
    }
}

/* An output position. Rows are made one after the other: no division for each. */
struct position {
    int64_t n, oh, ow;
};

static struct position position_at(const struct conv_shape *shape, int64_t index)
{
    return (struct position){
        .n = index / (shape->OW * shape->OH),
        .oh = index / shape->OW % shape->OH,
        .ow = index % shape->OW,
    };
}

static void position_advance(const struct conv_shape *shape, struct position *at)
{
    if (++at->ow < shape->OW)
        return;
    at->ow = 0;
    if (++at->oh < shape->OH)
        return;
    at->oh = 0;
    at->n++;
}

static void fill_row(const struct conv_shape *shape, const float *x, const struct position *at,
                     struct run run, float *row)
{
    int64_t w = at->ow * shape->stride_w - shape->pad_left;
    int64_t width = shape->S * run.channels;
    /* Neighbouring taps are neighbours in memory: one copy for the whole row of the filter. */
    bool whole =
        shape->dilation_w == 1 && run.channels == shape->C && w >= 0 && w + shape->S <= shape->W;
    for (int64_t r = 0; r < shape->R; r++, row += width) {
        int64_t h = at->oh * shape->stride_h - shape->pad_top + r * shape->dilation_h;
        if (h < 0 || h >= shape->H) {
            memset(row, 0, (size_t)width * sizeof(float));
            continue;
        }
        const float *line = x + (at->n * shape->H + h) * shape->W * shape->C;
        if (whole)
            memcpy(row, line + w * shape->C, (size_t)width * sizeof(float));
        else
            fill_filter_row(shape, line, w, run, row);
    }
}

static void fill_rows(const struct conv_shape *shape, const float *x, struct run run, int64_t first,
                      int64_t count, float *columns)
{
    int64_t width = shape->R * shape->S * run.channels;
    struct position at = position_at(shape, first);
    for (int64_t i = 0; i < count; i++, position_advance(shape, &at))
        fill_row(shape, x, &at, run, columns + i * width);
}

void im2col_f32(const struct conv_shape *shape, const float *x, int64_t first, int64_t count,
                float *columns)
{
    fill_rows(shape, x, (struct run){.channels = shape->C, .offset = 0}, first, count, columns);
}

void im2col_group_f32(const struct conv_shape *shape, const float *x, int64_t g, int64_t first,
                      int64_t count, float *columns)
{
    int64_t channels = shape->C / shape->G;
    fill_rows(shape, x, (struct run){.channels = channels, .offset = g * channels}, first, count,
              columns);
}
