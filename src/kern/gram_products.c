/* Integer products of codes (gram_products.h), a block of registers at a time.
 *
 * A block is some columns i, one after the other, against vectors of columns j; its sums stay in
 * registers over all quads of the tile. Blocks are made for a strip of j that stays in the first
 * cache, down all i from the diagonal.
 *
 *   AVX-512 VNNI   vpdpbusd: four products of an unsigned and a signed byte, added in 32 bits
 *   AVX2           vpmaddwd on bytes widened to 16 bits. vpmaddubsw would take the bytes as they
 *                  are, but adds two products in 16 bits, which saturate: 2 · 255 · 128 > 2^15
 *   plain          the reference, for everything else
 *
 * AMX (tdpbusd) is left out: there was no machine to run it on. */

#include "gram_products.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <string.h>

static bool runs_everywhere(void)
{
    return true;
}

static void add_plain(const struct gram_tile *tile, int32_t *products, int64_t row, int32_t *sums)
{
    for (int64_t quad = 0; quad < tile->quads; quad++) {
        const uint8_t *codes = tile->codes + quad * tile->stride;
        for (int64_t i = 0; i < tile->D; i++) {
            int32_t left[GRAM_QUAD];
            for (int t = 0; t < GRAM_QUAD; t++) {
                left[t] = codes[i * GRAM_QUAD + t] - GRAM_SHIFT;
                sums[i] += codes[i * GRAM_QUAD + t];
            }
            for (int64_t j = 0; j <= i; j++) {
                const uint8_t *right = codes + j * GRAM_QUAD;
                products[i * row + j] += left[0] * right[0] + left[1] * right[1] +
                                         left[2] * right[2] + left[3] * right[3];
            }
        }
    }
}

#if defined(__x86_64__)

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

/* The four codes of a column in one number. */
static inline int32_t quad_at(const uint8_t *codes)
{
    int32_t quad;
    memcpy(&quad, codes, sizeof(quad));
    return quad;
}

#define AVX512_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define INLINE      inline __attribute__((always_inline))

enum { AVX512_VECTORS = 3, AVX512_STRIP = AVX512_VECTORS * GRAM_LANES };

static bool has_avx512_vnni(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
}

/* sum + the products of four codes and four factors, in each lane. GCC 12 copies every sum around
 * the intrinsic for this, some through memory, which halves the speed. */
AVX512_VNNI static INLINE __m512i add_products_avx512_vnni(__m512i sum, __m512i codes,
                                                           __m512i factors)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(factors));
    return sum;
}

AVX512_VNNI static INLINE void add_block_avx512_vnni(const struct gram_tile *tile, int64_t i,
                                                     int64_t j, int vectors, int32_t *out,
                                                     int64_t row)
{
    __m512i sum[GRAM_ROWS][AVX512_VECTORS];
    for (int r = 0; r < GRAM_ROWS; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = _mm512_setzero_si512();
    const uint8_t *left = tile->shifted + i * GRAM_QUAD, *right = tile->codes + j * GRAM_QUAD;
    for (int64_t quad = 0; quad < tile->quads; quad++) {
        __m512i codes[AVX512_VECTORS];
        for (int v = 0; v < vectors; v++)
            codes[v] = _mm512_loadu_si512(right + v * GRAM_LANES * GRAM_QUAD);
        for (int r = 0; r < GRAM_ROWS; r++) {
            __m512i factor = _mm512_set1_epi32(quad_at(left + r * GRAM_QUAD));
            for (int v = 0; v < vectors; v++)
                sum[r][v] = add_products_avx512_vnni(sum[r][v], codes[v], factor);
        }
        left += tile->stride;
        right += tile->stride;
    }
    for (int r = 0; r < GRAM_ROWS; r++)
        for (int v = 0; v < vectors; v++) {
            int32_t *at = out + r * row + v * GRAM_LANES;
            _mm512_storeu_si512(at, _mm512_add_epi32(_mm512_loadu_si512(at), sum[r][v]));
        }
}

AVX512_VNNI static INLINE void add_sums_avx512_vnni(const struct gram_tile *tile, int64_t j,
                                                    int vectors, int32_t *sums)
{
    __m512i sum[AVX512_VECTORS], ones = _mm512_set1_epi8(1);
    for (int v = 0; v < vectors; v++)
        sum[v] = _mm512_loadu_si512(sums + j + v * GRAM_LANES);
    for (int64_t quad = 0; quad < tile->quads; quad++) {
        const uint8_t *codes = tile->codes + quad * tile->stride + j * GRAM_QUAD;
        for (int v = 0; v < vectors; v++)
            sum[v] = add_products_avx512_vnni(
                sum[v], _mm512_loadu_si512(codes + v * GRAM_LANES * GRAM_QUAD), ones);
    }
    for (int v = 0; v < vectors; v++)
        _mm512_storeu_si512(sums + j + v * GRAM_LANES, sum[v]);
}

AVX512_VNNI static void add_avx512_vnni(const struct gram_tile *tile, int32_t *products,
                                        int64_t row, int32_t *sums)
{
    int64_t width = round_up(tile->D, GRAM_LANES);
    for (int64_t j = 0; j < width; j += AVX512_STRIP) {
        for (int64_t i = j; i < tile->D; i += GRAM_ROWS) {
            int64_t vectors = (least(i + GRAM_ROWS, width) - j + GRAM_LANES - 1) / GRAM_LANES;
            int32_t *out = products + i * row + j;
            if (vectors >= 3)
                add_block_avx512_vnni(tile, i, j, 3, out, row);
            else if (vectors == 2)
                add_block_avx512_vnni(tile, i, j, 2, out, row);
            else
                add_block_avx512_vnni(tile, i, j, 1, out, row);
        }
        int64_t vectors = (least(j + AVX512_STRIP, width) - j) / GRAM_LANES;
        if (vectors == 3)
            add_sums_avx512_vnni(tile, j, 3, sums);
        else if (vectors == 2)
            add_sums_avx512_vnni(tile, j, 2, sums);
        else
            add_sums_avx512_vnni(tile, j, 1, sums);
    }
}

#define AVX2 __attribute__((target("avx2")))

/* Eight columns j as two vectors of four, each of 16 bits and two sums a column. */
enum { AVX2_ROWS = 4, AVX2_VECTORS = 2, AVX2_COLUMNS = 4, AVX2_STRIP = 32 };

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

AVX2 static INLINE __m256i codes_avx2(const uint8_t *codes)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)codes));
}

/* out[0 … 3] += the sums of neighbours in `sum`. */
AVX2 static INLINE void add_pairs_avx2(__m256i sum, int32_t *out)
{
    __m128i *at = (__m128i *)(void *)out;
    __m128i pairs = _mm_hadd_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), pairs));
}

AVX2 static void add_block_avx2(const struct gram_tile *tile, int64_t i, int64_t j, int32_t *out,
                                int64_t row)
{
    __m256i sum[AVX2_ROWS][AVX2_VECTORS];
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++)
            sum[r][v] = _mm256_setzero_si256();
    const uint8_t *left = tile->shifted + i * GRAM_QUAD, *right = tile->codes + j * GRAM_QUAD;
    for (int64_t quad = 0; quad < tile->quads; quad++) {
        __m256i codes[AVX2_VECTORS];
        for (int v = 0; v < AVX2_VECTORS; v++)
            codes[v] = codes_avx2(right + v * AVX2_COLUMNS * GRAM_QUAD);
        for (int r = 0; r < AVX2_ROWS; r++) {
            __m128i bytes = _mm_set1_epi32(quad_at(left + r * GRAM_QUAD));
            __m256i factor = _mm256_cvtepi8_epi16(bytes);
            for (int v = 0; v < AVX2_VECTORS; v++)
                sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(codes[v], factor));
        }
        left += tile->stride;
        right += tile->stride;
    }
    for (int r = 0; r < AVX2_ROWS; r++)
        for (int v = 0; v < AVX2_VECTORS; v++)
            add_pairs_avx2(sum[r][v], out + r * row + v * AVX2_COLUMNS);
}

AVX2 static void add_sums_avx2(const struct gram_tile *tile, int64_t j, int32_t *sums)
{
    __m256i sum = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
    for (int64_t quad = 0; quad < tile->quads; quad++) {
        __m256i codes = codes_avx2(tile->codes + quad * tile->stride + j * GRAM_QUAD);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, ones));
    }
    add_pairs_avx2(sum, sums + j);
}

AVX2 static void add_avx2(const struct gram_tile *tile, int32_t *products, int64_t row,
                          int32_t *sums)
{
    enum { STEP = AVX2_VECTORS * AVX2_COLUMNS };
    for (int64_t strip = 0; strip < tile->D; strip += AVX2_STRIP)
        for (int64_t i = strip; i < tile->D; i += AVX2_ROWS)
            for (int64_t j = strip; j < least(strip + AVX2_STRIP, i + AVX2_ROWS); j += STEP)
                add_block_avx2(tile, i, j, products + i * row + j, row);
    for (int64_t j = 0; j < tile->D; j += AVX2_COLUMNS)
        add_sums_avx2(tile, j, sums);
}

const struct gram_version gram_versions[] = {
    {"AVX-512 VNNI", has_avx512_vnni, add_avx512_vnni},
    {"AVX2", has_avx2, add_avx2},
    {"plain", runs_everywhere, add_plain},
};

#else

const struct gram_version gram_versions[] = {{"plain", runs_everywhere, add_plain}};

#endif

const int gram_version_count = sizeof(gram_versions) / sizeof(gram_versions[0]);
