/* The variables of AdaRound and their loss. */

#include "soft_rounding.h"

#include "ptqd/recon/rectified_sigmoid.h"

#include <math.h>

static float scale_of(const struct quant_layer *layer, int64_t k)
{
    return layer->quantizer.scales[layer->quantizer.channels == 1 ? 0 : k];
}

static void start(struct soft_rounding *rounding)
{
    const struct linear_problem *problem = rounding->gradient.problem;
    int64_t D = problem->D, rows = problem->K / problem->G;
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++) {
        float scale = scale_of(rounding->layer, k);
        const double *H = problem->H + k / rows * D * D;
        for (int64_t d = 0; d < D; d++) {
            float place = problem->weights[k * D + d] / scale;
            rounding->floors[k * D + d] = floorf(place);
            rounding->alpha[k * D + d] = rectified_sigmoid_inverse((double)(place - floorf(place)));
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
        .soft = ARENA_ARRAY(arena, float, cells, err),
        .slope = ARENA_ARRAY(arena, float, cells, err),
    };
    if (!rounding.floors || !rounding.alpha || !rounding.soft || !rounding.slope ||
        !gram_gradient_init(arena, problem, &rounding.gradient, err))
        return false;
    start(&rounding);
    *out_rounding = rounding;
    return true;
}

/* The ends of the codes less the zero point. */
struct ends {
    float low, high;
};

static struct ends ends_of(const struct quant_layer *layer, int64_t k)
{
    const struct quantizer *quantizer = &layer->quantizer;
    int32_t zero_point = quantizer->zero_points[quantizer->channels == 1 ? 0 : k];
    return (struct ends){(float)(quantizer->low - zero_point),
                         (float)(quantizer->high - zero_point)};
}

void soft_rounding_measure(const struct soft_rounding *rounding)
{
    const struct quant_layer *layer = rounding->layer;
    for (int64_t k = 0; k < layer->K; k++) {
        float scale = scale_of(layer, k);
        struct ends ends = ends_of(layer, k);
        for (int64_t i = k * layer->D; i < (k + 1) * layer->D; i++) {
            float h = rectified_sigmoid(rounding->alpha[i], &rounding->slope[i]);
            float code = rounding->floors[i] + h;
            code = code < ends.low ? ends.low : code > ends.high ? ends.high : code;
            rounding->soft[i] = h;
            rounding->gradient.values[i] = scale * code;
        }
    }
    gram_gradient_measure(&rounding->gradient);
}

double soft_rounding_loss(const struct soft_rounding *rounding, double lambda, double beta)
{
    const struct quant_layer *layer = rounding->layer;
    double error = gram_gradient_mean_error(&rounding->gradient) * (double)layer->K, sum = 0.0;
    for (int64_t i = 0; i < layer->K * layer->D; i++)
        sum += 1.0 - pow(fabs(2.0 * (double)rounding->soft[i] - 1.0), beta);
    return error / rounding->unit + lambda * sum;
}

/* ∂/∂h of λ (1 − |2h − 1|^β) */
static float pull_of(float h, float lambda, float beta)
{
    float u = 2.0f * h - 1.0f;
    return -copysignf(2.0f * lambda * beta * powf(fabsf(u), beta - 1.0f), u);
}

const float *soft_rounding_gradient(const struct soft_rounding *rounding, double lambda,
                                    double beta)
{
    const struct quant_layer *layer = rounding->layer;
    float *gradient = rounding->gradient.half, share = (float)(2.0 / rounding->unit);
    for (int64_t k = 0; k < layer->K; k++) {
        float scale = scale_of(layer, k);
        struct ends ends = ends_of(layer, k);
        for (int64_t i = k * layer->D; i < (k + 1) * layer->D; i++) {
            float h = rounding->soft[i], code = rounding->floors[i] + h;
            bool on_grid = code >= ends.low && code <= ends.high;
            float by_h = on_grid ? share * scale * gradient[i] : 0.0f;
            if (lambda > 0.0 && rounding->slope[i] > 0.0f)
                by_h += pull_of(h, (float)lambda, (float)beta);
            gradient[i] = by_h * rounding->slope[i];
        }
    }
    return gradient;
}
