/* The linear objective of one layer in its Gram form. */

#include "ptqd/recon/linear_problem.h"

#include "ptqd/kern/dot.h"

#include <float.h>
#include <math.h>

/* ε for as many positions as values. Chosen by the error of layers on other calibration samples
 * than they were solved for: on the last layer of the HAR CNN (3968 values, 512 positions, 2 bits)
 * it brings 21.2 dB to 23.6 dB with "grid", on ResNet-8 (64 samples, 4 bits) 17.2 dB to 17.4 dB as
 * the mean of its layers. 0.1 and 0.3 are no better; with some thousand positions nothing changes.
 */
static const double PRIOR = 0.2;

/* A variance below this part of the squared mean is rounding of sums in float32. */
static const double ROUNDING = 1e-6;

bool linear_gram_init(struct arena *arena, const struct quant_layer *layer, struct gram *out_gram,
                      struct error *err)
{
    int64_t D = layer->D, G = layer->G;
    struct gram gram = {
        .G = G,
        .D = D,
        .inner = ARENA_ARRAY(arena, double, G *D *D, err),
        .sum_quantized = ARENA_ARRAY(arena, double, G *D, err),
    };
    if (!gram.inner || !gram.sum_quantized)
        return false;
    *out_gram = gram;
    return true;
}

size_t linear_gram_bytes(const struct quant_layer *layer)
{
    return (size_t)(layer->G * layer->D * (layer->D + 1)) * sizeof(double);
}

size_t linear_targets_bytes(const struct quant_layer *layer)
{
    return (size_t)(layer->K * (layer->D + 2)) * sizeof(double);
}

bool linear_targets_init(struct arena *arena, const struct quant_layer *layer,
                         struct linear_targets *out_targets, struct error *err)
{
    struct linear_targets targets = {
        .products = ARENA_ARRAY(arena, double, layer->K * layer->D, err),
        .sum = ARENA_ARRAY(arena, double, layer->K, err),
        .squares = ARENA_ARRAY(arena, double, layer->K, err),
    };
    if (!targets.products || !targets.sum || !targets.squares)
        return false;
    *out_targets = targets;
    return true;
}

/* moments / positions − row_mean · column_meanᵀ, in place. */
static void centre(double *moments, const double *row_mean, int64_t rows, const double *column_mean,
                   int64_t columns, double positions)
{
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            double *cell = &moments[row * columns + column];
            *cell = *cell / positions - row_mean[row] * column_mean[column];
        }
}

bool linear_problem_create(struct gram *gram, const struct quant_layer *layer,
                           struct linear_problem *out_problem, struct error *err)
{
    int64_t D = layer->D, G = layer->G;
    if (gram->positions < 1)
        return FAIL(err, E_INTERNAL, "layer '%s': no positions were seen", layer->name);

    double positions = (double)gram->positions;
    double *mean = gram->sum_quantized;
    for (int64_t i = 0; i < G * D; i++)
        mean[i] /= positions;
    for (int64_t g = 0; g < G; g++)
        centre(gram->inner + g * D * D, mean + g * D, D, mean + g * D, D, positions);
    *out_problem = (struct linear_problem){
        .K = layer->K,
        .D = D,
        .G = G,
        .positions = positions,
        .weights = layer->float_weights,
        .H = gram->inner,
        .mean = mean,
    };
    return true;
}

void linear_problem_add_prior(struct linear_problem *problem)
{
    int64_t D = problem->D;
    problem->prior = PRIOR * (double)D / problem->positions;
    for (int64_t i = 0; i < problem->G * D; i++)
        problem->H[i * D + i % D] *= 1.0 + problem->prior;
}

double linear_problem_negligible(const struct linear_problem *problem, int64_t i)
{
    return ROUNDING * problem->mean[i] * problem->mean[i];
}

/* What does not vary has no covariance. Where the sums leave some, beside an H_dd of 0, a code of
 * that value would seem to gain without end. */
static void clear_negligible(struct linear_problem *problem, int64_t k)
{
    int64_t D = problem->D, first = k / (problem->K / problem->G) * D;
    for (int64_t d = 0; d < D; d++)
        if (!(problem->H[(first + d) * D + d] > linear_problem_negligible(problem, first + d)))
            problem->target[k * D + d] = 0.0;
}

/* ε H_dd of the covariance, from the diagonal that has the prior in it; d of channel k. */
static double prior_weight(const struct linear_problem *problem, int64_t k, int64_t d)
{
    int64_t D = problem->D, g = k / (problem->K / problem->G);
    return problem->prior / (1.0 + problem->prior) * problem->H[(g * D + d) * D + d];
}

/* The prior's part of V_k. */
static double prior_variance(const struct linear_problem *problem, int64_t k)
{
    double sum = 0.0;
    for (int64_t d = 0; d < problem->D; d++) {
        double w = (double)problem->weights[k * problem->D + d];
        sum += prior_weight(problem, k, d) * w * w;
    }
    return sum;
}

static void pull_to_weights(struct linear_problem *problem, int64_t k)
{
    for (int64_t d = 0; d < problem->D; d++) {
        int64_t i = k * problem->D + d;
        problem->target[i] += prior_weight(problem, k, d) * (double)problem->weights[i];
    }
    problem->target_variance[k] += prior_variance(problem, k);
}

void linear_problem_set_targets(struct linear_problem *problem, struct linear_targets *targets)
{
    int64_t K = problem->K, D = problem->D, rows = K / problem->G;
    for (int64_t k = 0; k < K; k++) {
        targets->sum[k] /= problem->positions;
        double mean = targets->sum[k];
        targets->squares[k] = fmax(targets->squares[k] / problem->positions - mean * mean, 0.0);
        centre(targets->products + k * D, &mean, 1, problem->mean + k / rows * D, D,
               problem->positions);
    }
    problem->target = targets->products;
    problem->target_mean = targets->sum;
    problem->target_variance = targets->squares;
    for (int64_t k = 0; k < K; k++) {
        clear_negligible(problem, k);
        pull_to_weights(problem, k);
    }
}

/* τ_k − ŵ·μ̂ */
static float best_bias(const struct linear_problem *problem, int64_t k, const float *weights)
{
    const double *mean = problem->mean + k / (problem->K / problem->G) * problem->D;
    return (float)(problem->target_mean[k] - dot_f64_f32(mean, weights, problem->D));
}

double linear_problem_error(const struct linear_problem *problem, int64_t k, const float *weights,
                            float *out_best_bias)
{
    int64_t D = problem->D;
    const double *H = problem->H + k / (problem->K / problem->G) * D * D;
    const double *target = problem->target + k * D;
    double error = problem->target_variance[k];
    for (int64_t i = 0; i < D; i++)
        error += (double)weights[i] * (dot_f64_f32(H + i * D, weights, D) - 2.0 * target[i]);
    if (out_best_bias)
        *out_best_bias = best_bias(problem, k, weights);
    return error > 0.0 ? error : 0.0; /* a difference of large sums may end just below */
}

double linear_problem_layer_error(const struct linear_problem *problem,
                                  const struct quant_layer *layer)
{
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++) {
        float bias;
        sum += linear_problem_error(problem, k, layer->weight_values + k * problem->D, &bias);
        double offset = (double)bias - (double)layer->bias_values[k];
        sum += offset * offset;
    }
    return sum / (double)problem->K;
}

/* The prior's part of E_k. */
static double prior_of(const struct linear_problem *problem, int64_t k, const float *weights)
{
    double sum = 0.0;
    for (int64_t d = 0; d < problem->D; d++) {
        double change = (double)weights[d] - (double)problem->weights[k * problem->D + d];
        sum += prior_weight(problem, k, d) * change * change;
    }
    return sum;
}

double linear_problem_layer_sqnr_db(const struct linear_problem *problem,
                                    const struct quant_layer *layer)
{
    double signal = 0.0, noise = linear_problem_layer_error(problem, layer) * (double)problem->K;
    for (int64_t k = 0; k < problem->K; k++) {
        double mean = problem->target_mean[k];
        signal += problem->target_variance[k] - prior_variance(problem, k) + mean * mean;
        noise -= prior_of(problem, k, layer->weight_values + k * problem->D);
    }
    return 10.0 * log10(signal / fmax(noise, DBL_MIN));
}

void linear_problem_set_bias(const struct linear_problem *problem, struct quant_layer *layer)
{
    for (int64_t k = 0; k < problem->K; k++)
        layer->bias_values[k] = best_bias(problem, k, layer->weight_values + k * problem->D);
}
