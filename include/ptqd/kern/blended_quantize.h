#pragma once

/* Quantized weights on the way to their codes. With the trained variable v, in units of `unit`:
 *
 *   w = unit · v      code = clamp(round(v · unit / scale) + zero_point, low, high)
 *   q = scale · (code − zero_point)          ŵ = w + blend · (q − w), and q itself at 1
 *
 * Gradients go straight through the rounding (Bengio et al., arXiv 1308.3432): with v' = w / scale
 * + zero_point in codes, ∂ŵ/∂v' is `scale` as far as the code follows v', that is within half a
 * step of the codes, and (1 − blend) · scale beyond. ∂ŵ/∂ log scale is ŵ where `unit` is the scale,
 * so that w moves along; where w stays it is ŵ − w between the codes and ŵ beyond them (Esser et
 * al., LSQ, arXiv 1902.08153, eq. 3). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blended_format {
    float unit, scale;             /* finite, > 0 */
    int32_t zero_point, low, high; /* low ≤ zero_point ≤ high, within int8_t and uint8_t */
    float blend;                   /* 0 to 1 */
    bool moves;                    /* `unit` is the scale, not a constant */
};

/* v [count] to codes and ŵ; NaN is taken for the lowest code. */
void blended_quantize_f32(const float *v, size_t count, const struct blended_format *format,
                          int8_t *codes, float *values);

/* The gradients of v' (written), and of log scale (returned), from that of ŵ; `values` are those of
 * the forward pass. A sum in float32, in a fixed order. */
float blended_quantize_f32_grad(const float *v, const float *values, size_t count,
                                const struct blended_format *format, const float *grad_values,
                                float *grad_v);
