/* Adam. */

#include "ptqd/recon/adam.h"

#include <math.h>

static const float BETA_1 = 0.9f, BETA_2 = 0.999f, EPSILON = 1e-8f;

bool adam_init(struct arena *arena, size_t count, struct adam *out_adam, struct error *err)
{
    struct adam adam = {
        .count = count,
        .first = ARENA_ARRAY(arena, float, count, err),
        .second = ARENA_ARRAY(arena, float, count, err),
    };
    if (!adam.first || !adam.second)
        return false;
    *out_adam = adam;
    return true;
}

void adam_step(struct adam *adam, double learning_rate, const float *gradient, float *values)
{
    adam->step++;
    double bias_1 = 1.0 - pow((double)BETA_1, (double)adam->step);
    double bias_2 = 1.0 - pow((double)BETA_2, (double)adam->step);
    float rate = (float)(learning_rate / bias_1);
    float scale = (float)(1.0 / bias_2);
    for (size_t i = 0; i < adam->count; i++) {
        float g = gradient[i];
        adam->first[i] = BETA_1 * adam->first[i] + (1.0f - BETA_1) * g;
        adam->second[i] = BETA_2 * adam->second[i] + (1.0f - BETA_2) * g * g;
        values[i] -= rate * adam->first[i] / (sqrtf(adam->second[i] * scale) + EPSILON);
    }
}

double adam_cosine(double learning_rate, int64_t step, int64_t steps)
{
    return 0.5 * learning_rate * (1.0 + cos(M_PI * (double)step / (double)steps));
}
