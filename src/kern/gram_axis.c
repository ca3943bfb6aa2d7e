/* Segments of an axis (gram_axis.h). With padding that keeps the size, two taps that differ see the
 * same places whichever pair of their distance they are: a single segment; a tap with itself sees
 * one, or two, places less at an end. n pairs have at most 2n ends, hence 2n − 1 segments. */

#include "gram_axis.h"
#include "sizes.h"

int64_t gram_segments_most(int64_t taps, bool all)
{
    int64_t upper = taps * taps; /* Σ 2n − 1 of n = taps, taps − 1, …, 1 */
    return all ? 2 * upper - (2 * taps - 1) : upper;
}

/* Steps of `stride` that cover a length. */
static int64_t steps(int64_t length, int64_t stride)
{
    return length > 0 ? (length + stride - 1) / stride : 0;
}

/* Where tap a lies while the tap `distance` places on is on the map, too. */
static struct gram_range places_of(const struct gram_axis *axis, int64_t a, int64_t distance)
{
    int64_t low = distance < 0 ? -distance : 0;
    int64_t high = axis->size - (distance > 0 ? distance : 0);
    int64_t start = axis->first + a * axis->dilation;
    int64_t skipped = steps(low - start, axis->stride);
    start += skipped * axis->stride;
    int64_t count = least(axis->count - skipped, steps(high - start, axis->stride));
    return (struct gram_range){.first = start, .count = count > 0 ? count : 0};
}

static int64_t end_of(const struct gram_range *range, int64_t stride)
{
    return range->first + range->count * stride;
}

static bool in_step(const struct gram_range *a, const struct gram_range *b, int64_t stride)
{
    return a->count > 0 && b->count > 0 && (a->first - b->first) % stride == 0;
}

/* The ranges of one distance, tap by tap. */
struct ranges {
    const struct gram_axis *axis;
    struct gram_range *at; /* of the first pair; the next one is `next` further */
    int64_t count, next;
};

static struct gram_range *range_at(const struct ranges *ranges, int64_t i)
{
    return ranges->at + i * ranges->next;
}

/* The first end of a range in step with `like` that is behind `cut`; false if there is none. Sets
 * whether a range goes from `cut` to there. */
static bool next_cut(const struct ranges *ranges, const struct gram_range *like, int64_t cut,
                     int64_t *out_next, bool *out_covered)
{
    bool found = false;
    int64_t stride = ranges->axis->stride;
    *out_covered = false;
    for (int64_t i = 0; i < ranges->count; i++) {
        const struct gram_range *range = range_at(ranges, i);
        if (!in_step(range, like, stride))
            continue;
        int64_t end = end_of(range, stride);
        *out_covered = *out_covered || (range->first <= cut && cut < end);
        int64_t next = range->first > cut ? range->first : end;
        if (next > cut && (!found || next < *out_next)) {
            *out_next = next;
            found = true;
        }
    }
    return found;
}

/* Cuts all ranges in step with `like`, the first of them. */
static void cut_in_step(const struct ranges *ranges, const struct gram_range *like,
                        int64_t distance, struct gram_segments *out)
{
    int64_t stride = ranges->axis->stride, begin = out->count, cut = like->first, next = cut;
    bool covered;
    for (; next_cut(ranges, like, cut, &next, &covered); cut = next)
        if (covered)
            out->segment[out->count++] = (struct gram_segment){.distance = distance,
                                                               .first = cut,
                                                               .count = (next - cut) / stride};
    for (int64_t i = 0; i < ranges->count; i++) {
        struct gram_range *range = range_at(ranges, i);
        if (!in_step(range, like, stride))
            continue;
        range->begin = begin;
        while (out->segment[range->begin].first < range->first)
            range->begin++;
        range->end = range->begin;
        while (range->end < out->count && out->segment[range->end].first < end_of(range, stride))
            range->end++;
    }
}

static bool is_first_in_step(const struct ranges *ranges, int64_t i)
{
    const struct gram_range *range = range_at(ranges, i);
    for (int64_t before = 0; before < i; before++)
        if (in_step(range_at(ranges, before), range, ranges->axis->stride))
            return false;
    return range->count > 0;
}

void gram_segments_cut(const struct gram_axis *axis, bool all, struct gram_segments *out)
{
    out->count = 0;
    for (int64_t apart = all ? 1 - axis->taps : 0; apart < axis->taps; apart++) {
        int64_t tap = apart < 0 ? -apart : 0, distance = apart * axis->dilation;
        struct ranges ranges = {
            .axis = axis,
            .at = out->range + tap * axis->taps + tap + apart,
            .count = axis->taps - (apart < 0 ? -apart : apart),
            .next = axis->taps + 1,
        };
        for (int64_t i = 0; i < ranges.count; i++)
            *range_at(&ranges, i) = places_of(axis, tap + i, distance);
        for (int64_t i = 0; i < ranges.count; i++)
            if (is_first_in_step(&ranges, i))
                cut_in_step(&ranges, range_at(&ranges, i), distance, out);
    }
}

/* Ends grow with the tap: of each range, what the last one in step did not have. */
int64_t gram_axis_places(const struct gram_axis *axis, int64_t taps)
{
    int64_t places = 0, distance = taps * axis->dilation, first = taps < 0 ? -taps : 0;
    for (int64_t a = first; a < axis->taps && a + taps < axis->taps; a++) {
        struct gram_range range = places_of(axis, a, distance);
        int64_t begin = range.first;
        for (int64_t b = a - 1; b >= first; b--) {
            struct gram_range before = places_of(axis, b, distance);
            if (!in_step(&range, &before, axis->stride))
                continue;
            int64_t end = end_of(&before, axis->stride);
            begin = end > begin ? end : begin;
            break;
        }
        places += steps(end_of(&range, axis->stride) - begin, axis->stride);
    }
    return places;
}

static bool place_in_step(const struct gram_segment *segment, int64_t stride, int64_t place)
{
    return stride == 1 || (place - segment->first) % stride == 0; /* divisions are slow */
}

bool gram_segment_covers(const struct gram_segment *segment, int64_t stride, int64_t place)
{
    return segment->first <= place && place < segment->first + segment->count * stride &&
           place_in_step(segment, stride, place);
}

bool gram_segments_next_cut(const struct gram_segments *segments, int64_t stride, int64_t cut,
                            int64_t *out_next)
{
    bool found = false;
    *out_next = cut;
    for (int64_t i = 0; i < segments->count; i++) {
        const struct gram_segment *segment = &segments->segment[i];
        int64_t end = segment->first + segment->count * stride;
        if (end <= cut || !place_in_step(segment, stride, cut))
            continue;
        int64_t next = segment->first > cut ? segment->first : end;
        if (!found || next < *out_next)
            *out_next = next;
        found = true;
    }
    return found;
}
