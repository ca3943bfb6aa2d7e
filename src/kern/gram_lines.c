/* Which lines have code of their own (gram_lines.h). */

#include "gram_lines.h"

int64_t gram_slot_find(const struct gram_shift *shift, struct gram_slot slot, bool mirrored)
{
    int64_t stride = shift->shape->stride_w;
    if (mirrored) {
        slot.first = shift->W - 1 - (slot.first + (slot.count - 1) * stride);
        slot.distance = -slot.distance;
    }
    for (int64_t b = 0; b < shift->columns.count; b++) {
        const struct gram_segment *segment = &shift->columns.segment[b];
        if (segment->distance == slot.distance && segment->first - shift->w == slot.first &&
            segment->count == slot.count)
            return b;
    }
    return -1;
}

#if defined(__x86_64__)

static bool has_instructions(bool codes)
{
    return __builtin_cpu_supports("avx512f") && (!codes || __builtin_cpu_supports("avx512vnni"));
}

bool gram_lines_match(const struct gram_shift *shift, int64_t place, bool codes,
                      struct gram_lines *out)
{
    return has_instructions(codes) && gram_threes_match(shift, place, codes, out);
}

#else

bool gram_lines_match(const struct gram_shift *shift, int64_t place, bool codes,
                      struct gram_lines *out)
{
    (void)shift;
    (void)place;
    (void)codes;
    (void)out;
    return false;
}

#endif
