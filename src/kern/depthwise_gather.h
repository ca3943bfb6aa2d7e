#pragma once

/* out[place][c] = start[c] + Σ over taps of in[place of the tap][c] · weights[tap][c], for places
 * that all see the same taps; steps are in elements. */

#include <stdbool.h>
#include <stdint.h>

/* A loop over places. */
struct depthwise_places {
    int64_t count, in_step, out_step;
};

/* Where a tap is: in the input, of the first place, and in the weights. */
struct depthwise_tap {
    int64_t in, weight;
};

/* What will be needed after these places: addresses to bring into a cache meanwhile, as many bytes
 * of the output as are written now. */
struct depthwise_ahead {
    uintptr_t in, out;
    int64_t in_bytes; /* for each 64 of the output */
};

enum { DEPTHWISE_LOOPS = 3 };

struct depthwise_gather {
    int64_t channels;
    struct depthwise_places loop[DEPTHWISE_LOOPS];
    const struct depthwise_tap *tap; /* [taps] */
    int64_t taps;
    bool triples; /* taps t, t + 1 and t + 2, t = 0, 3, …, lie one step of the last loop apart */
    const float *in, *weights;
    const float *start; /* [channels]; NULL: what is in `out` */
    bool rectified;     /* sums that are at most 0 become 0 */
    float *out;         /* overlaps nothing else */
    struct depthwise_ahead ahead;
};

/* Steps in which places of the last loop are computed. */
int64_t depthwise_tiles(int64_t places);

/* Adds in the order of the taps, whatever the loops. Either the first loop or the last one, the
 * longer, is cut into tiles. */
void depthwise_gather(const struct depthwise_gather *gather);
