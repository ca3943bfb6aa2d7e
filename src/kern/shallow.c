/* Convolution of few input channels (shallow.h).
 *
 * A band of lines of the input is copied with its padding, so that all places of the output are
 * alike. A tile is some places, wherever they lie, by some vectors of outputs: its sums stay in
 * registers over all taps, and an element of the input is spread over a vector as it is read. */

#include "shallow.h"

#include "lanes.h"
#include "sizes.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHANNELS_MOST = 4,
    TAPS_MOST = 256, /* elements of a filter: with all outputs of a tile they stay in L1 */
    PLACES = 8,      /* of a tile */
    PLACES_WIDE = 6, /* where it has WIDE vectors: 24 sums, 4 weights and an element */
    WIDE = 4,
    BAND_BYTES = 24 << 10,     /* of the copied lines */
    BAND_BYTES_MOST = 4 << 20, /* also where that is the least: far taps see many lines between */
};

struct shallow {
    struct conv_shape shape;
    int64_t lines, width; /* of the band: lines, and elements of each */
    int64_t rows;         /* of the output, in a band */
    int32_t *place;       /* [rows][OW]: first element in the band */
    int32_t *tap;         /* [R][S · C]: element behind a place's first */
    float *band;          /* [lines][width] */
    float *weights;       /* for each block of outputs: [R][S · C][outputs of the block] */
    float *no_bias;       /* [K] zeros */
};

/* The lines that so many rows of the output see. */
static int64_t lines_of(const struct conv_shape *shape, int64_t rows)
{
    return (rows - 1) * shape->stride_h + (shape->R - 1) * shape->dilation_h + 1;
}

static int64_t width_of(const struct conv_shape *shape)
{
    return ((shape->OW - 1) * shape->stride_w + shape->S) * shape->C;
}

static int64_t least_rows(const struct conv_shape *shape)
{
    return divided_up(PLACES, shape->OW);
}

static int64_t band_bytes(const struct conv_shape *shape, int64_t rows)
{
    return lines_of(shape, rows) * width_of(shape) * (int64_t)sizeof(float);
}

/* Files may have strides, dilations and padding of 2^30 each: a product is not looked at. */
static bool has_small_band(const struct conv_shape *shape)
{
    int64_t most = BAND_BYTES_MOST / (int64_t)sizeof(float) / width_of(shape);
    return lines_of(shape, least_rows(shape)) <= most;
}

bool shallow_takes(const struct conv_shape *shape)
{
    return shape->G == 1 && shape->C <= CHANNELS_MOST && shape->R * shape->S > 1 &&
           shape->R <= TAPS_MOST && shape->S <= TAPS_MOST &&
           shape->R * shape->S * shape->C <= TAPS_MOST && shape->dilation_w == 1 &&
           shape->pad_top >= 0 && shape->pad_left >= 0 && shape->K % HALF_LANES == 0 &&
           least_rows(shape) <= shape->OH && has_small_band(shape) && cpu_has_avx512();
}

/* As many rows as the band has room for, in bands of the same size. */
static int64_t choose_rows(const struct conv_shape *shape)
{
    int64_t rows = least_rows(shape);
    while (rows < shape->OH && band_bytes(shape, rows + 1) <= BAND_BYTES)
        rows++;
    int64_t even = divided_up(shape->OH, divided_up(shape->OH, rows));
    return even < least_rows(shape) ? rows : even;
}

static void list_elements(struct shallow *at)
{
    const struct conv_shape *shape = &at->shape;
    int64_t line = shape->S * shape->C;
    for (int64_t i = 0; i < shape->R * line; i++)
        at->tap[i] = (int32_t)(i / line * shape->dilation_h * at->width + i % line);
    for (int64_t row = 0; row < at->rows; row++)
        for (int64_t ow = 0; ow < shape->OW; ow++)
            at->place[row * shape->OW + ow] =
                (int32_t)(row * shape->stride_h * at->width + ow * shape->stride_w * shape->C);
}

bool shallow_create(const struct conv_shape *shape, struct shallow **out_shallow, struct error *err)
{
    struct shallow *at = calloc(1, sizeof(*at));
    if (at == NULL)
        return FAIL(err, E_MEMORY, "no memory for a convolution (%zu bytes)", sizeof(*at));
    at->shape = *shape;
    at->rows = choose_rows(shape);
    at->lines = lines_of(shape, at->rows);
    at->width = width_of(shape);
    at->place = calloc((size_t)(at->rows * shape->OW), sizeof(*at->place));
    at->tap = calloc((size_t)conv_column_elements(shape), sizeof(*at->tap));
    at->band = calloc((size_t)(at->lines * at->width), sizeof(float));
    at->weights =
        aligned_alloc(64, (size_t)lines(conv_weight_elements(shape) * (int64_t)sizeof(float)));
    at->no_bias = calloc((size_t)shape->K, sizeof(float));
    if (at->place == NULL || at->tap == NULL || at->band == NULL || at->weights == NULL ||
        at->no_bias == NULL) {
        shallow_destroy(at);
        return FAIL(err, E_MEMORY, "no memory for a filter of %lld × %lld × %lld × %lld",
                    (long long)shape->R, (long long)shape->S, (long long)shape->C,
                    (long long)shape->K);
    }
    list_elements(at);
    *out_shallow = at;
    return true;
}

void shallow_destroy(struct shallow *at)
{
    if (at == NULL)
        return;
    free(at->place);
    free(at->tap);
    free(at->band);
    free(at->weights);
    free(at->no_bias);
    free(at);
}

/* Outputs of the block that begins with k. */
static int64_t block_outputs(int64_t K, int64_t k)
{
    static const int64_t sizes[] = {WIDE * LANES, 2 * LANES, LANES};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (K - k >= sizes[i])
            return sizes[i];
    return HALF_LANES;
}

static void load_weights(struct shallow *at, const float *w)
{
    int64_t K = at->shape.K, taps = conv_column_elements(&at->shape);
    float *to = at->weights;
    for (int64_t k = 0, outputs; k < K; k += outputs, w += outputs * taps) {
        outputs = block_outputs(K, k);
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t i = 0; i < outputs; i++)
                *to++ = w[i * taps + tap];
    }
}

/* Copies the lines of a sample that are seen by the rows of the output from `first`; what lies
 * beside the map is zero since the band was made. */
static void fill_band(struct shallow *at, const float *x, int64_t first)
{
    const struct conv_shape *shape = &at->shape;
    int64_t line = shape->W * shape->C, pad = least(shape->pad_left * shape->C, at->width);
    size_t bytes = (size_t)least(line, at->width - pad) * sizeof(float);
    for (int64_t i = 0; i < at->lines; i++) {
        int64_t h = first * shape->stride_h - shape->pad_top + i;
        float *to = at->band + i * at->width + pad;
        if (h >= 0 && h < shape->H)
            memcpy(to, x + h * line, bytes);
        else
            memset(to, 0, bytes);
    }
}

/* A block of outputs at the places of a band. */
struct block {
    const float *band, *weights, *bias;
    const int32_t *place, *tap;
    int64_t places, taps;
    float *y; /* at the first place */
    int64_t K;
    bool rectified;
};

/* Without this what is addressed in a loop stays in memory. */
#define UNROLLED _Pragma("GCC unroll 8")

/* Tiles of COUNT places; the last one begins where it ends with the last place. The sums of a
 * vector are over the filter's lines, and the elements of a line. */
#define DEFINE_BLOCK(name, type, VECTORS, COUNT)                                                   \
    CPU_AVX512 static void name(const struct block *at)                                            \
    {                                                                                              \
        enum { WIDTH = (int)(sizeof(type) / sizeof(float)) };                                      \
        const int64_t places = at->places, taps = at->taps, K = at->K;                             \
        const int32_t *place = at->place, *tap = at->tap;                                          \
        const bool rectified = at->rectified;                                                      \
        for (int64_t p = 0; p < places; p += COUNT) {                                              \
            int64_t first = least(p, places - COUNT);                                              \
            const float *from[COUNT], *weights = at->weights;                                      \
            float *to = at->y + first * K;                                                         \
            type sum[COUNT][VECTORS];                                                              \
            UNROLLED for (int i = 0; i < COUNT; i++)                                               \
            {                                                                                      \
                from[i] = at->band + place[first + i];                                             \
                UNROLLED for (int v = 0; v < VECTORS; v++) sum[i][v] =                             \
                    *(const type *)(at->bias + v * WIDTH);                                         \
            }                                                                                      \
            for (int64_t t = 0; t < taps; t++, weights += VECTORS * WIDTH) {                       \
                type weight[VECTORS];                                                              \
                UNROLLED for (int v = 0; v < VECTORS; v++) weight[v] =                             \
                    *(const type *)(weights + v * WIDTH);                                          \
                UNROLLED for (int i = 0; i < COUNT; i++)                                           \
                {                                                                                  \
                    type value = from[i][tap[t]] - (type){0};                                      \
                    UNROLLED for (int v = 0; v < VECTORS; v++)                                     \
                        LANES_ADD_PRODUCT(sum[i][v], weight[v], value);                            \
                }                                                                                  \
            }                                                                                      \
            UNROLLED for (int i = 0; i < COUNT; i++, to += K)                                      \
            {                                                                                      \
                UNROLLED for (int v = 0; v < VECTORS; v++)                                         \
                {                                                                                  \
                    type value = sum[i][v];                                                        \
                    if (rectified)                                                                 \
                        value = LANES_RECTIFIED(type, value);                                      \
                    *(type *)(to + v * WIDTH) = value;                                             \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_BLOCK(block_of_64, lanes, WIDE, PLACES_WIDE)
DEFINE_BLOCK(block_of_32, lanes, 2, PLACES)
DEFINE_BLOCK(block_of_16, lanes, 1, PLACES)
DEFINE_BLOCK(block_of_8, half_lanes, 1, PLACES)

static void compute_block(const struct block *at, int64_t outputs)
{
    if (outputs == WIDE * LANES)
        block_of_64(at);
    else if (outputs == 2 * LANES)
        block_of_32(at);
    else if (outputs == LANES)
        block_of_16(at);
    else
        block_of_8(at);
}

void shallow_forward(struct shallow *at, int64_t N, const float *x, const float *w,
                     const float *bias, bool relu, float *y)
{
    const struct conv_shape *shape = &at->shape;
    int64_t K = shape->K, taps = conv_column_elements(shape);
    load_weights(at, w);
    for (int64_t n = 0; n < N; n++)
        for (int64_t row = 0; row < shape->OH; row += at->rows) {
            int64_t first = least(row, shape->OH - at->rows); /* the last band is whole, too */
            struct block block = {
                .band = at->band,
                .place = at->place,
                .places = at->rows * shape->OW,
                .tap = at->tap,
                .taps = taps,
                .K = K,
                .rectified = relu,
            };
            fill_band(at, x + n * shape->H * shape->W * shape->C, first);
            for (int64_t k = 0, outputs; k < K; k += outputs) {
                outputs = block_outputs(K, k);
                block.weights = at->weights + k * taps;
                block.bias = (bias != NULL ? bias : at->no_bias) + k;
                block.y = y + (n * shape->OH + first) * shape->OW * K + k;
                compute_block(&block, outputs);
            }
        }
}
