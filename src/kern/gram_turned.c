/* Products of vectors with themselves (gram_turned.h): 9 instead of 16 where half of them would be
 * made twice, or, of eight columns, 5 for two positions at once. */

#include "gram_turned.h"

#include "gram_vectors.h"
#include "sizes.h"

#if defined(__x86_64__)

#define AVX512 CPU_AVX512_PRODUCTS
#define INLINE inline __attribute__((always_inline))

/* A vector turned by 0, 1, 2, 5 and 8 lanes: two of these are 0 … 8 lanes apart, whichever is
 * wanted. Half as many turns as products: they would share a unit with them. */
#define TURN(vector, lanes) _mm512_alignr_epi32(vector, vector, lanes)

enum { TURNED = GRAM_LANES / 2 + 1 };

AVX512 static INLINE void add_turned_avx512(bool floats, __m512i vector, __m512i sum[TURNED])
{
    const __m512i one = TURN(vector, 1), two = TURN(vector, 2);
    const __m512i five = TURN(vector, 5), eight = TURN(vector, 8);
    const __m512i by_zero = gram_factor_avx512(floats, vector),
                  by_one = gram_factor_avx512(floats, one);
    const __m512i by_two = gram_factor_avx512(floats, two);
    sum[0] = gram_add_lanes_avx512(floats, sum[0], by_zero, vector);
    sum[1] = gram_add_lanes_avx512(floats, sum[1], by_zero, one);
    sum[2] = gram_add_lanes_avx512(floats, sum[2], by_zero, two);
    sum[3] = gram_add_lanes_avx512(floats, sum[3], by_two, five);
    sum[4] = gram_add_lanes_avx512(floats, sum[4], by_one, five);
    sum[5] = gram_add_lanes_avx512(floats, sum[5], by_zero, five);
    sum[6] = gram_add_lanes_avx512(floats, sum[6], by_two, eight);
    sum[7] = gram_add_lanes_avx512(floats, sum[7], by_one, eight);
    sum[8] = gram_add_lanes_avx512(floats, sum[8], by_zero, eight);
}

/* Turns sums back by what their factor was turned. */
AVX512 static INLINE void turn_back_avx512(__m512i sum[TURNED])
{
    sum[3] = TURN(sum[3], GRAM_LANES - 2);
    sum[4] = TURN(sum[4], GRAM_LANES - 1);
    sum[6] = TURN(sum[6], GRAM_LANES - 2);
    sum[7] = TURN(sum[7], GRAM_LANES - 1);
}

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
            const uint8_t *from = at->right + gram_position_at(at, o, m, 0) + j * GRAM_QUAD;
            for (int64_t n = 0; n < inner.count; n++, from += inner.step) {
                __m512i vector = _mm512_loadu_si512(from);
                __builtin_prefetch(from + ahead, 0, 2);
                own = floats ? _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(own),
                                                                 _mm512_castsi512_ps(vector)))
                             : gram_add_lanes_avx512(false, own, ones, vector);
                add_turned_avx512(floats, vector, sum);
            }
        }
    turn_back_avx512(sum);
    for (int t = 0; t < TURNED; t++)
        _mm512_storeu_si512(sums[t], sum[t]);
    _mm512_storeu_si512(sums[TURNED], own);
    out += j * row + j;
    if (floats)
        add_turned_floats((const void *)sums, columns, (void *)out, row);
    else
        add_turned_codes((const void *)sums, (const void *)sums[TURNED], columns, (void *)out, row);
    if (at->sums != NULL)
        gram_add_to_avx512(floats, own, (uint32_t *)at->sums + j);
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
    __m512i sum[TURNED_EIGHT], one, two, four, own; /* `one` …: lanes that turn by so many */
};

/* Two positions, or one and nothing. */
AVX512 static INLINE void add_two_avx512(bool floats, __m512i left, struct eights *to)
{
    const __m512i one = _mm512_permutexvar_epi32(to->one, left);
    const __m512i two = _mm512_permutexvar_epi32(to->two, left);
    const __m512i four = _mm512_permutexvar_epi32(to->four, left);
    const __m512i by_zero = gram_factor_avx512(floats, left),
                  by_one = gram_factor_avx512(floats, one);
    to->own = floats ? _mm512_castps_si512(
                           _mm512_add_ps(_mm512_castsi512_ps(to->own), _mm512_castsi512_ps(left)))
                     : gram_add_lanes_avx512(false, to->own, _mm512_set1_epi8(1), left);
    to->sum[0] = gram_add_lanes_avx512(floats, to->sum[0], by_zero, left);
    to->sum[1] = gram_add_lanes_avx512(floats, to->sum[1], by_zero, one);
    to->sum[2] = gram_add_lanes_avx512(floats, to->sum[2], by_zero, two);
    to->sum[3] = gram_add_lanes_avx512(floats, to->sum[3], by_one, four);
    to->sum[4] = gram_add_lanes_avx512(floats, to->sum[4], by_zero, four);
}

/* The lanes that turn both halves. */
AVX512 static INLINE __m512i turn_eight_avx512(int lanes)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i turned = _mm512_add_epi32(lane, _mm512_set1_epi32(lanes));
    return _mm512_ternarylogic_epi32(_mm512_set1_epi32(EIGHT - 1), turned, lane, 0xca);
}

/* `two`: positions are neighbours in memory. */
AVX512 static INLINE __m512i two_at_avx512(bool two, const uint8_t *from, int64_t step)
{
    if (two)
        return _mm512_loadu_si512(from);
    __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)from));
    return _mm512_inserti64x4(first, _mm256_loadu_si256((const void *)(from + step)), 1);
}

/* Columns j … j + EIGHT − 1 with themselves, and their sums. */
AVX512 static INLINE void add_eight_avx512(bool floats, bool two, const struct gram_operands *at,
                                           int64_t j, uint32_t *out, int64_t row)
{
    const int64_t count = at->inner.count, ahead = ahead_of(at);
    struct eights to = {
        .one = turn_eight_avx512(1),
        .two = turn_eight_avx512(2),
        .four = turn_eight_avx512(4),
    };
    for (int64_t o = 0; o < at->outer.count; o++)
        for (int64_t m = 0; m < at->middle.count; m++) {
            const uint8_t *from = at->right + gram_position_at(at, o, m, 0) + j * GRAM_QUAD;
            for (int64_t n = 0; n < count / 2; n++, from += 2 * at->inner.step) {
                __builtin_prefetch(from + ahead, 0, 2);
                add_two_avx512(floats, two_at_avx512(two, from, at->inner.step), &to);
            }
            if (count % 2 != 0)
                add_two_avx512(floats, _mm512_maskz_loadu_epi32(0xff, from), &to);
        }
    to.sum[3] = _mm512_permutexvar_epi32(turn_eight_avx512(EIGHT - 1), to.sum[3]);
    uint32_t sums[TURNED_EIGHT + 1][EIGHT];
    for (int t = 0; t < TURNED_EIGHT; t++)
        store_eight_avx512(floats, to.sum[t], sums[t]);
    store_eight_avx512(floats, to.own, sums[TURNED_EIGHT]);
    add_turned_eight(floats, sums, out + j * row + j, row);
    if (at->sums != NULL)
        gram_add_to_avx512(floats, _mm512_maskz_loadu_epi32(0xff, sums[TURNED_EIGHT]),
                           (uint32_t *)at->sums + j);
}

/* One function of each kind, its sums in registers. */
#define DEFINE_ADD(name, ...)                                                                      \
    AVX512 static void name(const struct gram_operands *at, int64_t j, uint32_t *out, int64_t row) \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

DEFINE_ADD(add_floats, add_diagonal_avx512(true, at, j, out, row))
DEFINE_ADD(add_codes, add_diagonal_avx512(false, at, j, out, row))
DEFINE_ADD(add_eight_floats, add_eight_avx512(true, false, at, j, out, row))
DEFINE_ADD(add_eight_codes, add_eight_avx512(false, false, at, j, out, row))
DEFINE_ADD(add_eight_floats_two, add_eight_avx512(true, true, at, j, out, row))
DEFINE_ADD(add_eight_codes_two, add_eight_avx512(false, true, at, j, out, row))

void gram_turned_add(bool floats, const struct gram_operands *at, int64_t j, uint32_t *products,
                     int64_t row)
{
    bool two = at->inner.step == EIGHT * GRAM_QUAD;
    if (at->columns - j > EIGHT)
        (floats ? add_floats : add_codes)(at, j, products, row);
    else if (two)
        (floats ? add_eight_floats_two : add_eight_codes_two)(at, j, products, row);
    else
        (floats ? add_eight_floats : add_eight_codes)(at, j, products, row);
}

#endif
