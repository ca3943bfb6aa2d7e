#pragma once

/* Number formats and quantizers (arXiv 2203.05492 eq. 1):
 *
 *     x_int = clamp(round(x / s) + z, n, p)        x̂ = s · (x_int − z)
 *
 * with round half to even. Asymmetric b bits: n = 0, p = 2^b − 1, or with signed codes, as int8
 * holds them, n = −2^(b−1), p = 2^(b−1) − 1. Symmetric: z = 0, n = −2^(b−1), p = 2^(b−1) − 1, or
 * n = −p when narrow. Zero is always on the grid: n ≤ z ≤ p.
 *
 * All zeros give scale 1. NaN quantizes to NaN, ±infinity to the ends of the grid.
 *
 * 32 bits mean float32: such a quantizer changes nothing, has no channels and no scales, and needs
 * no range.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUANTIZER_BITS_MIN = 2, QUANTIZER_BITS_MAX = 8, QUANTIZER_BITS_FLOAT = 32 };

struct quantizer_format {
    int bits; /* 2 to 8; QUANTIZER_BITS_FLOAT */
    bool symmetric;
    bool narrow;       /* symmetric only: −p … p */
    bool signed_codes; /* asymmetric only: from −2^(b−1), not from 0 */
};

struct quantizer {
    struct quantizer_format format;
    int32_t low, high;    /* n, p */
    int64_t channels;     /* 1: per tensor; 0: float; otherwise one scale per leading channel */
    float *scales;        /* [channels], > 0; all 0 while not calibrated */
    int32_t *zero_points; /* [channels] */
};

/* True for values that are not quantized. */
bool quantizer_format_is_float(const struct quantizer_format *format);

/* Checks the format (E_INVALID) and allocates; scales are 0 until a range is set. */
bool quantizer_create(struct arena *arena, const struct quantizer_format *format, int64_t channels,
                      struct quantizer *out_quantizer, struct error *err);

/* True once every channel has a scale; at once for float. */
bool quantizer_ready(const struct quantizer *quantizer);

/* The channel of the quantizer that channel k of what it quantizes is in: the only one, or k. */
static inline int64_t quantizer_channel(const struct quantizer *quantizer, int64_t k)
{
    return quantizer->channels == 1 ? 0 : k;
}

/* Scale and zero point of one channel for the clipping range [min, max] (eq. 2), which is widened
 * to contain zero. A range that is not finite is E_INVALID. */
bool quantizer_set_range(struct quantizer *quantizer, int64_t channel, double min, double max,
                         struct error *err);

/* x̂ of `count` values of one channel. `x` and `y` may be the same. Not for float, as what
 * follows. */
void quantizer_apply(const struct quantizer *quantizer, int64_t channel, const float *x,
                     size_t count, float *y);

/* Code of one value in [low, high]; a NaN gives the zero point. */
int32_t quantizer_encode(const struct quantizer *quantizer, int64_t channel, float x);
float quantizer_decode(const struct quantizer *quantizer, int64_t channel, int32_t code);
