/* Second moments of codes (gram_codes.h). With q_i the code of column i, Z the code of zero and n
 * the number of positions,
 *
 *   Σ (q_i − Z)(q_j − Z) = P_ij + B S_i − Z (S_i + S_j) + n Z²
 *
 * where P = Σ q_i (q_j − B) with B = GRAM_SHIFT is what gram_products.h gives, and S = Σ q. Of P =
 * Σ (q_i − B) q_j, which gram_tiles.h gives, it is B S_j. There are several ways to them
 * (gram_codes_ways.h); the fastest is taken. */

#include "gram_codes_ways.h"
#include "gram_codes_with.h"
#include "gram_dense.h"
#include "gram_lanes.h"
#include "gram_shift.h"
#include "gram_sizes.h"
#include "simd.h"

#include <assert.h>

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

bool gram_codes_of(const struct gram_grid *grid, const float *x_quantized, size_t count,
                   uint8_t *codes)
{
    enum { STEP = 4096 };
    for (size_t first = 0; first < count; first += STEP) {
        size_t left = count - first;
        if (encode(grid, x_quantized + first, left < STEP ? left : STEP, codes + first) > 0)
            return false;
    }
    return true;
}

bool gram_codes_pay(const struct conv_shape *shape)
{
    return shape->G != shape->C || shape->C == 1;
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
    if (lanes_pay(shape))
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
