/* Second moments for depthwise filters of half as many channels as a vector has lanes
 * (gram_pairs.h). Two samples, packed place by place, are one of twice the channels, whose matrices
 * are added up two by two; a last sample without another stays as it is. 3 × 3 on maps of 48 × 48 ×
 * 8 takes 0.74 of the time. */

#include "gram_pairs.h"

#include "gram_cells.h"
#include "gram_depthwise.h"
#include "lanes.h"
#include "simd.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

enum {
    CHANNELS = HALF_LANES, /* of a place */
    PLACES = 1 << 13,      /* packed at once: 512 KiB, half of a common second-level cache */
};

static_assert(2 * CHANNELS == GRAM_CELL_LANES, "two places fill a vector");

/* The caller's scratch, cut up. */
struct workspace {
    struct conv_shape pair; /* of as many pairs as are packed at once */
    int64_t map_bytes, inner_bytes, sums_bytes;
    float *x, *x_quantized;
    struct gram gram; /* of pairs */
    void *scratch;
};

static struct workspace workspace_of(const struct conv_shape *shape)
{
    struct workspace at = {.pair = *shape};
    int64_t D = shape->R * shape->S;
    at.pair.N = at_least_one(PLACES / (shape->H * shape->W));
    at.pair.C = at.pair.G = GRAM_CELL_LANES;
    at.pair.K = shape->K / shape->C * GRAM_CELL_LANES;
    at.map_bytes = lines(conv_input_elements(&at.pair) * (int64_t)sizeof(float));
    at.inner_bytes = GRAM_CELL_LANES * D * D * (int64_t)sizeof(double);
    at.sums_bytes = GRAM_CELL_LANES * D * (int64_t)sizeof(double);
    at.gram = (struct gram){.G = GRAM_CELL_LANES, .D = D};
    return at;
}

static int64_t matrices_bytes(const struct workspace *at)
{
    return 2 * (at->inner_bytes + at->sums_bytes);
}

size_t gram_pairs_scratch_bytes(const struct conv_shape *shape)
{
    struct workspace at = workspace_of(shape);
    size_t pair = gram_depthwise_scratch_bytes(&at.pair);
    size_t single = gram_depthwise_scratch_bytes(shape);
    return (size_t)(2 * at.map_bytes + matrices_bytes(&at)) + (pair > single ? pair : single);
}

/* Matrices are cleared. */
static struct workspace workspace_at(const struct conv_shape *shape, bool crossed, void *scratch)
{
    struct workspace at = workspace_of(shape);
    uint8_t *memory = scratch;
    at.x_quantized = (float *)(void *)memory;
    at.x = (float *)(void *)(memory += at.map_bytes);
    at.gram.inner = (double *)(void *)(memory += at.map_bytes);
    at.gram.sum_quantized = (double *)(void *)(memory += at.inner_bytes);
    memory += at.sums_bytes;
    at.gram.cross = crossed ? (double *)(void *)memory : NULL;
    at.gram.sum_float = crossed ? (double *)(void *)(memory + at.inner_bytes) : NULL;
    at.scratch = memory + at.inner_bytes + at.sums_bytes;
    memset(at.gram.inner, 0, (size_t)matrices_bytes(&at));
    return at;
}

/* Two samples [places][CHANNELS] as one [places][2][CHANNELS]. */
KERN_CLONES static void pack_pair(const float *x, int64_t places, float *out)
{
    const half_lanes *first = (const half_lanes *)x, *second = first + places;
    half_lanes *to = (half_lanes *)out;
    for (int64_t i = 0; i < places; i++) {
        to[2 * i] = first[i];
        to[2 * i + 1] = second[i];
    }
}

static void pack_pairs(const struct conv_shape *pair, const float *x, float *out)
{
    int64_t places = pair->H * pair->W;
    for (int64_t i = 0; i < pair->N; i++)
        pack_pair(x + i * places * pair->C, places, out + i * places * pair->C);
}

/* Both halves of [2][count] to one. */
static void add_halves(const double *halves, int64_t count, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] += halves[i] + halves[count + i];
}

bool gram_pairs_take(const struct conv_shape *shape)
{
    return shape->G == CHANNELS && shape->C == CHANNELS;
}

void gram_pairs_add(struct gram *gram, const struct conv_shape *shape, const float *x,
                    const float *x_quantized, void *scratch)
{
    struct workspace at = workspace_at(shape, gram->cross != NULL, scratch);
    struct conv_shape pair = at.pair, single = *shape;
    int64_t sample = shape->H * shape->W * CHANNELS, sums = CHANNELS * gram->D;
    for (int64_t n = 0; n + 1 < shape->N; n += 2 * pair.N) {
        bool same = x == x_quantized;
        pair.N = least(at.pair.N, (shape->N - n) / 2);
        pack_pairs(&pair, x_quantized + n * sample, at.x_quantized);
        if (gram->cross != NULL && !same)
            pack_pairs(&pair, x + n * sample, at.x);
        gram_add_depthwise(&at.gram, &pair, same ? at.x_quantized : at.x, at.x_quantized,
                           at.scratch);
    }
    add_halves(at.gram.inner, sums * gram->D, gram->inner);
    add_halves(at.gram.sum_quantized, sums, gram->sum_quantized);
    if (gram->cross != NULL) {
        add_halves(at.gram.cross, sums * gram->D, gram->cross);
        add_halves(at.gram.sum_float, sums, gram->sum_float);
    }
    single.N = shape->N % 2;
    int64_t last = (shape->N - single.N) * sample;
    if (single.N > 0)
        gram_add_depthwise(gram, &single, x + last, x_quantized + last, at.scratch);
}
