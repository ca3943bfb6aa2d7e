#pragma once

/* One axis of a convolution as its Gram matrix sees it. The product of taps a and b is summed over
 * the places at which tap a lies, as far as tap b is on the map, too; elsewhere it is zero. Pairs
 * of taps with the same distance b − a share the products of the places that they have in common.
 */

#include <stdbool.h>
#include <stdint.h>

struct gram_axis {
    int64_t taps, stride, dilation;
    int64_t size;  /* of the map */
    int64_t first; /* place of the first tap at the first position; below 0 on the padding, ... */
    int64_t count; /* ... and `count` positions, `stride` apart */
};

/* Places first, first + stride, …, of a tap, and the same `distance` on of another. */
struct gram_segment {
    int64_t distance; /* in places */
    int64_t first, count;
};

/* All places of a pair of taps: those of segments `begin` … `end` − 1, one after the other. */
struct gram_range {
    int64_t first, count;
    int64_t begin, end;
};

struct gram_segments {
    int64_t count;
    struct gram_segment *segment;
    struct gram_range *range; /* [taps][taps], of taps a and b */
};

/* Room for the segments of distances ≥ 0, or of all. */
int64_t gram_segments_most(int64_t taps, bool all);

/* Cuts what pairs of taps see so that no two segments of a distance overlap. `out` has the room. */
void gram_segments_cut(const struct gram_axis *axis, bool all, struct gram_segments *out);

/* Places of all segments whose taps are `taps` apart, without memory for them. */
int64_t gram_axis_places(const struct gram_axis *axis, int64_t taps);

/* Whether one of the segment's places is this one. */
bool gram_segment_covers(const struct gram_segment *segment, int64_t stride, int64_t place);

/* The first end behind `cut` of segments that are in step with it; false if there is none. */
bool gram_segments_next_cut(const struct gram_segments *segments, int64_t stride, int64_t cut,
                            int64_t *out_next);
