/* Resampling of one axis, in plain loops over runs of `inner` elements. */

#include "ptqd/kern/resample.h"

#include <string.h>

void resample_f32(const struct resample_shape *shape, const struct resample_tap *taps,
                  const float *x, float *y)
{
    for (int64_t o = 0; o < shape->outer; o++, x += shape->in * shape->inner)
        for (int64_t i = 0; i < shape->out; i++, y += shape->inner) {
            float share = taps[i].share;
            const float *low = x + taps[i].low * shape->inner;
            const float *high = x + taps[i].high * shape->inner;
            if (share == 0) {
                memcpy(y, low, (size_t)shape->inner * sizeof(*y));
                continue;
            }
            for (int64_t j = 0; j < shape->inner; j++)
                y[j] = (1 - share) * low[j] + share * high[j];
        }
}

void resample_f32_grad_x(const struct resample_shape *shape, const struct resample_tap *taps,
                         const float *grad_y, float *grad_x)
{
    for (int64_t o = 0; o < shape->outer; o++, grad_x += shape->in * shape->inner)
        for (int64_t i = 0; i < shape->out; i++, grad_y += shape->inner) {
            float share = taps[i].share;
            float *low = grad_x + taps[i].low * shape->inner;
            float *high = grad_x + taps[i].high * shape->inner;
            for (int64_t j = 0; j < shape->inner; j++)
                low[j] += (1 - share) * grad_y[j];
            for (int64_t j = 0; share > 0 && j < shape->inner; j++)
                high[j] += share * grad_y[j];
        }
}
