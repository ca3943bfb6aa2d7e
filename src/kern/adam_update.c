/* The update of Adam. */

#include "ptqd/kern/adam_update.h"

#include "simd.h"

#include <math.h>

static const float BETA_1 = 0.9f, BETA_2 = 0.999f, EPSILON = 1e-8f;

KERN_CLONES static void update(int64_t count, float rate, float scale,
                               const float *restrict gradient, float *restrict first,
                               float *restrict second, float *restrict values)
{
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i];
        first[i] = BETA_1 * first[i] + (1.0f - BETA_1) * g;
        second[i] = BETA_2 * second[i] + (1.0f - BETA_2) * g * g;
        values[i] -= rate * first[i] / (sqrtf(second[i] * scale) + EPSILON);
    }
}

void adam_update_f32(const struct adam_moments *moments, int64_t step, double learning_rate,
                     const float *gradient, float *values)
{
    /* Moments start at zero: what they lack is divided out. */
    double bias_1 = 1.0 - pow((double)BETA_1, (double)step);
    double bias_2 = 1.0 - pow((double)BETA_2, (double)step);
    update(moments->count, (float)(learning_rate / bias_1), (float)(1.0 / bias_2), gradient,
           moments->first, moments->second, values);
}
