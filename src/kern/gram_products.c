/* Products of columns (gram_products.h), a block of registers at a time.
 *
 * A block is some columns i, one after the other, against vectors of columns j; its sums stay in
 * registers over all positions. Where i and j are the same vector, half of them would be made
 * twice: gram_turned.h does without them.
 *
 *   AVX-512        vfmadd; of codes vpdpbusd: four products of an unsigned and a signed byte, added
 *                  in 32 bits
 *   AVX2           vfmadd; of codes vpmaddwd on bytes widened to 16 bits. vpmaddubsw would take the
 *                  bytes as they are, but adds two products in 16 bits, which saturate:
 *                  2 · 255 · 128 > 2^15
 *   plain          the reference, for everything else
 *
 * AMX (tdpbusd) is left out: there was no machine to run it on. */

#include "gram_products.h"

#include "cpu.h"
#include "gram_tiles.h"
#include "gram_turned.h"
#include "gram_vectors.h"
#include "sizes.h"

#include <string.h>

static bool runs_everywhere(void)
{
    return true;
}

static int64_t positions_of(const struct gram_operands *at)
{
    return at->outer.count * at->middle.count * at->inner.count;
}

/* The p-th position. */
static int64_t position_of_index(const struct gram_operands *at, int64_t p)
{
    int64_t inner = p % at->inner.count, rest = p / at->inner.count;
    return gram_position_at(at, rest / at->middle.count, rest % at->middle.count, inner);
}

static inline float float_at(const uint8_t *lane)
{
    float value;
    memcpy(&value, lane, sizeof(value));
    return value;
}

/* Sums of columns, from position to position. */
static void add_sums_of_floats(const struct gram_operands *at)
{
    float *sums = at->sums;
    for (int64_t j = 0; j < at->columns; j++) {
        float sum = 0;
        for (int64_t p = 0; p < positions_of(at); p++)
            sum += float_at(at->right + position_of_index(at, p) + j * GRAM_QUAD);
        sums[j] += sum;
    }
}

static void add_sums_of_codes(const struct gram_operands *at)
{
    int32_t *sums = at->sums;
    for (int64_t p = 0; p < positions_of(at); p++) {
        const uint8_t *right = at->right + position_of_index(at, p);
        for (int64_t i = 0; i < at->columns * GRAM_QUAD; i++)
            sums[i / GRAM_QUAD] += right[i];
    }
}

static void add_floats_plain(const struct gram_operands *at, void *products, int64_t row)
{
    float *out = products;
    if (at->sums != NULL)
        add_sums_of_floats(at);
    for (int64_t i = 0; i < at->columns; i++)
        for (int64_t j = 0; j < (at->lower ? i + 1 : at->columns); j++) {
            float sum = 0; /* of these positions alone: as exact as in registers */
            for (int64_t p = 0; p < positions_of(at); p++) {
                int64_t offset = position_of_index(at, p);
                sum += float_at(at->left + offset + i * GRAM_QUAD) *
                       float_at(at->right + offset + j * GRAM_QUAD);
            }
            out[i * row + j] += sum;
        }
}

static void add_codes_plain(const struct gram_operands *at, void *products, int64_t row)
{
    int32_t *out = products;
    if (at->sums != NULL)
        add_sums_of_codes(at);
    for (int64_t p = 0; p < positions_of(at); p++) {
        int64_t offset = position_of_index(at, p);
        const uint8_t *left = at->left + offset, *right = at->right + offset;
        for (int64_t i = 0; i < at->columns; i++)
            for (int64_t j = 0; j < (at->lower ? i + 1 : at->columns); j++)
                for (int t = 0; t < GRAM_QUAD; t++)
                    out[i * row + j] +=
                        left[i * GRAM_QUAD + t] * (right[j * GRAM_QUAD + t] - GRAM_SHIFT);
    }
}

static void add_sums_plain(const uint8_t *codes, int64_t quads, int64_t stride, int64_t D,
                           int32_t *sums)
{
    for (int64_t quad = 0; quad < quads; quad++, codes += stride)
        for (int64_t i = 0; i < D * GRAM_QUAD; i++)
            sums[i / GRAM_QUAD] += codes[i];
}

#if defined(__x86_64__)

static int64_t vectors_of(int64_t columns)
{
    return (columns + GRAM_LANES - 1) / GRAM_LANES;
}

static inline int32_t lane_at(const uint8_t *at)
{
    int32_t lane;
    memcpy(&lane, at, sizeof(lane));
    return lane;
}

#define AVX512 CPU_AVX512_PRODUCTS
#define INLINE inline __attribute__((always_inline))

enum { AVX512_VECTORS = 3 };

/* Columns i … against `vectors` vectors of columns j …, both constant where this is inlined. */
AVX512 static INLINE void add_block_avx512(bool floats, const struct gram_operands *at, int64_t i,
                                           int64_t j, int vectors, uint32_t *out, int64_t row)
{
    __m512i sum[GRAM_ROWS][AVX512_VECTORS];
    for (int r = 0; r < GRAM_ROWS; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = _mm512_setzero_si512();
    const struct gram_span inner = at->inner;
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++) {
            int64_t offset = gram_position_at(at, o, m, 0);
            const uint8_t *left = at->left + offset + i * GRAM_QUAD;
            const uint8_t *right = at->right + offset + j * GRAM_QUAD;
            for (int64_t n = 0; n < inner.count; n++, left += inner.step, right += inner.step) {
                __m512i lanes[AVX512_VECTORS];
                for (int v = 0; v < vectors; v++)
                    lanes[v] =
                        gram_factor_avx512(floats,
                                           _mm512_loadu_si512(right + v * GRAM_LANES * GRAM_QUAD));
                for (int r = 0; r < GRAM_ROWS; r++) {
                    __m512i factor = _mm512_set1_epi32(lane_at(left + r * GRAM_QUAD));
                    for (int v = 0; v < vectors; v++)
                        sum[r][v] = gram_add_lanes_avx512(floats, sum[r][v], lanes[v], factor);
                }
            }
        }
    for (int r = 0; r < GRAM_ROWS; r++)
        for (int v = 0; v < vectors; v++)
            gram_add_to_avx512(floats, sum[r][v], out + (i + r) * row + j + v * GRAM_LANES);
}

AVX512 static INLINE void add_strip_avx512(bool floats, const struct gram_operands *at, int64_t i,
                                           int64_t j, int64_t vectors, uint32_t *out, int64_t row)
{
    if (vectors >= 3)
        add_block_avx512(floats, at, i, j, 3, out, row);
    else if (vectors == 2)
        add_block_avx512(floats, at, i, j, 2, out, row);
    else if (vectors == 1)
        add_block_avx512(floats, at, i, j, 1, out, row);
}

/* Columns j … of a strip against all that follow, and those of each vector with themselves. */
AVX512 static INLINE void add_lower_avx512(bool floats, const struct gram_operands *at, int64_t j,
                                           int64_t wide, uint32_t *out, int64_t row)
{
    for (int64_t i = j; i < at->columns; i += GRAM_ROWS) {
        int64_t within = (i - j) / GRAM_LANES, first = i / GRAM_LANES * GRAM_LANES;
        if (within >= wide) {
            add_strip_avx512(floats, at, i, j, wide, out, row);
            continue;
        }
        if (i == first)
            gram_turned_add(floats, at, i, out, row);
        add_strip_avx512(floats, at, i, j, within, out, row);
    }
}

/* Vectors of the next strip, of those that are left: 3, or 2 where 1 would follow. */
static int64_t strip_vectors(int64_t left)
{
    return left == 4 ? 2 : least(left, AVX512_VECTORS);
}

AVX512 static INLINE void add_all_avx512(bool floats, const struct gram_operands *at, uint32_t *out,
                                         int64_t row)
{
    int64_t end = vectors_of(at->columns);
    for (int64_t strip = 0; strip < end; strip += strip_vectors(end - strip)) {
        int64_t j = strip * GRAM_LANES, wide = strip_vectors(end - strip);
        if (at->lower)
            add_lower_avx512(floats, at, j, wide, out, row);
        else
            for (int64_t i = 0; i < at->columns; i += GRAM_ROWS)
                add_strip_avx512(floats, at, i, j, wide, out, row);
    }
}

AVX512 static void add_codes_avx512(const struct gram_operands *at, void *products, int64_t row)
{
    add_all_avx512(false, at, products, row);
}

AVX512 static void add_floats_avx512(const struct gram_operands *at, void *products, int64_t row)
{
    add_all_avx512(true, at, products, row);
}

AVX512 static void add_sums_avx512(const uint8_t *codes, int64_t quads, int64_t stride, int64_t D,
                                   int32_t *sums)
{
    __m512i ones = _mm512_set1_epi8(1);
    for (int64_t j = 0; j < D; j += GRAM_LANES) {
        __m512i sum = _mm512_loadu_si512(sums + j);
        for (int64_t quad = 0; quad < quads; quad++)
            sum = gram_add_lanes_avx512(false, sum, ones,
                                        _mm512_loadu_si512(codes + quad * stride + j * GRAM_QUAD));
        _mm512_storeu_si512(sums + j, sum);
    }
}

#define AVX2 CPU_AVX2

/* Of codes, a vector is four columns j in 16 bits and two sums of each; of floats, eight. */
enum { AVX2_ROWS = 4, AVX2_VECTORS = 2, AVX2_CODES = 4, AVX2_FLOATS = 8 };

AVX2 static INLINE __m256i codes_avx2(const uint8_t *codes)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)codes));
}

AVX2 static INLINE __m256i right_avx2(const uint8_t *codes)
{
    return _mm256_sub_epi16(codes_avx2(codes), _mm256_set1_epi16(GRAM_SHIFT));
}

/* out[0 … 3] += the sums of neighbours in `sum`. */
AVX2 static INLINE void add_pairs_avx2(__m256i sum, int32_t *out)
{
    __m128i *at = (__m128i *)(void *)out;
    __m128i pairs = _mm_hadd_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), pairs));
}

AVX2 static void add_codes_block_avx2(const struct gram_operands *at, int64_t i, int64_t j,
                                      int32_t *out, int64_t row)
{
    __m256i sum[AVX2_ROWS][AVX2_VECTORS];
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++)
            sum[r][v] = _mm256_setzero_si256();
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++)
            for (int64_t n = 0; n < at->inner.count; n++) {
                const uint8_t *left = at->left + gram_position_at(at, o, m, n) + i * GRAM_QUAD;
                const uint8_t *right = at->right + gram_position_at(at, o, m, n) + j * GRAM_QUAD;
                __m256i codes[AVX2_VECTORS];
                for (int v = 0; v < AVX2_VECTORS; v++)
                    codes[v] = right_avx2(right + v * AVX2_CODES * GRAM_QUAD);
                for (int r = 0; r < AVX2_ROWS; r++) {
                    __m128i bytes = _mm_set1_epi32(lane_at(left + r * GRAM_QUAD));
                    __m256i factor = _mm256_cvtepu8_epi16(bytes);
                    for (int v = 0; v < AVX2_VECTORS; v++)
                        sum[r][v] =
                            _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(codes[v], factor));
                }
            }
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++)
            add_pairs_avx2(sum[r][v], out + (i + r) * row + j + v * AVX2_CODES);
}

AVX2 static void add_codes_avx2(const struct gram_operands *at, void *products, int64_t row)
{
    if (at->sums != NULL)
        add_sums_of_codes(at);
    enum { STEP = AVX2_VECTORS * AVX2_CODES };
    for (int64_t i = 0; i < at->columns; i += AVX2_ROWS)
        for (int64_t j = 0; j < (at->lower ? i + AVX2_ROWS : at->columns); j += STEP)
            add_codes_block_avx2(at, i, j, products, row);
}

AVX2 static void add_floats_block_avx2(const struct gram_operands *at, int64_t i, int64_t j,
                                       float *out, int64_t row)
{
    __m256 sum[AVX2_ROWS][AVX2_VECTORS];
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++)
            sum[r][v] = _mm256_setzero_ps();
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++)
            for (int64_t n = 0; n < at->inner.count; n++) {
                const void *left = at->left + gram_position_at(at, o, m, n) + i * GRAM_QUAD;
                const void *right = at->right + gram_position_at(at, o, m, n) + j * GRAM_QUAD;
                __m256 values[AVX2_VECTORS];
                for (int v = 0; v < AVX2_VECTORS; v++)
                    values[v] = _mm256_loadu_ps((const float *)right + v * AVX2_FLOATS);
                for (int r = 0; r < AVX2_ROWS; r++) {
                    __m256 factor = _mm256_broadcast_ss((const float *)left + r);
                    for (int v = 0; v < AVX2_VECTORS; v++)
                        sum[r][v] = _mm256_fmadd_ps(values[v], factor, sum[r][v]);
                }
            }
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++) {
            float *to = out + (i + r) * row + j + v * AVX2_FLOATS;
            _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), sum[r][v]));
        }
}

AVX2 static void add_floats_avx2(const struct gram_operands *at, void *products, int64_t row)
{
    if (at->sums != NULL)
        add_sums_of_floats(at);
    enum { STEP = AVX2_VECTORS * AVX2_FLOATS };
    for (int64_t i = 0; i < at->columns; i += AVX2_ROWS)
        for (int64_t j = 0; j < (at->lower ? i + AVX2_ROWS : at->columns); j += STEP)
            add_floats_block_avx2(at, i, j, products, row);
}

AVX2 static void add_sums_avx2(const uint8_t *codes, int64_t quads, int64_t stride, int64_t D,
                               int32_t *sums)
{
    __m256i ones = _mm256_set1_epi16(1);
    for (int64_t j = 0; j < D; j += AVX2_CODES) {
        __m256i sum = _mm256_setzero_si256();
        for (int64_t quad = 0; quad < quads; quad++) {
            __m256i four = codes_avx2(codes + quad * stride + j * GRAM_QUAD);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(four, ones));
        }
        add_pairs_avx2(sum, sums + j);
    }
}

const struct gram_version gram_versions[] = {
    {"AVX-512 VNNI", cpu_has_avx512_products, add_codes_avx512, add_sums_avx512, add_floats_avx512,
     gram_tile_codes_avx512, gram_tile_floats_avx512, true},
    {"AVX2", cpu_has_avx2, add_codes_avx2, add_sums_avx2, add_floats_avx2, gram_tile_codes_avx2,
     gram_tile_floats_avx2, false},
    {"plain", runs_everywhere, add_codes_plain, add_sums_plain, add_floats_plain,
     gram_tile_codes_plain, gram_tile_floats_plain, false},
};

#else

const struct gram_version gram_versions[] = {
    {"plain", runs_everywhere, add_codes_plain, add_sums_plain, add_floats_plain,
     gram_tile_codes_plain, gram_tile_floats_plain, false},
};

#endif

const int gram_version_count = sizeof(gram_versions) / sizeof(gram_versions[0]);

const struct gram_version *gram_version_here(void)
{
    const struct gram_version *version = gram_versions;
    while (!version->runs_here())
        version++;
    return version;
}
