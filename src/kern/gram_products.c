/* Products of columns (gram_products.h), a block of registers at a time.
 *
 * A block is some columns i, one after the other, against vectors of columns j; its sums stay in
 * registers over all positions. Where i and j are the same vector, half of them would be made
 * twice: by AVX-512 it is multiplied with itself turned by 0 … 8 lanes, 9 products instead of 16.
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
#include "gram_sizes.h"
#include "gram_tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <string.h>

static bool runs_everywhere(void)
{
    return true;
}

/* Bytes of a position from the first one. */
static inline int64_t position_at(const struct gram_operands *at, int64_t outer, int64_t middle,
                                  int64_t inner)
{
    return outer * at->outer.step + middle * at->middle.step + inner * at->inner.step;
}

static int64_t positions_of(const struct gram_operands *at)
{
    return at->outer.count * at->middle.count * at->inner.count;
}

/* The p-th position. */
static int64_t position_of_index(const struct gram_operands *at, int64_t p)
{
    int64_t inner = p % at->inner.count, rest = p / at->inner.count;
    return position_at(at, rest / at->middle.count, rest % at->middle.count, inner);
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

/* sum + the products of four signed bytes and four codes, or of two floats, in each lane. Around
 * the intrinsics GCC 12 copies sums, some through memory, where a block takes most registers: that
 * halves the speed. */
AVX512 static INLINE __m512i add_lanes_avx512(bool floats, __m512i sum, __m512i right, __m512i left)
{
    if (floats)
        __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(right), "v"(left));
    else
        __asm__("vpdpbusd %1, %2, %0" : "+v"(sum) : "v"(right), "v"(left));
    return sum;
}

/* A vector on the right; codes − 128 modulo 256. */
AVX512 static INLINE __m512i right_avx512(bool floats, const uint8_t *right)
{
    __m512i lanes = _mm512_loadu_si512(right);
    return floats ? lanes : _mm512_xor_si512(lanes, _mm512_set1_epi8((char)GRAM_SHIFT));
}

AVX512 static INLINE void add_to_avx512(bool floats, __m512i sum, uint32_t *out)
{
    __m512i before = _mm512_loadu_si512(out);
    __m512i after = floats ? _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(before),
                                                               _mm512_castsi512_ps(sum)))
                           : _mm512_add_epi32(before, sum);
    _mm512_storeu_si512(out, after);
}

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
            int64_t offset = position_at(at, o, m, 0);
            const uint8_t *left = at->left + offset + i * GRAM_QUAD;
            const uint8_t *right = at->right + offset + j * GRAM_QUAD;
            for (int64_t n = 0; n < inner.count; n++, left += inner.step, right += inner.step) {
                __m512i lanes[AVX512_VECTORS];
                for (int v = 0; v < vectors; v++)
                    lanes[v] = right_avx512(floats, right + v * GRAM_LANES * GRAM_QUAD);
                for (int r = 0; r < GRAM_ROWS; r++) {
                    __m512i factor = _mm512_set1_epi32(lane_at(left + r * GRAM_QUAD));
                    for (int v = 0; v < vectors; v++)
                        sum[r][v] = add_lanes_avx512(floats, sum[r][v], lanes[v], factor);
                }
            }
        }
    for (int r = 0; r < GRAM_ROWS; r++)
        for (int v = 0; v < vectors; v++)
            add_to_avx512(floats, sum[r][v], out + (i + r) * row + j + v * GRAM_LANES);
}

/* The products of a vector with itself turned by `lanes`. */
#define ADD_TURNED(lanes)                                                                          \
    sum[lanes] = add_lanes_avx512(floats, sum[lanes], right, _mm512_alignr_epi32(left, left, lanes))

enum { TURNED = GRAM_LANES / 2 + 1 };

/* Sums of turned vectors to a square of the lower triangle. Lane l has i = l + t and j = l, or,
 * where that is beyond the last lane, i = l and j = l + t − GRAM_LANES ... */
static void add_turned_floats(const float *sum, int64_t columns, float *out, int64_t row)
{
    for (int64_t t = 0; t < TURNED; t++, sum += GRAM_LANES) {
        for (int64_t j = 0; j + t < columns; j++)
            out[(j + t) * row + j] += sum[j];
        for (int64_t i = GRAM_LANES - t; i < columns && t < TURNED - 1; i++)
            out[i * row + i + t - GRAM_LANES] += sum[i];
    }
}

/* ... and Σ q_j (q_i − B), which is Σ q_i (q_j − B) + B (S_i − S_j), sums of these positions. */
static void add_turned_codes(const int32_t *sum, const int32_t *own, int64_t columns, int32_t *out,
                             int64_t row)
{
    for (int64_t t = 0; t < TURNED; t++, sum += GRAM_LANES) {
        for (int64_t j = 0; j + t < columns; j++)
            out[(j + t) * row + j] += sum[j];
        for (int64_t i = GRAM_LANES - t; i < columns && t < TURNED - 1; i++) {
            int64_t j = i + t - GRAM_LANES;
            out[i * row + j] += sum[i] + GRAM_SHIFT * (own[j] - own[i]);
        }
    }
}

/* From a position to one that is far behind these, where they follow one another in memory. */
static int64_t ahead_of(const struct gram_operands *at)
{
    if (at->outer.count > 1)
        return at->outer.count * at->outer.step;
    return at->middle.count > 1 ? at->middle.count * at->middle.step
                                : at->inner.count * at->inner.step;
}

/* Columns j … j + GRAM_LANES − 1 with themselves, and their sums. */
AVX512 static INLINE void add_diagonal_avx512(bool floats, const struct gram_operands *at,
                                              int64_t j, uint32_t *out, int64_t row)
{
    const __m512i ones = _mm512_set1_epi8(1);
    const struct gram_span inner = at->inner;
    const int64_t ahead = ahead_of(at), columns = least(at->columns - j, GRAM_LANES);
    __m512i sum[TURNED], own = _mm512_setzero_si512();
    uint32_t sums[TURNED + 1][GRAM_LANES];
    for (int t = 0; t < TURNED; t++)
        sum[t] = _mm512_setzero_si512();
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++) {
            const uint8_t *from = at->right + position_at(at, o, m, 0) + j * GRAM_QUAD;
            for (int64_t n = 0; n < inner.count; n++, from += inner.step) {
                __m512i left = _mm512_loadu_si512(from), right = right_avx512(floats, from);
                __builtin_prefetch(from + ahead, 0, 2);
                own = floats ? _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(own),
                                                                 _mm512_castsi512_ps(left)))
                             : add_lanes_avx512(false, own, ones, left);
                sum[0] = add_lanes_avx512(floats, sum[0], right, left);
                ADD_TURNED(1);
                ADD_TURNED(2);
                ADD_TURNED(3);
                ADD_TURNED(4);
                ADD_TURNED(5);
                ADD_TURNED(6);
                ADD_TURNED(7);
                ADD_TURNED(8);
            }
        }
    for (int t = 0; t < TURNED; t++)
        _mm512_storeu_si512(sums[t], sum[t]);
    _mm512_storeu_si512(sums[TURNED], own);
    out += j * row + j;
    if (floats)
        add_turned_floats((const void *)sums, columns, (void *)out, row);
    else
        add_turned_codes((const void *)sums, (const void *)sums[TURNED], columns, (void *)out, row);
    if (at->sums != NULL)
        add_to_avx512(floats, own, (uint32_t *)at->sums + j);
}

/* Sums of the columns of a vector alone. */
AVX512 static INLINE void add_own_avx512(bool floats, const struct gram_operands *at, int64_t j)
{
    const __m512i ones = floats ? _mm512_castps_si512(_mm512_set1_ps(1)) : _mm512_set1_epi8(1);
    __m512i own = _mm512_setzero_si512();
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++)
            for (int64_t n = 0; n < at->inner.count; n++) {
                const uint8_t *from = at->right + position_at(at, o, m, n) + j * GRAM_QUAD;
                own = add_lanes_avx512(floats, own, ones, _mm512_loadu_si512(from));
            }
    add_to_avx512(floats, own, (uint32_t *)at->sums + j);
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

/* Columns j … of a strip against all that follow, and those of each vector with themselves. Of a
 * last vector with few columns all are multiplied with all. */
AVX512 static INLINE void add_lower_avx512(bool floats, const struct gram_operands *at, int64_t j,
                                           int64_t wide, uint32_t *out, int64_t row)
{
    for (int64_t i = j; i < at->columns; i += GRAM_ROWS) {
        int64_t within = (i - j) / GRAM_LANES, first = i / GRAM_LANES * GRAM_LANES;
        if (within >= wide) {
            add_strip_avx512(floats, at, i, j, wide, out, row);
        } else if (at->columns - first <= GRAM_ROWS) {
            add_strip_avx512(floats, at, i, j, within + 1, out, row);
            if (at->sums != NULL)
                add_own_avx512(floats, at, i);
        } else {
            if (i == first)
                add_diagonal_avx512(floats, at, i, out, row);
            add_strip_avx512(floats, at, i, j, within, out, row);
        }
    }
}

/* Vectors of the next strip, of those that are left: 3, or 2 where 1 would follow. */
static int64_t strip_vectors(int64_t left)
{
    return left == 4 ? 2 : least(left, AVX512_VECTORS);
}

/* Eight columns, of which two positions are a vector: each is multiplied with itself turned by 0 …
 * 4 lanes, 5 products instead of 16. */
enum { EIGHT = GRAM_LANES / 2, TURNED_EIGHT = EIGHT / 2 + 1 };

/* Both positions' lanes together. */
AVX512 static INLINE void store_eight_avx512(bool floats, __m512i sum, uint32_t *out)
{
    __m256i low = _mm512_castsi512_si256(sum), high = _mm512_extracti64x4_epi64(sum, 1);
    __m256i both = floats ? _mm256_castps_si256(
                                _mm256_add_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)))
                          : _mm256_add_epi32(low, high);
    _mm256_storeu_si256((__m256i *)(void *)out, both);
}

/* As add_turned_floats and add_turned_codes. */
static void add_turned_eight(bool floats, uint32_t sums[TURNED_EIGHT + 1][EIGHT], uint32_t *out,
                             int64_t row)
{
    const float *value = (const float *)(const void *)sums;
    const int32_t *code = (const int32_t *)(const void *)sums, *own = code + TURNED_EIGHT * EIGHT;
    for (int64_t k = 0; k < TURNED_EIGHT * EIGHT - EIGHT / 2; k++) {
        int64_t j = k % EIGHT, i = (j + k / EIGHT) % EIGHT;
        int64_t at = i >= j ? i * row + j : j * row + i;
        if (floats)
            ((float *)(void *)out)[at] += value[k];
        else
            ((int32_t *)(void *)out)[at] += code[k] + (i < j ? GRAM_SHIFT * (own[i] - own[j]) : 0);
    }
}

struct eights {
    __m512i sum[TURNED_EIGHT], turn[TURNED_EIGHT], own;
};

/* Two positions, or one and nothing. */
AVX512 static INLINE void add_two_avx512(bool floats, __m512i left, struct eights *to)
{
    __m512i right = floats ? left : _mm512_xor_si512(left, _mm512_set1_epi8((char)GRAM_SHIFT));
    to->own = floats ? _mm512_castps_si512(
                           _mm512_add_ps(_mm512_castsi512_ps(to->own), _mm512_castsi512_ps(left)))
                     : add_lanes_avx512(false, to->own, _mm512_set1_epi8(1), left);
    to->sum[0] = add_lanes_avx512(floats, to->sum[0], right, left);
    for (int t = 1; t < TURNED_EIGHT; t++)
        to->sum[t] = add_lanes_avx512(floats, to->sum[t], right,
                                      _mm512_permutexvar_epi32(to->turn[t], left));
}

AVX512 static INLINE void add_eight_avx512(bool floats, const struct gram_operands *at,
                                           uint32_t *out, int64_t row)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const int64_t count = at->inner.count, ahead = ahead_of(at);
    struct eights to = {0};
    for (int t = 0; t < TURNED_EIGHT; t++) {
        __m512i turned = _mm512_add_epi32(lane, _mm512_set1_epi32(t));
        to.turn[t] = _mm512_ternarylogic_epi32(_mm512_set1_epi32(EIGHT - 1), turned, lane, 0xca);
    }
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++) {
            const uint8_t *from = at->right + position_at(at, o, m, 0);
            for (int64_t n = 0; n < count / 2; n++, from += 2 * at->inner.step) {
                __builtin_prefetch(from + ahead, 0, 2);
                add_two_avx512(floats, _mm512_loadu_si512(from), &to);
            }
            if (count % 2 != 0)
                add_two_avx512(floats, _mm512_maskz_loadu_epi32(0xff, from), &to);
        }
    uint32_t sums[TURNED_EIGHT + 1][EIGHT];
    for (int t = 0; t < TURNED_EIGHT; t++)
        store_eight_avx512(floats, to.sum[t], sums[t]);
    store_eight_avx512(floats, to.own, sums[TURNED_EIGHT]);
    add_turned_eight(floats, sums, out, row);
    if (at->sums != NULL)
        add_to_avx512(floats, _mm512_maskz_loadu_epi32(0xff, sums[TURNED_EIGHT]), at->sums);
}

AVX512 static INLINE void add_all_avx512(bool floats, const struct gram_operands *at, uint32_t *out,
                                         int64_t row)
{
    if (at->lower && at->columns == EIGHT && at->inner.step == EIGHT * GRAM_QUAD) {
        add_eight_avx512(floats, at, out, row);
        return;
    }
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
            sum = add_lanes_avx512(false, sum, ones,
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
                const uint8_t *left = at->left + position_at(at, o, m, n) + i * GRAM_QUAD;
                const uint8_t *right = at->right + position_at(at, o, m, n) + j * GRAM_QUAD;
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
                const void *left = at->left + position_at(at, o, m, n) + i * GRAM_QUAD;
                const void *right = at->right + position_at(at, o, m, n) + j * GRAM_QUAD;
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
