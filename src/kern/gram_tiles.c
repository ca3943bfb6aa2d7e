/* Products of tiles (gram_tiles.h). The sums of a tile stay in registers over all places.
 *
 *   AVX-512        vfmadd; of codes vpdpbusd: up to 27 sums, so that 27 instructions need 12 loads
 *   AVX2           vfmadd; of codes vpmaddwd on bytes widened to 16 bits: up to 12 sums
 *   plain          the reference, for everything else */

#include "gram_tiles.h"

#include "cpu.h"
#include "gram_vectors.h"
#include "sizes.h"

/* Vectors on the right of tiles of 1, 2, … rows, each with a function of its own: others are
 * rounded up. */
enum { COUNTS = 4 };
static const int8_t counts[GRAM_TILE_ROWS][COUNTS] = {
    {4, 7, 10, 13},
    {4, 7, 10, 13},
    {3, 4, 6, 9},
    {2, 3, 4, 6},
};

int64_t gram_tile_most(int64_t rows)
{
    return counts[rows - 1][COUNTS - 1];
}

/* Bytes of a place from the first one. */
static inline int64_t place_at(const struct gram_tile *tile, int64_t outer, int64_t middle,
                               int64_t inner)
{
    return outer * tile->outer.step + middle * tile->middle.step + inner * tile->inner.step;
}

/* One vector against one. */
typedef void add_vectors(const uint8_t *left, const uint8_t *right, void *sum);

static void add_floats(const uint8_t *left, const uint8_t *right, void *sum)
{
    const float *a = (const void *)left, *b = (const void *)right;
    float *out = sum;
    for (int i = 0; i < GRAM_LANES; i++)
        out[i] += a[i] * b[i];
}

static void add_codes(const uint8_t *left, const uint8_t *right, void *sum)
{
    int32_t *out = sum;
    for (int i = 0; i < GRAM_VECTOR; i++)
        out[i / GRAM_QUAD] += (left[i] - GRAM_SHIFT) * right[i];
}

static void add_tile_plain(const struct gram_tile *tile, add_vectors *add, void *sum, int64_t i,
                           int64_t j)
{
    for (int64_t o = 0; o < tile->outer.count; o++)
        for (int64_t m = 0; m < tile->middle.count; m++)
            for (int64_t n = 0; n < tile->inner.count; n++) {
                int64_t place = place_at(tile, o, m, n);
                add(tile->left + place + i * GRAM_VECTOR, tile->right + place + tile->distance[j],
                    sum);
            }
}

void gram_tile_floats_plain(const struct gram_tile *tile)
{
    for (int64_t i = 0; i < tile->rows; i++)
        for (int64_t j = 0; j < tile->count; j++) {
            float sum[GRAM_LANES] = {0}, *out = (void *)(tile->out[j] + i * tile->step);
            add_tile_plain(tile, add_floats, sum, i, j);
            for (int lane = 0; lane < GRAM_LANES; lane++)
                out[lane] += sum[lane];
        }
}

void gram_tile_codes_plain(const struct gram_tile *tile)
{
    for (int64_t i = 0; i < tile->rows; i++)
        for (int64_t j = 0; j < tile->count; j++)
            add_tile_plain(tile, add_codes, tile->out[j] + i * tile->step, i, j);
}

#if defined(__x86_64__)

#define AVX512 CPU_AVX512_PRODUCTS
#define AVX2   CPU_AVX2
#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* `rows` and `count` are constant where this is inlined. */
AVX512 static INLINE void add_tile_avx512(bool floats, int rows, int count,
                                          const struct gram_tile *tile)
{
    const struct gram_span inner = tile->inner;
    __m512i sum[GRAM_TILE_ROWS][GRAM_TILE_COUNT];
    int64_t distance[GRAM_TILE_COUNT];
    UNROLL for (int j = 0; j < count; j++)
    {
        distance[j] = tile->distance[j];
        UNROLL for (int r = 0; r < rows; r++) sum[r][j] = _mm512_setzero_si512();
    }
    for (int64_t o = 0; o < tile->outer.count; o++)
        for (int64_t m = 0; m < tile->middle.count; m++) {
            const uint8_t *left = tile->left + place_at(tile, o, m, 0);
            const uint8_t *right = tile->right + place_at(tile, o, m, 0);
            for (int64_t n = 0; n < inner.count; n++, left += inner.step, right += inner.step) {
                __m512i factor[GRAM_TILE_ROWS];
                UNROLL for (int r = 0; r < rows; r++)
                {
                    factor[r] =
                        gram_factor_avx512(floats, _mm512_loadu_si512(left + r * GRAM_VECTOR));
                }
                UNROLL for (int j = 0; j < count; j++)
                {
                    __m512i lanes = _mm512_loadu_si512(right + distance[j]);
                    UNROLL for (int r = 0; r < rows; r++) sum[r][j] =
                        gram_add_lanes_avx512(floats, sum[r][j], factor[r], lanes);
                }
            }
        }
    UNROLL for (int j = 0; j < count; j++)
    {
        if (j < tile->count)
            UNROLL for (int r = 0; r < rows; r++)
                gram_add_to_avx512(floats, sum[r][j], tile->out[j] + r * tile->step);
    }
}

#define DEFINE_TILE(rows, count)                                                                   \
    AVX512 static void floats_##rows##_##count(const struct gram_tile *tile)                       \
    {                                                                                              \
        add_tile_avx512(true, rows, count, tile);                                                  \
    }                                                                                              \
    AVX512 static void codes_##rows##_##count(const struct gram_tile *tile)                        \
    {                                                                                              \
        add_tile_avx512(false, rows, count, tile);                                                 \
    }

DEFINE_TILE(1, 4)
DEFINE_TILE(1, 7)
DEFINE_TILE(1, 10)
DEFINE_TILE(1, 13)
DEFINE_TILE(2, 4)
DEFINE_TILE(2, 7)
DEFINE_TILE(2, 10)
DEFINE_TILE(2, 13)
DEFINE_TILE(3, 3)
DEFINE_TILE(3, 4)
DEFINE_TILE(3, 6)
DEFINE_TILE(3, 9)
DEFINE_TILE(4, 2)
DEFINE_TILE(4, 3)
DEFINE_TILE(4, 4)
DEFINE_TILE(4, 6)

/* In the order of `counts`. */
static gram_add_tile *const floats_avx512[GRAM_TILE_ROWS][COUNTS] = {
    {floats_1_4, floats_1_7, floats_1_10, floats_1_13},
    {floats_2_4, floats_2_7, floats_2_10, floats_2_13},
    {floats_3_3, floats_3_4, floats_3_6, floats_3_9},
    {floats_4_2, floats_4_3, floats_4_4, floats_4_6},
};
static gram_add_tile *const codes_avx512[GRAM_TILE_ROWS][COUNTS] = {
    {codes_1_4, codes_1_7, codes_1_10, codes_1_13},
    {codes_2_4, codes_2_7, codes_2_10, codes_2_13},
    {codes_3_3, codes_3_4, codes_3_6, codes_3_9},
    {codes_4_2, codes_4_3, codes_4_4, codes_4_6},
};

static int rounded_up(const struct gram_tile *tile)
{
    int i = 0;
    while (counts[tile->rows - 1][i] < tile->count)
        i++;
    return i;
}

void gram_tile_floats_avx512(const struct gram_tile *tile)
{
    floats_avx512[tile->rows - 1][rounded_up(tile)](tile);
}

void gram_tile_codes_avx512(const struct gram_tile *tile)
{
    codes_avx512[tile->rows - 1][rounded_up(tile)](tile);
}

/* Vectors on the right whose sums stay in 16 registers; of floats, a half of each at a time, of
 * codes a quarter. */
enum { AVX2_COUNT = 3, HALF = GRAM_VECTOR / 2, QUARTER = GRAM_VECTOR / 4 };

AVX2 static INLINE void add_floats_avx2(int rows, const struct gram_tile *tile, int64_t j,
                                        int64_t part)
{
    __m256 sum[GRAM_TILE_ROWS][AVX2_COUNT];
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < AVX2_COUNT; k++)
            sum[r][k] = _mm256_setzero_ps();
    for (int64_t o = 0; o < tile->outer.count; o++)
        for (int64_t m = 0; m < tile->middle.count; m++)
            for (int64_t n = 0; n < tile->inner.count; n++) {
                int64_t place = place_at(tile, o, m, n) + part;
                __m256 right[AVX2_COUNT];
                for (int k = 0; k < AVX2_COUNT; k++) {
                    const uint8_t *at = tile->right + place + tile->distance[j + k];
                    right[k] = _mm256_loadu_ps((const float *)(const void *)at);
                }
                for (int r = 0; r < rows; r++) {
                    const uint8_t *at = tile->left + place + r * GRAM_VECTOR;
                    __m256 left = _mm256_loadu_ps((const float *)(const void *)at);
                    for (int k = 0; k < AVX2_COUNT; k++)
                        sum[r][k] = _mm256_fmadd_ps(left, right[k], sum[r][k]);
                }
            }
    for (int k = 0; k < AVX2_COUNT && j + k < tile->count; k++)
        for (int r = 0; r < rows; r++) {
            float *to = (void *)(tile->out[j + k] + r * tile->step + part);
            _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), sum[r][k]));
        }
}

AVX2 static INLINE void add_codes_avx2(int rows, const struct gram_tile *tile, int64_t j,
                                       int64_t part)
{
    const __m128i shift = _mm_set1_epi8((char)GRAM_SHIFT);
    __m256i sum[GRAM_TILE_ROWS][AVX2_COUNT];
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < AVX2_COUNT; k++)
            sum[r][k] = _mm256_setzero_si256();
    for (int64_t o = 0; o < tile->outer.count; o++)
        for (int64_t m = 0; m < tile->middle.count; m++)
            for (int64_t n = 0; n < tile->inner.count; n++) {
                int64_t place = place_at(tile, o, m, n) + part;
                __m256i right[AVX2_COUNT];
                for (int k = 0; k < AVX2_COUNT; k++) {
                    const uint8_t *at = tile->right + place + tile->distance[j + k];
                    right[k] = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)at));
                }
                for (int r = 0; r < rows; r++) {
                    const uint8_t *at = tile->left + place + r * GRAM_VECTOR;
                    __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const void *)at), shift);
                    __m256i left = _mm256_cvtepi8_epi16(bytes);
                    for (int k = 0; k < AVX2_COUNT; k++)
                        sum[r][k] = _mm256_add_epi32(sum[r][k], _mm256_madd_epi16(left, right[k]));
                }
            }
    for (int k = 0; k < AVX2_COUNT && j + k < tile->count; k++)
        for (int r = 0; r < rows; r++) {
            __m128i *to = (void *)(tile->out[j + k] + r * tile->step + part);
            __m128i low = _mm256_castsi256_si128(sum[r][k]);
            __m128i lanes = _mm_hadd_epi32(low, _mm256_extracti128_si256(sum[r][k], 1));
            _mm_storeu_si128(to, _mm_add_epi32(_mm_loadu_si128(to), lanes));
        }
}

AVX2 static INLINE void add_tile_avx2(bool floats, int rows, const struct gram_tile *tile)
{
    for (int64_t j = 0; j < tile->count; j += AVX2_COUNT)
        for (int64_t part = 0; part < GRAM_VECTOR; part += floats ? HALF : QUARTER)
            if (floats)
                add_floats_avx2(rows, tile, j, part);
            else
                add_codes_avx2(rows, tile, j, part);
}

AVX2 static INLINE void add_rows_avx2(bool floats, const struct gram_tile *tile)
{
    if (tile->rows == 1)
        add_tile_avx2(floats, 1, tile);
    else if (tile->rows == 2)
        add_tile_avx2(floats, 2, tile);
    else if (tile->rows == 3)
        add_tile_avx2(floats, 3, tile);
    else
        add_tile_avx2(floats, 4, tile);
}

AVX2 void gram_tile_floats_avx2(const struct gram_tile *tile)
{
    add_rows_avx2(true, tile);
}

AVX2 void gram_tile_codes_avx2(const struct gram_tile *tile)
{
    add_rows_avx2(false, tile);
}

#endif
