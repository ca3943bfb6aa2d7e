#pragma once

/* Maps of samples side by side: where there are few channels, vectors are made of the same channel
 * of the same place in GRAM_LANES samples, or four times as many where a lane is a quad of codes.
 * Whatever the shifts, filters and steps, no lane is wasted but for samples that are missing.
 *
 * Few samples are folded: cut into equal parts, rectangles of some rows of positions with all the
 * places and the padding that their windows see. Each is a sample of a smaller map without padding
 * above and below. What windows of two parts share, both have. */

#include "gram_shift.h"
#include "gram_tiles.h"

enum { GRAM_LANES_TAPS = 64 }; /* of a filter, in a row or a column */

struct gram_lanes {
    struct conv_shape samples;
    struct conv_shape parts; /* the same convolution of parts, samples.N · fold of them */
    int64_t fold;
};

/* Whether they may pay for some number of samples: not for many channels, or taps, of which the
 * sums, GRAM_LANES of each, would take too much room; nor without shift structure. */
bool gram_lanes_may_pay(const struct conv_shape *samples);

/* Folded so that a vector of the parts of so many samples has the fewest products to make. */
struct gram_lanes gram_lanes_of(const struct conv_shape *samples, int64_t vector);

/* Products that vectors make, those of missing samples included, as gram_shift_products. */
int64_t gram_lanes_products(const struct gram_lanes *lanes, int64_t vector);

/* What a way takes beside its products, in products of the same time: turning an element, and for
 * all samples, a column of the matrix; and how many halves of one its products take. */
struct gram_lanes_prices {
    int64_t turning, column, halves;
};

/* What a sample takes, to be compared with gram_shift_products; INT64_MAX where it can't pay. */
int64_t gram_lanes_cost(const struct conv_shape *samples, int64_t vector,
                        const struct gram_lanes_prices *prices);

/* Vectors of maps of bands of at most so many, or of one position: the same whatever the fold. */
int64_t gram_lanes_map_vectors(const struct conv_shape *shape, int64_t most);

/* One plane of a band of parts: [H][W][C] vectors of the parts from `first` on. Those that are
 * missing are 0. Adds them up for each place and channel, too: sums [H][W][C]. */
void gram_lanes_fill(const struct gram_lanes *lanes, const struct gram_shift *shift, const float *x,
                     int64_t first, float *out, double *sums);

/* The same of codes, GRAM_QUAD · GRAM_LANES parts; `zero` on the padding. Behind the sums, as
 * much as GRAM_BEYOND may be written. */
struct gram_lanes_codes {
    const uint8_t *codes;
    int32_t zero;
    gram_add_sums *add_sums;
};
void gram_lanes_fill_codes(const struct gram_lanes *lanes, const struct gram_shift *shift,
                           const struct gram_lanes_codes *from, int64_t first, uint8_t *out,
                           int32_t *sums);

/* Bytes of the sums of all products. */
size_t gram_lanes_sums_bytes(const struct conv_shape *shape, bool all);

void gram_lanes_clear(const struct gram_shift *shift, void *sums);

/* Adds the products of some planes of maps. */
void gram_lanes_add(const struct gram_shift *shift, const struct gram_version *version, bool codes,
                    const void *left, const void *right, int64_t planes, void *sums);

/* The products of gram_shift.h: over all lanes. */
void gram_lanes_products_f32(const struct gram_shift *shift, const float *sums, float *products);
void gram_lanes_products_codes(const struct gram_shift *shift, const int32_t *sums,
                               int32_t *products);

/* out[a][b][c] += the sums of the places of segment a of rows and b of columns, of all channels,
 * where a tap meets itself. `sums` are not what they were afterwards. */
void gram_lanes_add_channels(const struct gram_shift *shift, double *sums, double *out);
