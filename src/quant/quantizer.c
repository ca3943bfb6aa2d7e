/* Number formats and quantizers. */

#include "ptqd/quant/quantizer.h"

#include "ptqd/kern/fake_quantize.h"

#include <float.h>
#include <math.h>

bool quantizer_format_is_float(const struct quantizer_format *format)
{
    return format->bits == QUANTIZER_BITS_FLOAT;
}

bool quantizer_create(struct arena *arena, const struct quantizer_format *format, int64_t channels,
                      struct quantizer *out_quantizer, struct error *err)
{
    if (quantizer_format_is_float(format)) {
        *out_quantizer = (struct quantizer){.format = *format};
        return true;
    }
    if (format->bits < QUANTIZER_BITS_MIN || format->bits > QUANTIZER_BITS_MAX)
        return FAIL(err, E_INVALID, "bits is %d; %d to %d and %d (float) are supported",
                    format->bits, QUANTIZER_BITS_MIN, QUANTIZER_BITS_MAX, QUANTIZER_BITS_FLOAT);
    if (format->narrow && !format->symmetric)
        return FAIL(err, E_INVALID,
                    "narrow makes the range of a symmetric grid reach as far down as up; this one "
                    "is asymmetric, its range is as it is found");
    float *scales = ARENA_ARRAY(arena, float, channels, err);
    int32_t *zero_points = ARENA_ARRAY(arena, int32_t, channels, err);
    if (!scales || !zero_points)
        return false;

    int32_t steps = (int32_t)1 << format->bits;
    bool has_sign = format->symmetric || format->signed_codes;
    *out_quantizer = (struct quantizer){
        .format = *format,
        .low = has_sign ? -steps / 2 + (format->narrow ? 1 : 0) : 0,
        .high = has_sign ? steps / 2 - 1 : steps - 1,
        .channels = channels,
        .scales = scales,
        .zero_points = zero_points,
    };
    return true;
}

bool quantizer_ready(const struct quantizer *quantizer)
{
    for (int64_t channel = 0; channel < quantizer->channels; channel++)
        if (quantizer->scales[channel] <= 0.0f)
            return false;
    return true;
}

/* The smallest scale that is still a normal number keeps x / s finite for every weight that is one.
 */
static float scale_of(double step)
{
    if (step <= 0.0)
        return 1.0f;
    float scale = (float)step;
    return scale < FLT_MIN ? FLT_MIN : scale;
}

bool quantizer_set_range(struct quantizer *quantizer, int64_t channel, double min, double max,
                         struct error *err)
{
    if (!isfinite(min) || !isfinite(max) || min > max)
        return FAIL(err, E_INVALID,
                    "the clipping range of channel %lld is %g to %g; two finite "
                    "ends in this order are needed",
                    (long long)channel, min, max);
    min = fmin(min, 0.0);
    max = fmax(max, 0.0);

    double low = quantizer->low, high = quantizer->high;
    if (quantizer->format.symmetric) {
        quantizer->scales[channel] = scale_of(fmax(max / high, min / low));
        quantizer->zero_points[channel] = 0;
        return true;
    }
    float scale = scale_of((max - min) / (high - low));
    double zero_point = low - rint(min / (double)scale);
    quantizer->scales[channel] = scale;
    quantizer->zero_points[channel] = (int32_t)fmin(fmax(zero_point, low), high);
    return true;
}

void quantizer_apply(const struct quantizer *quantizer, int64_t channel, const float *x,
                     size_t count, float *y)
{
    fake_quantize_f32(x, count, quantizer->scales[channel], quantizer->zero_points[channel],
                      quantizer->low, quantizer->high, y);
}

int32_t quantizer_encode(const struct quantizer *quantizer, int64_t channel, float x)
{
    int32_t code;
    quantize_codes_f32(&x, 1, quantizer->scales[channel], quantizer->zero_points[channel],
                       quantizer->low, quantizer->high, &code);
    return code;
}

float quantizer_decode(const struct quantizer *quantizer, int64_t channel, int32_t code)
{
    return quantizer->scales[channel] * (float)(code - quantizer->zero_points[channel]);
}
