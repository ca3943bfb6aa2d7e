/* The variables of AdaRound and their loss. */

#include "soft_rounding.h"

#include "rounding_grid.h"

#include <math.h>

static void start(struct soft_rounding *rounding)
{
    const struct linear_problem *problem = rounding->gradient.problem;
    int64_t D = problem->D, rows = problem->K / problem->G;
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++) {
        float scale = rounding_grid_of(&rounding->layer->quantizer, k).scale;
        const double *H = problem->H + k / rows * D * D;
        for (int64_t d = 0; d < D; d++) {
            float place = problem->weights[k * D + d] / scale;
            rounding->floors[k * D + d] = floorf(place);
            rounding->alpha[k * D + d] =
                (float)rectified_sigmoid_inverse((double)(place - floorf(place)));
            sum += (double)scale * (double)scale * H[d * D + d];
        }
    }
    rounding->unit = sum / (double)(problem->K * D);
}

bool soft_rounding_init(struct arena *arena, const struct linear_problem *problem,
                        const struct quant_layer *layer, struct soft_rounding *out_rounding,
                        struct error *err)
{
    int64_t cells = problem->K * problem->D;
    struct soft_rounding rounding = {
        .layer = layer,
        .floors = ARENA_ARRAY(arena, float, cells, err),
        .alpha = ARENA_ARRAY(arena, float, cells, err),
        .slope = ARENA_ARRAY(arena, float, cells, err),
    };
    if (!rounding.floors || !rounding.alpha || !rounding.slope ||
        !gram_gradient_init(arena, problem, &rounding.gradient, err))
        return false;
    start(&rounding);
    *out_rounding = rounding;
    return true;
}

void soft_rounding_measure(const struct soft_rounding *rounding)
{
    const struct quant_layer *layer = rounding->layer;
    for (int64_t k = 0; k < layer->K; k++) {
        struct rounding_grid grid = rounding_grid_of(&layer->quantizer, k);
        int64_t first = k * layer->D;
        rectified_rounding_f32(rounding->alpha + first, rounding->floors + first, (size_t)layer->D,
                               &grid, rounding->gradient.values + first);
    }
    gram_gradient_measure(&rounding->gradient);
}

double soft_rounding_loss(const struct soft_rounding *rounding, double lambda, double beta)
{
    const struct quant_layer *layer = rounding->layer;
    double error = gram_gradient_mean_error(&rounding->gradient) * (double)layer->K, sum = 0.0;
    for (int64_t i = 0; i < layer->K * layer->D; i++)
        sum += 1.0 - pow(fabs(2.0 * rectified_sigmoid((double)rounding->alpha[i]) - 1.0), beta);
    return error / rounding->unit + lambda * sum;
}

const float *soft_rounding_gradient(const struct soft_rounding *rounding, double lambda,
                                    double beta)
{
    const struct quant_layer *layer = rounding->layer;
    struct rounding_pull pull = {.lambda = (float)lambda, .beta = (float)beta};
    for (int64_t k = 0; k < layer->K; k++) {
        struct rounding_grid grid = rounding_grid_of(&layer->quantizer, k);
        int64_t first = k * layer->D;
        grid.scale *= (float)(2.0 / rounding->unit); /* of half the gradient */
        rectified_rounding_f32_grad(rounding->alpha + first, rounding->floors + first,
                                    (size_t)layer->D, &grid, &pull, rounding->gradient.half + first,
                                    rounding->slope + first);
    }
    return rounding->slope;
}
