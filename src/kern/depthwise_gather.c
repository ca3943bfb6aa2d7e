/* Places of a depthwise pass (depthwise_gather.h).
 *
 * A tile is some places of one loop, whose sums stay in registers over all taps: a tap's weights
 * are read once for all of them. All channels of a tile follow one another.
 *
 * Neither lines nor samples lie one behind the other, which hardware does not foresee: what comes
 * next is asked for while this is computed. That costs 5 % where all is in caches, and saves a
 * third of the time where it is in memory. */

#include "depthwise_gather.h"

#include "cpu.h"
#include "lanes.h"
#include "simd.h"
#include "sizes.h"

#include <stddef.h>

enum {
    TILE = 8,       /* places at most */
    LINE_BYTES = 64 /* of a cache */
};

/* Channels are taken LANES at once, then HALF_LANES, and those that are left one by one. */
DEFINE_LANES(single, 1);

/* Asks for what comes after `bytes` of the output. */
static inline __attribute__((always_inline)) void prefetch(struct depthwise_ahead *ahead,
                                                           int64_t bytes)
{
    uintptr_t in_end = ahead->in + (uintptr_t)(bytes * ahead->in_bytes / LINE_BYTES);
    uintptr_t out_end = ahead->out + (uintptr_t)bytes;
    for (; ahead->in < in_end; ahead->in += LINE_BYTES)
        __builtin_prefetch((const void *)ahead->in, 0, 2);
    for (; ahead->out < out_end; ahead->out += LINE_BYTES)
        __builtin_prefetch((const void *)ahead->out, 0, 2);
}

/* Taps of COUNT places, one at a time ... */
#define ADD_TAPS(type, COUNT)                                                                      \
    for (int64_t t = 0; t < taps; t++) {                                                           \
        const float *from = in + tap[t].in + c;                                                    \
        type factor = *(const type *)(weights + tap[t].weight + c);                                \
        for (int i = 0; i < COUNT; i++)                                                            \
            sum[i] += *(const type *)(from + i * place.in_step) * factor;                          \
    }

/* ... or three, for each of which most of what is read serves. */
#define ADD_TRIPLES(type, COUNT)                                                                   \
    for (int64_t t = 0; t < taps; t += 3) {                                                        \
        const float *from = in + tap[t].in + c;                                                    \
        type factor[3];                                                                            \
        for (int k = 0; k < 3; k++)                                                                \
            factor[k] = *(const type *)(weights + tap[t + k].weight + c);                          \
        _Pragma("GCC unroll 10") for (int j = 0; j < COUNT + 2; j++, from += place.in_step)        \
        {                                                                                          \
            type value = *(const type *)from;                                                      \
            _Pragma("GCC unroll 3") for (int k = 0; k < 3; k++) if (j >= k && j - k < COUNT)       \
                sum[j - k] += value * factor[k];                                                   \
        }                                                                                          \
    }

/* Channels c … of COUNT places. */
#define GATHER_LANES(type, COUNT)                                                                  \
    do {                                                                                           \
        type sum[COUNT];                                                                           \
        float *to = out + c;                                                                       \
        for (int i = 0; i < COUNT; i++)                                                            \
            sum[i] = *(const type *)(start != NULL ? start + c : to + i * place.out_step);         \
        if (triples)                                                                               \
            ADD_TRIPLES(type, COUNT)                                                               \
        else                                                                                       \
            ADD_TAPS(type, COUNT)                                                                  \
        for (int i = 0; i < COUNT; i++, to += place.out_step) {                                    \
            if (rectified)                                                                         \
                sum[i] = LANES_RECTIFIED(type, sum[i]);                                            \
            *(type *)to = sum[i];                                                                  \
        }                                                                                          \
    } while (0)

/* GCC's check of undefined behaviour in each access of what is unrolled here takes it minutes to
 * compile; clang has both checks, and GCC that of addresses. */
#if defined(__clang__)
#define UNROLLED
#else
#define UNROLLED __attribute__((no_sanitize("undefined")))
#endif

/* A function for each number of places of a tile; a macro, for GCC splits vectors of functions that
 * are inlined into clones before it knows the clone's instruction set. `at` is tiles, repeated
 * along the first two loops; `wide` channels are taken LANES at a time. */
#define DEFINE_GATHER(name, COUNT)                                                                 \
    KERN_CLONES UNROLLED static void name(const struct depthwise_gather *at, int64_t wide)         \
    {                                                                                              \
        const struct depthwise_places outer = at->loop[0], inner = at->loop[1];                    \
        const struct depthwise_places place = at->loop[2];                                         \
        const struct depthwise_tap *tap = at->tap;                                                 \
        const int64_t taps = at->taps, channels = at->channels;                                    \
        const float *weights = at->weights, *start = at->start;                                    \
        const bool rectified = at->rectified, triples = at->triples;                               \
        struct depthwise_ahead ahead = at->ahead;                                                  \
        for (int64_t o = 0; o < outer.count; o++)                                                  \
            for (int64_t l = 0; l < inner.count; l++)                                              \
                for (int64_t p = 0; p < place.count; p += COUNT) {                                 \
                    const float *in =                                                              \
                        at->in + o * outer.in_step + l * inner.in_step + p * place.in_step;        \
                    float *out =                                                                   \
                        at->out + o * outer.out_step + l * inner.out_step + p * place.out_step;    \
                    prefetch(&ahead, COUNT *channels *(int64_t)sizeof(float));                     \
                    int64_t c = 0;                                                                 \
                    for (; c < wide; c += LANES)                                                   \
                        GATHER_LANES(lanes, COUNT);                                                \
                    for (; c + HALF_LANES <= channels; c += HALF_LANES)                            \
                        GATHER_LANES(half_lanes, COUNT);                                           \
                    for (; c < channels; c++)                                                      \
                        GATHER_LANES(single, COUNT);                                               \
                }                                                                                  \
    }

DEFINE_GATHER(gather_1, 1)
DEFINE_GATHER(gather_2, 2)
DEFINE_GATHER(gather_3, 3)
DEFINE_GATHER(gather_4, 4)
DEFINE_GATHER(gather_5, 5)
DEFINE_GATHER(gather_6, 6)
DEFINE_GATHER(gather_7, 7)
DEFINE_GATHER(gather_8, 8)

/* Tiles of `size` places, the first ones of the loop; what is left is left in `part`. */
static void gather_places(struct depthwise_gather *part, int64_t tiles, int64_t size)
{
    typedef void gather_tiles(const struct depthwise_gather *at, int64_t wide);
    static gather_tiles *const sizes[TILE] = {
        gather_1, gather_2, gather_3, gather_4, gather_5, gather_6, gather_7, gather_8,
    };
    struct depthwise_places *place = &part->loop[2];
    int64_t places = tiles * size, left = place->count - places;
    if (tiles == 0)
        return;
    place->count = places;
    /* GCC keeps vectors that are wider than the machine's in memory: half as many at a time are
     * twice as fast there. */
    sizes[size - 1](part, cpu_has_avx512() ? part->channels / LANES * LANES : 0);
    int64_t written = part->loop[0].count * part->loop[1].count * places * part->channels * 4;
    part->ahead.in += (uintptr_t)(written * part->ahead.in_bytes / LINE_BYTES);
    part->ahead.out += (uintptr_t)written;
    part->in += places * place->in_step;
    part->out += places * place->out_step;
    place->count = left;
}

int64_t depthwise_tiles(int64_t places)
{
    return divided_up(places, TILE);
}

void depthwise_gather(const struct depthwise_gather *gather)
{
    struct depthwise_gather part = *gather;
    struct depthwise_places *samples = &part.loop[0], *places = &part.loop[2];
    if (depthwise_tiles(samples->count) * places->count <
        samples->count * depthwise_tiles(places->count)) {
        *samples = gather->loop[2];
        *places = gather->loop[0];
        part.triples = false;
    }
    int64_t tiles = depthwise_tiles(places->count), size = places->count / tiles;
    int64_t larger = places->count % tiles; /* tiles of one place more */
    gather_places(&part, larger, size + 1);
    gather_places(&part, tiles - larger, size);
}
