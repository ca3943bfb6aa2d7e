#pragma once

/* From samples to the columns that gram_products.h reads: of floats, or quads of codes. */

#include "gram_products.h"
#include "ptqd/kern/conv.h"

/* Samples with their padding, copied as many at once as fit the cache, and what a filter reads of
 * them: `rows` times `runs` runs of `length` elements. */
struct gram_maps {
    int64_t bytes; /* of an element */
    int64_t H, W;  /* of a map: what filters reach */
    int64_t size;  /* elements of a map */
    int64_t count; /* maps */
    int64_t rows, row_step;
    int64_t runs, run_step;
    int64_t length;
};

struct gram_maps gram_maps_of(const struct conv_shape *shape, int64_t bytes);
/* Of [count][H][W][C], and of what is read beyond. */
int64_t gram_maps_bytes(const struct gram_maps *maps);
/* `zero`: each byte of the padding. */
void gram_maps_fill(const struct gram_maps *maps, const struct conv_shape *shape, int64_t samples,
                    const void *in, int32_t zero, void *out);

/* The column of floats of a position, given by the first one that the filter reads; up to 15 beyond
 * it are written. */
void gram_pack_column(const struct gram_maps *maps, const float *from, float *out);

/* Bytes of a quad of D columns, with what is written beyond. */
int64_t gram_quad_bytes(int64_t D);

/* The columns of `count` positions, given by the first code that the filter reads at each; all four
 * must be ones in the maps. The others' codes are 0. */
void gram_pack_quad(const struct gram_maps *maps, const uint8_t *const from[GRAM_QUAD],
                    int64_t count, uint8_t *out);

/* Codes of 0 in those of the four that are not there, of so many bytes. */
void gram_quad_clear(int64_t count, int64_t bytes, uint8_t *out);

/* `count` times `length` codes, `step` codes apart, from each of four places on side by side; up to
 * 15 lanes beyond are written. */
void gram_pack_places(const uint8_t *const from[GRAM_QUAD], int64_t count, int64_t step,
                      int64_t length, uint8_t *out);
