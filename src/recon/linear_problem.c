/* The linear objective of one layer in its Gram form. */

#include "ptqd/recon/linear_problem.h"

#include "ptqd/base/mem.h"

#include <string.h>

/* moments / positions − row_mean · column_meanᵀ, in place. */
static void centre(double *moments, const double *row_mean, const double *column_mean, int64_t D,
                   double positions)
{
    for (int64_t row = 0; row < D; row++)
        for (int64_t column = 0; column < D; column++) {
            double *cell = &moments[row * D + column];
            *cell = *cell / positions - row_mean[row] * column_mean[column];
        }
}

/* target[k] = w_k C, and the mean of channel k's float output. */
static void project(struct linear_problem *problem, const double *cross, const double *mean_float)
{
    int64_t D = problem->D, per_group = problem->K / problem->G;
    for (int64_t k = 0; k < problem->K; k++) {
        const float *w = problem->weights + k * D;
        const double *C = cross + k / per_group * D * D;
        const double *mu = mean_float + k / per_group * D;
        double *target = problem->target + k * D;
        double mean = (double)problem->bias[k];
        for (int64_t i = 0; i < D; i++) {
            double wi = (double)w[i];
            mean += wi * mu[i];
            for (int64_t j = 0; j < D; j++)
                target[j] += wi * C[i * D + j];
        }
        problem->target_mean[k] = mean;
    }
}

bool linear_problem_create(struct arena *arena, struct gram *gram, const struct quant_layer *layer,
                           double *output_variance, struct linear_problem *out_problem,
                           struct error *err)
{
    int64_t D = layer->D, G = layer->G;
    if (gram->positions < 1)
        return FAIL(err, E_INTERNAL, "layer '%s': no positions were seen", layer->name);
    struct linear_problem problem = {
        .K = layer->K,
        .D = D,
        .G = G,
        .weights = layer->float_weights,
        .bias = layer->float_bias,
        .H = gram->inner,
        .target = ARENA_ARRAY(arena, double, layer->K *D, err),
        .target_mean = ARENA_ARRAY(arena, double, layer->K, err),
        .mean = gram->sum_quantized,
        .output_variance = output_variance,
    };
    if (!problem.target || !problem.target_mean)
        return false;

    double positions = (double)gram->positions;
    for (int64_t i = 0; i < G * D; i++) {
        gram->sum_float[i] /= positions;
        gram->sum_quantized[i] /= positions;
    }
    for (int64_t g = 0; g < G; g++) {
        const double *mean = gram->sum_quantized + g * D;
        centre(gram->inner + g * D * D, mean, mean, D, positions);
        centre(gram->cross + g * D * D, gram->sum_float + g * D, mean, D, positions);
    }
    project(&problem, gram->cross, gram->sum_float);
    *out_problem = problem;
    return true;
}

double linear_problem_error(const struct linear_problem *problem, int64_t k, const float *weights,
                            float *out_best_bias)
{
    int64_t D = problem->D, g = k / (problem->K / problem->G);
    const double *H = problem->H + g * D * D;
    const double *mean = problem->mean + g * D;
    const double *target = problem->target + k * D;
    double error = problem->output_variance[k];
    double bias = problem->target_mean[k];
    for (int64_t i = 0; i < D; i++) {
        double wi = (double)weights[i], sum = 0.0;
        for (int64_t j = 0; j < D; j++)
            sum += H[i * D + j] * (double)weights[j];
        error += wi * (sum - 2.0 * target[i]);
        bias -= wi * mean[i];
    }
    if (out_best_bias)
        *out_best_bias = (float)bias;
    return error > 0.0 ? error : 0.0; /* a difference of large sums may end just below */
}

double linear_problem_layer_error(const struct linear_problem *problem,
                                  const struct quant_layer *layer)
{
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++) {
        float best_bias;
        sum += linear_problem_error(problem, k, layer->weight_values + k * problem->D, &best_bias);
        double offset = (double)best_bias - (double)layer->bias_values[k];
        sum += offset * offset;
    }
    return sum / (double)problem->K;
}

void linear_problem_set_bias(const struct linear_problem *problem, struct quant_layer *layer)
{
    for (int64_t k = 0; k < problem->K; k++)
        (void)linear_problem_error(problem, k, layer->weight_values + k * problem->D,
                                   &layer->bias_values[k]); /* only the bias is wanted */
}
