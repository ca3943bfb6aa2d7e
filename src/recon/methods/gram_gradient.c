/* The objective and its gradient. */

#include "gram_gradient.h"

#include "ptqd/kern/gemm.h"

/* Up to here a product of one row is faster in a loop than in a call. */
enum { SMALL_COLUMN = 32 };

/* out = rows · H, group by group. */
static void multiply(const struct gram_gradient *gradient, const float *rows, float *out)
{
    const struct linear_problem *problem = gradient->problem;
    int64_t D = problem->D, per_group = problem->K / problem->G;
    for (int64_t g = 0; g < problem->G; g++) {
        const float *H = gradient->H + g * D * D, *from = rows + g * per_group * D;
        float *to = out + g * per_group * D;
        if (per_group > 1 || D > SMALL_COLUMN) {
            gemm_f32(&(struct gemm_shape){.M = per_group, .N = D, .K = D}, 1.0f, from, H, 0.0f, to);
            continue;
        }
        for (int64_t j = 0; j < D; j++)
            to[j] = 0.0f;
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < D; j++)
                to[j] += from[i] * H[i * D + j];
    }
}

static double row_product(const float *a, const float *b, const float *c, int64_t D)
{
    double sum = 0.0;
    for (int64_t i = 0; i < D; i++)
        sum += (double)a[i] * ((double)b[i] + (double)c[i]);
    return sum;
}

bool gram_gradient_init(struct arena *arena, const struct linear_problem *problem,
                        struct gram_gradient *out_gradient, struct error *err)
{
    int64_t K = problem->K, cells = K * problem->D, moments = problem->G * problem->D * problem->D;
    struct gram_gradient gradient = {
        .problem = problem,
        .H = ARENA_ARRAY(arena, float, moments, err),
        .slope = ARENA_ARRAY(arena, float, cells, err),
        .base = ARENA_ARRAY(arena, double, K, err),
        .values = ARENA_ARRAY(arena, float, cells, err),
        .delta = ARENA_ARRAY(arena, float, cells, err),
        .half = ARENA_ARRAY(arena, float, cells, err),
        .error = ARENA_ARRAY(arena, double, K, err),
    };
    if (!gradient.H || !gradient.slope || !gradient.base || !gradient.values || !gradient.delta ||
        !gradient.half || !gradient.error)
        return false;
    for (int64_t i = 0; i < moments; i++)
        gradient.H[i] = (float)problem->H[i];
    multiply(&gradient, problem->weights, gradient.slope);
    for (int64_t k = 0; k < K; k++) {
        double sum = problem->target_variance[k];
        for (int64_t i = k * problem->D; i < (k + 1) * problem->D; i++) {
            double product = (double)gradient.slope[i];
            gradient.slope[i] = (float)(product - problem->target[i]);
            sum += (double)problem->weights[i] * (product - 2.0 * problem->target[i]);
        }
        gradient.base[k] = sum;
    }
    *out_gradient = gradient;
    return true;
}

void gram_gradient_measure(const struct gram_gradient *gradient)
{
    const struct linear_problem *problem = gradient->problem;
    int64_t D = problem->D;
    for (int64_t i = 0; i < problem->K * D; i++)
        gradient->delta[i] = gradient->values[i] - problem->weights[i];
    multiply(gradient, gradient->delta, gradient->half);
    for (int64_t k = 0; k < problem->K; k++) {
        const float *delta = gradient->delta + k * D, *slope = gradient->slope + k * D;
        float *half = gradient->half + k * D;
        for (int64_t i = 0; i < D; i++)
            half[i] += slope[i];
        gradient->error[k] = gradient->base[k] + row_product(delta, half, slope, D);
    }
}

double gram_gradient_mean_error(const struct gram_gradient *gradient)
{
    double sum = 0.0;
    for (int64_t k = 0; k < gradient->problem->K; k++)
        sum += gradient->error[k];
    return sum / (double)gradient->problem->K;
}
