/* Ranges of a layer's weights by the error of its output.
 *
 * With δ = ŵ − w, the error of row k is a constant plus δ H δᵀ + 2 (w H − c_k) δᵀ, and, where its
 * bias b stays, (τ_k − w·μ̂ − b − δ·μ̂)². Only this is computed: products in float32, all candidates
 * of a round at once, are then small where the error is small.
 */

#include "ptqd/recon/output_range.h"

#include "ptqd/kern/dot.h"
#include "ptqd/kern/gemm.h"
#include "ptqd/quant/range_search.h"

#include <math.h>

struct fit {
    const struct linear_problem *problem;
    struct quant_layer *layer;
    struct range_search search;
    int64_t group;  /* whose H is in `H` */
    float *H;       /* [D][D] */
    double *slope;  /* [D] w H − c_k of the present row, ... */
    double offset;  /* ... and τ_k − w·μ̂ − b */
    float *delta;   /* [candidates][D] */
    float *product; /* [candidates][D] δ H */
    double errors[RANGE_CANDIDATES_MAX];
    struct error *err;
};

static bool fit_init(struct fit *fit, struct arena *scratch)
{
    int64_t D = fit->problem->D;
    fit->group = -1;
    fit->H = ARENA_ARRAY(scratch, float, D *D, fit->err);
    fit->slope = ARENA_ARRAY(scratch, double, D, fit->err);
    fit->delta = ARENA_ARRAY(scratch, float, RANGE_CANDIDATES_MAX *D, fit->err);
    fit->product = ARENA_ARRAY(scratch, float, RANGE_CANDIDATES_MAX *D, fit->err);
    return fit->H && fit->slope && fit->delta && fit->product;
}

static void load_group(struct fit *fit, int64_t group)
{
    int64_t cells = fit->problem->D * fit->problem->D;
    if (fit->group == group)
        return;
    fit->group = group;
    for (int64_t i = 0; i < cells; i++)
        fit->H[i] = (float)fit->problem->H[group * cells + i];
}

static void set_slope(struct fit *fit, int64_t k)
{
    const struct linear_problem *problem = fit->problem;
    int64_t D = problem->D;
    const double *H = problem->H + fit->group * D * D;
    const float *w = problem->weights + k * D;
    for (int64_t i = 0; i < D; i++) {
        double sum = -problem->target[k * D + i];
        for (int64_t j = 0; j < D; j++)
            sum += H[i * D + j] * (double)w[j];
        fit->slope[i] = sum;
    }
}

static void set_offset(struct fit *fit, int64_t k)
{
    const struct linear_problem *problem = fit->problem;
    if (!problem->bias)
        return;
    const double *mean = problem->mean + fit->group * problem->D;
    fit->offset = problem->target_mean[k] - (double)problem->bias[k] -
                  dot_f64_f32(mean, problem->weights + k * problem->D, problem->D);
}

/* By what candidate i moves the mean of the present row's output away from what is wanted, squared;
 * nothing where the bias moves it back. */
static double mean_error(const struct fit *fit, int i)
{
    const struct linear_problem *problem = fit->problem;
    if (!problem->bias)
        return 0.0;
    const double *mean = problem->mean + fit->group * problem->D;
    double offset = fit->offset - dot_f64_f32(mean, fit->delta + i * problem->D, problem->D);
    return offset * offset;
}

/* Adds row k's share of the error of every candidate of the round. */
static bool add_row(struct fit *fit, int64_t channel, int64_t k)
{
    const struct linear_problem *problem = fit->problem;
    struct quantizer *quantizer = &fit->layer->quantizer;
    int64_t D = problem->D;
    const float *w = problem->weights + k * D;
    load_group(fit, k / (problem->K / problem->G));
    set_slope(fit, k);
    set_offset(fit, k);
    for (int i = 0; i < fit->search.count; i++) {
        const struct range *range = &fit->search.candidates[i];
        float *delta = fit->delta + i * D;
        if (!quantizer_set_range(quantizer, channel, range->min, range->max, fit->err))
            return false;
        quantizer_apply(quantizer, channel, w, (size_t)D, delta);
        for (int64_t d = 0; d < D; d++)
            delta[d] -= w[d];
    }
    struct gemm_shape shape = {.M = fit->search.count, .N = D, .K = D};
    gemm_f32(&shape, 1.0f, fit->delta, fit->H, 0.0f, fit->product);
    for (int i = 0; i < fit->search.count; i++) {
        for (int64_t d = 0; d < D; d++)
            fit->errors[i] += (double)fit->delta[i * D + d] *
                              ((double)fit->product[i * D + d] + 2.0 * fit->slope[d]);
        fit->errors[i] += mean_error(fit, i);
    }
    return true;
}

static bool fit_channel(struct fit *fit, int64_t channel, int64_t rows)
{
    const struct linear_problem *problem = fit->problem;
    struct quantizer *quantizer = &fit->layer->quantizer;
    struct range_search *search = &fit->search;
    double min = 0.0, max = 0.0;
    for (int64_t i = channel * rows * problem->D; i < (channel + 1) * rows * problem->D; i++) {
        min = fmin(min, (double)problem->weights[i]);
        max = fmax(max, (double)problem->weights[i]);
    }
    range_search_init(search, &quantizer->format, min, max);
    while (range_search_next(search)) {
        for (int i = 0; i < search->count; i++)
            fit->errors[i] = 0.0;
        for (int64_t row = 0; row < rows; row++)
            if (!add_row(fit, channel, channel * rows + row))
                return false;
        for (int i = 0; i < search->count; i++)
            range_search_note(search, i, fit->errors[i]);
    }
    return quantizer_set_range(quantizer, channel, search->best.min, search->best.max, fit->err);
}

bool output_range_fit(const struct linear_problem *problem, const struct recon_monitor *monitor,
                      struct arena *scratch, struct quant_layer *layer, struct error *err)
{
    struct fit fit = {.problem = problem, .layer = layer, .err = err};
    int64_t channels = layer->quantizer.channels, rows = layer->K / channels;
    if (!fit_init(&fit, scratch))
        return false;
    for (int64_t channel = 0; channel < channels; channel++)
        if (!fit_channel(&fit, channel, rows) ||
            !recon_monitor_report(monitor, (double)channel / (double)channels, NAN, err))
            return false;
    return true;
}
