#pragma once

/* Winograd transforms of tiles of a map, and of filters, in both directions. What is transformed
 * lies in 36 planes, one for each cell of a tile: plane [tiles][C]. */

#include <stdbool.h>
#include <stdint.h>

/* Maps [N][H][W][C], and how tiles lie on them; C is a multiple of LANES. */
struct winograd_map {
    int64_t H, W, C;
    int64_t tiles_h, tiles_w;   /* of one sample */
    int64_t before_h, before_w; /* places from the corner of the first tile to that of the map */
};

/* Some of the tiles, and their planes. */
struct winograd_part {
    int64_t first, count; /* tiles of all samples, line by line */
    float *planes;        /* `plane` elements apart */
    int64_t plane;
    float *copy; /* [36][C], for a tile with places outside the map */
};

/* Bᵀ x B of the 6 × 6 places that each tile sees. */
void winograd_take_inputs(const struct winograd_map *map, const float *x,
                          const struct winograd_part *part);
/* A y Aᵀ of the 4 × 4 places of each tile. */
void winograd_take_gradients(const struct winograd_map *map, const float *grad_y,
                             const struct winograd_part *part);

/* How a map is written. */
struct winograd_finish {
    const float *bias; /* [C] */
    bool added;        /* to what is there */
    bool rectified;    /* sums that are at most 0 become 0 */
};

/* Aᵀ m A, as far as it lies on the map. */
void winograd_give_outputs(const struct winograd_map *map, const struct winograd_part *part,
                           const struct winograd_finish *finish, float *y);

/* G w Gᵀ of filters that lie beside each other: [9][count] to [36][count]. */
void winograd_take_filters(const float *w, int64_t count, float *out);
/* Gᵀ u G: [36][count] to [9][count]. */
void winograd_give_filters(const float *u, int64_t count, float *out);
