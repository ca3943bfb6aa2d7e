/* Adam. */

#include "ptqd/recon/adam.h"

#include <math.h>

bool adam_init(struct arena *arena, size_t count, struct adam *out_adam, struct error *err)
{
    struct adam adam = {
        .moments = {.count = (int64_t)count,
                    .first = ARENA_ARRAY(arena, float, count, err),
                    .second = ARENA_ARRAY(arena, float, count, err)},
    };
    if (!adam.moments.first || !adam.moments.second)
        return false;
    *out_adam = adam;
    return true;
}

void adam_step(struct adam *adam, double learning_rate, const float *gradient, float *values)
{
    adam->step++;
    adam_update_f32(&adam->moments, adam->step, learning_rate, gradient, values);
}

double adam_cosine(double learning_rate, int64_t step, int64_t steps)
{
    return 0.5 * learning_rate * (1.0 + cos(M_PI * (double)step / (double)steps));
}
