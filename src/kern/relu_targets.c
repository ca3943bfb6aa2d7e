/* Targets in front of a Relu: one loop, specialized to what there is. */

#include "ptqd/kern/relu_targets.h"

#include "simd.h"

#include <stdbool.h>

static inline __attribute__((always_inline)) void make(const struct relu_targets *from,
                                                       int64_t count, bool added, bool rectified,
                                                       float *restrict out)
{
    const float *y = from->output, *a = from->addend, *b = from->addend_quantized;
    const float *now = from->rectified;
    for (int64_t i = 0; i < count; i++) {
        float plain = added ? a[i] : 0.0f, present = added ? b[i] : 0.0f, sum = y[i] + plain;
        if (rectified) {
            float hidden = now[i] + present;
            hidden = hidden < 0.0f ? hidden : 0.0f;
            sum = sum <= 0.0f ? hidden : sum;
        }
        out[i] = sum - present;
    }
}

KERN_CLONES static void make_plain_targets(const struct relu_targets *from, int64_t count,
                                           float *restrict out)
{
    make(from, count, false, false, out);
}

KERN_CLONES static void make_added_targets(const struct relu_targets *from, int64_t count,
                                           float *restrict out)
{
    make(from, count, true, false, out);
}

KERN_CLONES static void make_hidden_targets(const struct relu_targets *from, int64_t count,
                                            float *restrict out)
{
    make(from, count, false, true, out);
}

KERN_CLONES static void make_all_targets(const struct relu_targets *from, int64_t count,
                                         float *restrict out)
{
    make(from, count, true, true, out);
}

void relu_targets_f32(const struct relu_targets *targets, int64_t count, float *out)
{
    if (targets->rectified)
        (targets->addend ? make_all_targets : make_hidden_targets)(targets, count, out);
    else
        (targets->addend ? make_added_targets : make_plain_targets)(targets, count, out);
}
