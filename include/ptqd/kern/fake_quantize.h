#pragma once

/* Simulated quantization (arXiv 2203.05492, eq. 1):
 *
 *   q = clamp(round(x / scale) + zero_point, low, high)      y = scale · (q − zero_point)
 *
 * Rounding is half to even. The division is a division, not a product with the reciprocal: ONNX's
 * QuantizeLinear divides, and both must give the same code. A scale must be finite and > 0 and
 * low ≤ zero_point ≤ high, within ±2^22. Zero stays zero, infinities clamp, NaN stays NaN. `y` may
 * be `x`.
 *
 * The gradient is the straight-through one: that of y where low ≤ x/scale + zero_point ≤ high
 * (x not yet rounded), zero elsewhere and for NaN. Gradients are added to.
 */

#include "ptqd/kern/gradient_rest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One scale for all elements. */
void fake_quantize_f32(const float *x, size_t count, float scale, int32_t zero_point, int32_t low,
                       int32_t high, float *y);
/* `fresh`: written, not added to. */
void fake_quantize_f32_grad_x(const float *x, size_t count, float scale, int32_t zero_point,
                              int32_t low, int32_t high, const float *grad_y, bool fresh,
                              float *grad_x);

/* The same gradient of x (`grad_x` NULL: not wanted), and those of the format's own numbers, added
 * up over all elements, with q the code of x:
 *
 *     ∂y/∂scale       inside the range q − zero_point − x/scale, outside q − zero_point
 *     ∂y/∂zero_point  inside 0, outside −scale
 *
 * (Esser et al., "Learned Step Size Quantization", arXiv 1902.08153, eq. 3; Bhalgat et al., LSQ+,
 * arXiv 2004.09576, section 3.1.) Sums run in a fixed order, in float64 over blocks of float32.
 *
 * With `rest` (else NULL), x is a Relu's output and grad_x, which is fresh then, the gradient of
 * the Relu's input. */
struct fake_quantize_grad {
    double scale, zero_point;
};
void fake_quantize_f32_grad(const float *x, size_t count, float scale, int32_t zero_point,
                            int32_t low, int32_t high, const float *grad_y,
                            const struct gradient_rest *rest, bool fresh, float *grad_x,
                            struct fake_quantize_grad *grad);

/* One scale and zero point per channel: x [outer][channels][inner]. inner = 1 is the last axis
 * (activations), outer = 1 the first (weights). */
struct fake_quantize_channels {
    size_t outer, channels, inner;
    const float *scale;        /* [channels] */
    const int32_t *zero_point; /* [channels], or NULL: all 0 */
    int32_t low, high;
};

void fake_quantize_channels_f32(const struct fake_quantize_channels *format, const float *x,
                                float *y);
void fake_quantize_channels_f32_grad_x(const struct fake_quantize_channels *format, const float *x,
                                       const float *grad_y, float *grad_x);

/* The codes q instead of y; there is no code for NaN, it becomes zero_point. */
void quantize_codes_f32(const float *x, size_t count, float scale, int32_t zero_point, int32_t low,
                        int32_t high, int32_t *codes);
