#pragma once

/* What a layer in front of a Relu should give: t = y + a − â, and where y + a ≤ 0, below which the
 * Relu hides every difference, min(ŷ + â, 0) − â. It majorizes the error behind the Relu and
 * touches it at ŷ. */

#include <stdint.h>

struct relu_targets {
    const float *output;                    /* [count] y of the float layer */
    const float *addend, *addend_quantized; /* [count] a and â; both NULL: 0 */
    const float *rectified;                 /* [count] ŷ; NULL: no Relu follows */
};
void relu_targets_f32(const struct relu_targets *targets, int64_t count, float *out);
