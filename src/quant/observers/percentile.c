/* A share of the values clipped at both ends, whatever the format (McKinstry et al., "Discovering
 * Low-Precision Networks Close to Full-Precision Networks for Efficient Embedded Inference", arXiv
 * 1809.04191, with 99.99 %; compared by Wu et al., arXiv 2004.09602, section 5.2).
 *
 * The ends are the p-th and the (100 − p)-th percentile of the values; of a symmetric format the
 * p-th percentile of their magnitudes. Between two values it is interpolated, as numpy does: of few
 * values (a depthwise filter has nine) the largest loses next to nothing.
 *
 * A value of a given rank is found by bisection over the bits of float32, 32 passes over the
 * values, without sorting a copy of them.
 */

#include "ptqd/quant/observer.h"

#include <math.h>
#include <string.h>

/* What is ranked: values, or their magnitudes. */
struct ranking {
    const struct observation *seen;
    bool magnitudes;
    double lowest, highest; /* exact, where a histogram has but centres */
    double total;           /* values, counted as often as their weight says */
};

static struct ranking ranking_of(const struct observation *seen, bool magnitudes)
{
    struct ranking ranking = {
        .seen = seen,
        .magnitudes = magnitudes,
        .lowest = magnitudes ? 0.0 : seen->min,
        .highest = magnitudes ? fmax(-seen->min, seen->max) : seen->max,
    };
    for (size_t i = 0; i < seen->count; i++)
        ranking.total += seen->weights ? seen->weights[i] : 1.0;
    return ranking;
}

static const uint32_t SIGN = UINT32_C(1) << 31;

/* Whole numbers in the order of the floats they stand for, and back. */
static uint32_t key_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits & SIGN ? ~bits : bits | SIGN;
}

static float value_of(uint32_t key)
{
    uint32_t bits = key & SIGN ? key & ~SIGN : ~key;
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static double count_below(const struct ranking *ranking, uint32_t key)
{
    const struct observation *seen = ranking->seen;
    double count = 0.0;
    for (size_t i = 0; i < seen->count; i++) {
        float x = ranking->magnitudes ? fabsf(seen->values[i]) : seen->values[i];
        if (key_of(x) < key)
            count += seen->weights ? seen->weights[i] : 1.0;
    }
    return count;
}

/* The value of rank 0 … total − 1 in ascending order: the largest that at most `rank` others are
 * below. */
static double ranked(const struct ranking *ranking, double rank)
{
    if (rank <= 0.0)
        return ranking->lowest;
    if (rank >= ranking->total - 1.0)
        return ranking->highest;
    uint32_t key = 0;
    for (uint32_t bit = SIGN; bit > 0; bit >>= 1)
        if (count_below(ranking, key | bit) <= rank)
            key |= bit;
    return (double)value_of(key);
}

static double percentile(const struct ranking *ranking, double percent)
{
    double place = fmax(percent / 100.0 * (ranking->total - 1.0), 0.0);
    double below = ranked(ranking, floor(place)), above = ranked(ranking, ceil(place));
    return below + (place - floor(place)) * (above - below);
}

static void percentile_range(const struct observation *seen, const struct quantizer_format *format,
                             const struct observer_options *options, double *out_min,
                             double *out_max)
{
    struct ranking ranking = ranking_of(seen, format->symmetric);
    double high = percentile(&ranking, options->percentile);
    double low = format->symmetric ? -high : percentile(&ranking, 100.0 - options->percentile);
    *out_min = fmin(fmax(low, seen->min), 0.0);
    *out_max = fmax(fmin(high, seen->max), 0.0);
}

const struct observer observer_percentile = {
    .name = "percentile",
    .help = "A small share of the values is clipped at both ends; see the field percentile.",
    .range = percentile_range,
};
