#pragma once

/* The grid of a layer's weights as the kernel of soft rounding wants it. */

#include "ptqd/kern/rectified_rounding.h"
#include "ptqd/quant/quantizer.h"

/* Of channel k of the weights. */
static inline struct rounding_grid rounding_grid_of(const struct quantizer *quantizer, int64_t k)
{
    int64_t channel = quantizer_channel(quantizer, k);
    int32_t zero_point = quantizer->zero_points[channel];
    return (struct rounding_grid){.scale = quantizer->scales[channel],
                                  .low = (float)(quantizer->low - zero_point),
                                  .high = (float)(quantizer->high - zero_point)};
}
