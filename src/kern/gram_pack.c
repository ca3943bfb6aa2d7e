/* Packing of columns (gram_pack.h). With the padding around a sample, a row of a filter is a run of
 * elements whatever its position. Runs, of codes those of four positions, are taken RUN elements at
 * a time; what a last, partial one writes too much, the next run repairs. */

#include "gram_pack.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    MAPS_BYTES = 1 << 18, /* a quarter of a common second-level cache */
    MAPS_MOST = 512,
    LINE = 64, /* bytes of a line of the cache */
    RUN = 16,  /* elements packed at once */
};

struct gram_maps gram_maps_of(const struct conv_shape *shape, int64_t bytes)
{
    /* Neighbouring taps are neighbours in memory: one run for a whole row of the filter. */
    bool whole = shape->dilation_w == 1 && shape->G == 1;
    struct gram_maps maps = {
        .bytes = bytes,
        .H = (shape->OH - 1) * shape->stride_h + (shape->R - 1) * shape->dilation_h + 1,
        .W = (shape->OW - 1) * shape->stride_w + (shape->S - 1) * shape->dilation_w + 1,
        .rows = shape->R,
        .runs = whole ? 1 : shape->S,
        .run_step = shape->dilation_w * shape->C,
        .length = whole ? shape->S * shape->C : shape->C / shape->G,
    };
    maps.size = maps.H * maps.W * shape->C;
    maps.row_step = shape->dilation_h * maps.W * shape->C;
    maps.count = least(MAPS_BYTES / (maps.size * bytes), MAPS_MOST);
    maps.count = maps.count < 1 ? 1 : maps.count;
    return maps;
}

int64_t gram_maps_bytes(const struct gram_maps *maps)
{
    return (maps->count * maps->size + RUN) * maps->bytes;
}

/* One sample with its padding, or cut where that is negative. */
static void copy_padded(const struct conv_shape *shape, const struct gram_maps *maps,
                        const uint8_t *in, int32_t zero, uint8_t *out)
{
    int64_t begin = shape->pad_left > 0 ? shape->pad_left : 0;
    int64_t end = least(maps->W, shape->W + shape->pad_left), place = shape->C * maps->bytes;
    memset(out, zero, (size_t)(maps->size * maps->bytes));
    for (int64_t row = 0; row < maps->H && begin < end; row++) {
        int64_t h = row - shape->pad_top;
        if (h >= 0 && h < shape->H)
            memcpy(out + (row * maps->W + begin) * place,
                   in + (h * shape->W + begin - shape->pad_left) * place,
                   (size_t)((end - begin) * place));
    }
}

void gram_maps_fill(const struct gram_maps *maps, const struct conv_shape *shape, int64_t samples,
                    const void *in, int32_t zero, void *out)
{
    int64_t sample = shape->H * shape->W * shape->C * maps->bytes, map = maps->size * maps->bytes;
    for (int64_t n = 0; n < samples; n++)
        copy_padded(shape, maps, (const uint8_t *)in + n * sample, zero, (uint8_t *)out + n * map);
}

/* RUN floats; any address. */
typedef float run_floats __attribute__((vector_size(RUN * sizeof(float)), aligned(4), may_alias));

KERN_CLONES static void pack_column(const struct gram_maps *maps, const float *from, float *out)
{
    for (int64_t r = 0; r < maps->rows; r++)
        for (int64_t s = 0; s < maps->runs; s++, out += maps->length) {
            const float *run = from + r * maps->row_step + s * maps->run_step;
            for (int64_t done = 0; done < maps->length; done += RUN)
                *(run_floats *)(out + done) = *(const run_floats *)(run + done);
        }
}

void gram_pack_column(const struct gram_maps *maps, const float *from, float *out)
{
    pack_column(maps, from, out);
}

/* An odd number of lines, so that the same column of all quads does not meet in a few sets of the
 * cache. */
int64_t gram_quad_bytes(int64_t D)
{
    return (round_up((D + RUN - 1) * GRAM_QUAD, LINE) / LINE | 1) * LINE;
}

/* RUN codes; any address. */
typedef uint8_t run_codes __attribute__((vector_size(RUN), aligned(1), may_alias));

static inline run_codes low_halves(run_codes a, run_codes b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline run_codes high_halves(run_codes a, run_codes b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}

/* RUN codes of each of four positions, side by side. */
static inline void pack_run(const uint8_t *const from[GRAM_QUAD], int64_t offset, uint8_t *out)
{
    run_codes *to = (run_codes *)out;
    run_codes a = *(const run_codes *)(from[0] + offset);
    run_codes b = *(const run_codes *)(from[1] + offset);
    run_codes c = *(const run_codes *)(from[2] + offset);
    run_codes d = *(const run_codes *)(from[3] + offset);
    run_codes ac = low_halves(a, c), bd = low_halves(b, d);
    to[0] = low_halves(ac, bd);
    to[1] = high_halves(ac, bd);
    ac = high_halves(a, c), bd = high_halves(b, d);
    to[2] = low_halves(ac, bd);
    to[3] = high_halves(ac, bd);
}

KERN_CLONES static void keep_bytes(const uint8_t kept[GRAM_QUAD], int64_t quads, uint8_t *out)
{
    uint32_t mask, quad;
    memcpy(&mask, kept, sizeof(mask));
    for (int64_t i = 0; i < quads; i++) {
        memcpy(&quad, out + i * GRAM_QUAD, sizeof(quad));
        quad &= mask;
        memcpy(out + i * GRAM_QUAD, &quad, sizeof(quad));
    }
}

void gram_quad_clear(int64_t count, int64_t bytes, uint8_t *out)
{
    uint8_t kept[GRAM_QUAD] = {0};
    if (count >= GRAM_QUAD)
        return;
    memset(kept, UINT8_MAX, (size_t)count);
    keep_bytes(kept, bytes / GRAM_QUAD, out);
}

void gram_pack_quad(const struct gram_maps *maps, const uint8_t *const from[GRAM_QUAD],
                    int64_t count, uint8_t *out)
{
    int64_t at = 0;
    for (int64_t r = 0; r < maps->rows; r++)
        for (int64_t s = 0; s < maps->runs; s++, at += maps->length * GRAM_QUAD) {
            int64_t offset = r * maps->row_step + s * maps->run_step;
            for (int64_t done = 0; done < maps->length; done += RUN)
                pack_run(from, offset + done, out + at + done * GRAM_QUAD);
        }
    gram_quad_clear(count, at, out);
}

/* What is left of a run after whole RUNs. */
static void pack_rest(const uint8_t *const from[GRAM_QUAD], int64_t offset, int64_t length,
                      uint8_t *out)
{
    uint8_t rest[GRAM_QUAD][RUN] = {{0}};
    const uint8_t *rests[GRAM_QUAD];
    for (int t = 0; t < GRAM_QUAD; t++) {
        memcpy(rest[t], from[t] + offset, (size_t)length);
        rests[t] = rest[t];
    }
    pack_run(rests, 0, out);
}

void gram_pack_places(const uint8_t *const from[GRAM_QUAD], int64_t count, int64_t step,
                      int64_t length, uint8_t *out)
{
    int64_t whole = length / RUN * RUN;
    for (int64_t i = 0; i < count; i++, out += length * GRAM_QUAD) {
        for (int64_t done = 0; done < whole; done += RUN)
            pack_run(from, i * step + done, out + done * GRAM_QUAD);
        if (whole < length)
            pack_rest(from, i * step + whole, length - whole, out + whole * GRAM_QUAD);
    }
}
