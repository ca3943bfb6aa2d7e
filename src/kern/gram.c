/* Second moments of a layer's columns (gram.h has the definitions), by the fastest of the ways of
 * gram_ways.h. */

#include "ptqd/kern/gram.h"

#include "gram_dense.h"
#include "gram_depthwise.h"
#include "gram_lanes.h"
#include "gram_pairs.h"
#include "gram_shift.h"
#include "gram_ways.h"

#include <assert.h>

static bool is_depthwise(const struct conv_shape *shape)
{
    return shape->G == shape->C && shape->C > 1;
}

/* Columns of which the library's packing is worth the copies where there is no shift structure:
 * from 640 on, H takes the same time, and C 0.9 of it. */
enum { WIDE = 512 };

/* What packing the column of a position takes, in products of the same time: measured on maps of
 * 32 × 32 and 49 × 10, filters of 3 × 3, 5 × 5, 10 × 4 and 1 × 80 on one to eight channels. */
enum { PACKING = 340, PACKING_ROW = 50 };

static int64_t columns_cost(const struct conv_shape *shape)
{
    int64_t columns = gram_columns_products(shape) + PACKING + PACKING_ROW * shape->R;
    return shape->OH * shape->OW * columns;
}

/* Whether the shift structure saves more than whole matrices of few channels waste; as in
 * gram_codes.c. The estimate is within a fifth of the measured ratio: 2.3 for 3 × 3 on one channel,
 * 1.3 on three, 1.0 on four, 0.6 on six, 0.65 for 3 × 3 with stride 2 on 16. Without structure, 1 ×
 * 1 on 64 channels takes 0.79 of the time where samples are. */
static bool shift_pays(const struct conv_shape *shape)
{
    if (shape->R * shape->S == 1 && conv_column_elements(shape) > WIDE)
        return false;
    return gram_shift_products(shape) < columns_cost(shape);
}

/* What samples side by side take. Measured against the other ways, with 32 samples: 0.07 of the
 * time for 3 × 3 on one channel, 0.11 on three, 0.15 on four, 0.53 on eight, 0.68 on twelve, 1.36
 * on 16; 0.43 with stride 2 on three; 0.24 for 10 × 4 on one, 0.39 for 1 × 3 on nine. A single
 * sample of 32 × 32 × 3: 0.73. */
static const struct gram_lanes_prices lanes_prices = {.turning = 24, .column = 26000, .halves = 3};

static bool lanes_pay(const struct conv_shape *shape)
{
    int64_t cost = gram_lanes_cost(shape, GRAM_LANES, &lanes_prices);
    return cost < columns_cost(shape) && cost < gram_shift_products(shape);
}

size_t gram_conv_scratch_bytes(const struct conv_shape *shape)
{
    if (gram_pairs_take(shape))
        return gram_pairs_scratch_bytes(shape);
    if (is_depthwise(shape))
        return gram_depthwise_scratch_bytes(shape);
    size_t bytes =
        shift_pays(shape) ? gram_f32_shift_scratch_bytes(shape) : gram_columns_scratch_bytes(shape);
    size_t lanes = gram_lanes_may_pay(shape) ? gram_f32_lanes_scratch_bytes(shape) : 0;
    return lanes > bytes ? lanes : bytes;
}

void gram_add_conv(struct gram *gram, const struct conv_shape *shape, const float *x,
                   const float *x_quantized, void *scratch)
{
    assert(gram->G == shape->G && gram->D == conv_column_elements(shape));
    gram->positions += shape->N * shape->OH * shape->OW;
    if (gram_pairs_take(shape))
        gram_pairs_add(gram, shape, x, x_quantized, scratch);
    else if (is_depthwise(shape))
        gram_add_depthwise(gram, shape, x, x_quantized, scratch);
    else if (lanes_pay(shape))
        gram_f32_lanes_add(gram_version_here(), gram, shape, x, x_quantized, scratch);
    else if (shift_pays(shape))
        gram_f32_shift_add(gram_version_here(), gram, shape, x, x_quantized, scratch);
    else
        gram_columns_add(gram_version_here(), gram, shape, x, x_quantized, scratch);
}

int64_t gram_conv_products(const struct conv_shape *shape)
{
    int64_t C = shape->C / shape->G, upper = C * (C - 1) / 2;
    return shape->N * (gram_shift_places(shape) * C * C - gram_shift_own_places(shape) * upper);
}

size_t gram_dense_scratch_bytes(int64_t C)
{
    struct conv_shape shape = gram_dense_shape(1, C);
    return gram_conv_scratch_bytes(&shape);
}

void gram_add_dense(struct gram *gram, int64_t N, const float *x, const float *x_quantized,
                    void *scratch)
{
    struct conv_shape shape = gram_dense_shape(N, gram->D);
    gram_add_conv(gram, &shape, x, x_quantized, scratch);
}
