#pragma once

/* Products of a convolution's columns by their shift structure: what pairs of taps share is made
 * once, from maps without copies of what windows have in common. */

#include "gram_axis.h"
#include "gram_products.h"
#include "ptqd/kern/conv.h"

/* A rectangle of output positions. */
struct gram_band {
    int64_t row, rows, column, columns;
};

/* What one band of a shape needs. Maps are [planes][H][W][G·C] lanes, copied, or in place. */
struct gram_shift {
    const struct conv_shape *shape;
    bool all;              /* all distances: the operands differ */
    int64_t C;             /* channels of a group */
    int64_t height, width; /* of a matrix of products: C rounded up */
    int64_t h, w, H, W;    /* the part of the map that the band's windows see */
    int64_t line, plane;   /* lanes from a row, and from a map, to the next */
    struct gram_segments rows, columns;
};

/* The size of the largest bands of which a plane has at most so many lanes and positions; one
 * position at least. */
struct gram_band gram_band_of(const struct conv_shape *shape, int64_t lanes, int64_t positions);

/* Calls `use` for bands of at most this size, which cover all positions. */
typedef void gram_use_band(void *context, const struct gram_band *band);
void gram_each_band(const struct conv_shape *shape, const struct gram_band *largest,
                    gram_use_band *use, void *context);

/* Lanes of a plane of a band of this size, at most. */
int64_t gram_band_lanes(const struct conv_shape *shape, const struct gram_band *band);

/* Bytes for the segments of any band, and for all products. */
size_t gram_shift_plan_bytes(const struct conv_shape *shape, bool all);
size_t gram_shift_products_bytes(const struct conv_shape *shape, bool all);

/* A plan in `memory`, for copies. */
void gram_shift_plan(const struct conv_shape *shape, const struct gram_band *band, bool all,
                     void *memory, struct gram_shift *out);

/* The same plan for matrices that have no room beyond the C rows and columns of each. */
struct gram_shift gram_shift_dense(const struct gram_shift *shift);

/* The same plan for samples where they are; maps start at that many lanes from sample n. */
struct gram_shift gram_shift_in_place(const struct gram_shift *shift);
int64_t gram_shift_origin(const struct gram_shift *shift, int64_t n);

/* Whether the products of two segments are made, or those of the opposite distance instead. */
bool gram_shift_makes(const struct gram_shift *shift, const struct gram_segment *rows,
                      const struct gram_segment *columns);

/* Lanes of a plane. */
int64_t gram_shift_lanes(const struct gram_shift *shift);

/* Elements that follow one another both in the samples [N][H][W][C] and in a plane. */
struct gram_run {
    int64_t sample, plane; /* where they start */
    int64_t length;
};
int64_t gram_shift_runs(const struct gram_shift *shift);
struct gram_run gram_shift_run(const struct gram_shift *shift, int64_t n, int64_t i);

/* Whether each column is of the same places: then its sum can be made with its products, as they
 * are read. */
bool gram_shift_is_single(const struct gram_shift *shift);

void gram_shift_clear(const struct gram_shift *shift, void *products);

/* The places of segment a of rows and b of columns in some planes of maps: all their channels, as
 * few loops as there can be. */
struct gram_operands gram_shift_operands(const struct gram_shift *shift, int64_t a, int64_t b,
                                         const void *left, const void *right, int64_t planes);

/* Adds the products of some planes of maps: `left` and `right` as in gram_products.h. `sums` of the
 * columns [G][C, rounded up], where there is a single rectangle of places; or NULL. */
void gram_shift_add(const struct gram_shift *shift, gram_add_products *add, const void *left,
                    const void *right, int64_t planes, void *products, void *sums);

/* Two taps (r, s) and (r', s'), and the matrices of their products: as many rows and columns of
 * them as the ranges have segments. */
struct gram_pair {
    struct gram_range rows, columns; /* places of the first tap */
    int64_t down, right;             /* from there to the second */
    int64_t row, column;             /* of the Gram matrix: where the taps' channels start */
    const void *matrix;              /* the first; the next is `step` lanes on, ... */
    int64_t step;
    int64_t row_step; /* ... and the first of the next row of them so many */
    bool same;        /* the same tap, of which a symmetric product has the lower triangle */
};

/* Calls `use` for all pairs of a group that were asked for. */
typedef void gram_use_pair(void *context, const struct gram_pair *pair);
void gram_shift_each_pair(const struct gram_shift *shift, const void *products, int64_t g,
                          gram_use_pair *use, void *context);

/* Places of all matrices of a symmetric product, for whole maps of one sample. */
int64_t gram_shift_places(const struct conv_shape *shape);

/* Of those, the places where a tap meets itself. */
int64_t gram_shift_own_places(const struct conv_shape *shape);

/* Products of a symmetric matrix that blocks of registers make, what they waste included: by the
 * shift structure for one sample, and of packed columns for one position. */
int64_t gram_shift_products(const struct conv_shape *shape);
int64_t gram_columns_products(const struct conv_shape *shape);
