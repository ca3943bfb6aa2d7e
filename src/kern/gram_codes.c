/* Second moments of codes (gram_codes.h). With q_i the code of column i, Z the code of zero and n
 * the number of positions,
 *
 *   Σ (q_i − Z)(q_j − Z) = P_ij + B S_i − Z (S_i + S_j) + n Z²
 *
 * where P = Σ q_i (q_j − B) with B = GRAM_SHIFT is what gram_products.h gives, and S = Σ q. Of P =
 * Σ (q_i − B) q_j, which gram_tiles.h gives, it is B S_j. There are several ways to them
 * (gram_codes_ways.h); the fastest is taken. */

#include "cpu.h"
#include "gram_codes_ways.h"
#include "gram_codes_with.h"
#include "gram_dense.h"
#include "gram_lanes.h"
#include "gram_shift.h"
#include "simd.h"
#include "sizes.h"

#include <assert.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The code of one value; anything for a NaN. */
static inline int32_t code_at(float x, float inverse, float lowest, float highest)
{
    float steps = __builtin_rintf(x * inverse);
    steps = steps > lowest ? steps : lowest; /* false for NaN */
    return (int32_t)(steps < highest ? steps : highest);
}

/* Counts values that are not on the grid. */
KERN_CLONES static int32_t encode(const struct gram_grid *grid, const float *restrict x,
                                  size_t count, uint8_t *restrict codes)
{
    float scale = grid->scale, inverse = 1.0f / scale;
    float lowest = (float)-grid->zero, highest = (float)(grid->last - grid->zero);
    int32_t zero = grid->zero, misses = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t steps = code_at(x[i], inverse, lowest, highest);
        misses += scale * (float)steps == x[i] ? 0 : 1;
        codes[i] = (uint8_t)(steps + zero);
    }
    return misses;
}

typedef int32_t encode_values(const struct gram_grid *grid, const float *x, size_t count,
                              uint8_t *codes);

#if defined(__x86_64__)

#define AVX512 CPU_AVX512_BYTES

/* Codes of 16 values, and a bit for each of those that are not on the grid. */
AVX512 static inline __m128i codes_avx512(const struct gram_grid *grid, __m512 values,
                                          __mmask16 *misses)
{
    __m512 steps = _mm512_mul_ps(values, _mm512_set1_ps(1.0f / grid->scale));
    steps = _mm512_roundscale_ps(steps, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    steps = _mm512_max_ps(steps, _mm512_set1_ps((float)-grid->zero)); /* that for NaN */
    steps = _mm512_min_ps(steps, _mm512_set1_ps((float)(grid->last - grid->zero)));
    __m512 on_grid = _mm512_mul_ps(_mm512_set1_ps(grid->scale), steps);
    *misses |= _mm512_cmp_ps_mask(on_grid, values, _CMP_NEQ_UQ);
    __m512i codes = _mm512_add_epi32(_mm512_cvtps_epi32(steps), _mm512_set1_epi32(grid->zero));
    return _mm512_cvtepi32_epi8(codes);
}

/* The same, bit for bit. Masked stores are slow: of the last values alone. */
AVX512 static int32_t encode_avx512(const struct gram_grid *grid, const float *x, size_t count,
                                    uint8_t *codes)
{
    const struct gram_grid here = *grid; /* the codes may not be it */
    __mmask16 misses = 0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm_storeu_si128((void *)(codes + i), codes_avx512(&here, _mm512_loadu_ps(x + i), &misses));
    __mmask16 rest = (__mmask16)((1U << (count - i)) - 1);
    _mm_mask_storeu_epi8(codes + i, rest,
                         codes_avx512(&here, _mm512_maskz_loadu_ps(rest, x + i), &misses));
    return misses;
}

static encode_values *encode_here(void)
{
    return cpu_has_avx512_bytes() ? encode_avx512 : encode;
}

#else

static encode_values *encode_here(void)
{
    return encode;
}

#endif

bool gram_codes_of(const struct gram_grid *grid, const float *x_quantized, size_t count,
                   uint8_t *codes)
{
    enum { STEP = 4096 };
    encode_values *count_misses = encode_here();
    for (size_t first = 0; first < count; first += STEP) {
        size_t left = count - first;
        if (count_misses(grid, x_quantized + first, left < STEP ? left : STEP, codes + first) > 0)
            return false;
    }
    return true;
}

bool gram_codes_pay(const struct conv_shape *shape)
{
    return shape->G != shape->C || shape->C == 1 ||
           (gram_codes_depthwise_takes(shape) && gram_version_here()->four_at_once);
}

/* What packing the columns of a position takes, in products of the same time: measured on maps of
 * 32 × 32 and 49 × 10, filters of 3 × 3, 10 × 4, 1 × 80 and 7 × 7. */
enum { PACKING = 960, PACKING_ROW = 128 };

static int64_t columns_cost(const struct conv_shape *shape)
{
    int64_t columns = gram_columns_products(shape) + PACKING + PACKING_ROW * shape->R;
    return shape->OH * shape->OW * columns;
}

/* Columns of which more have to be multiplied at once than the maps of the other way have room for,
 * so that fewer additions to the matrix follow: 1.6 times as fast for 3968, 0.94 to 1.09 for 576 to
 * 1280. */
enum { WIDE = 1500 };

/* Whether the shift structure saves more than whole matrices of few channels waste. The estimate is
 * within a quarter of the measured ratio: 7 for 10 × 4 with stride 2 on one channel, 2 for 3 × 3
 * with stride 2 on three, 1.0 and 0.7 with stride 1 on one and three, 0.33 on eight. */
static bool shift_pays(const struct conv_shape *shape)
{
    if (shape->R * shape->S == 1 && conv_column_elements(shape) > WIDE)
        return false;
    return gram_shift_products(shape) < columns_cost(shape);
}

/* As in gram.c. Measured against the other ways, with 32 samples: 0.1 of the time for 3 × 3 on one
 * channel, 0.16 on three, 0.27 on four, 0.77 on eight, 0.81 on twelve, 1.6 on 16; 0.38 with stride
 * 2 on three; 0.29 for 10 × 4 on one, 0.53 for 1 × 3 on nine. A single sample of 32 × 32 × 3: 2. */
static const struct gram_lanes_prices lanes_prices = {.turning = 40, .column = 60000, .halves = 2};

static bool lanes_pay(const struct conv_shape *shape)
{
    int64_t cost = gram_lanes_cost(shape, GRAM_LANES * GRAM_QUAD, &lanes_prices);
    return cost < columns_cost(shape) && cost < gram_shift_products(shape);
}

size_t gram_codes_conv_scratch_bytes(const struct conv_shape *shape)
{
    if (gram_codes_depthwise_takes(shape))
        return gram_codes_depthwise_scratch_bytes(shape);
    size_t bytes = shift_pays(shape) ? gram_codes_shift_scratch_bytes(shape)
                                     : gram_codes_columns_scratch_bytes(shape);
    size_t lanes = gram_lanes_may_pay(shape) ? gram_codes_lanes_scratch_bytes(shape) : 0;
    return lanes > bytes ? lanes : bytes;
}

void gram_codes_add_conv_with(const struct gram_version *version, struct gram *gram,
                              const struct conv_shape *shape, const struct gram_grid *grid,
                              const uint8_t *codes, void *scratch)
{
    assert(gram->G == shape->G && gram->D == conv_column_elements(shape) && gram->cross == NULL);
    assert(0 <= grid->zero && grid->zero <= grid->last && grid->last <= UINT8_MAX);
    gram->positions += shape->N * shape->OH * shape->OW;
    if (gram_codes_depthwise_takes(shape))
        gram_codes_depthwise_add(version, gram, shape, grid, codes, scratch);
    else if (lanes_pay(shape))
        gram_codes_lanes_add(version, gram, shape, grid, codes, scratch);
    else if (shift_pays(shape))
        gram_codes_shift_add(version, gram, shape, grid, codes, scratch);
    else
        gram_codes_columns_add(version, gram, shape, grid, codes, scratch);
}

void gram_codes_add_conv(struct gram *gram, const struct conv_shape *shape,
                         const struct gram_grid *grid, const uint8_t *codes, void *scratch)
{
    gram_codes_add_conv_with(gram_version_here(), gram, shape, grid, codes, scratch);
}

size_t gram_codes_dense_scratch_bytes(int64_t C)
{
    struct conv_shape shape = gram_dense_shape(1, C);
    return gram_codes_conv_scratch_bytes(&shape);
}

void gram_codes_add_dense(struct gram *gram, int64_t N, const struct gram_grid *grid,
                          const uint8_t *codes, void *scratch)
{
    struct conv_shape shape = gram_dense_shape(N, gram->D);
    gram_codes_add_conv(gram, &shape, grid, codes, scratch);
}
