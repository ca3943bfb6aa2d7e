/* AdaRound (Nagel et al., arXiv 2004.10568) on the Gram form of the linear objective.
 *
 * Every weight is rounded down or up: soft_rounding.h has the variables and the loss, which Adam
 * minimizes, β falling linearly from 20 to 2 after a warm start without the second term. Deviations
 * from the paper: the error comes from the Gram matrix (linear_problem.h), so a step costs K·D²
 * instead of a pass over a mini-batch, uses all samples, and the bias is always the best one. In
 * the end single codes change sides where that still helps.
 */

#include "descent.h"
#include "soft_rounding.h"

#include "ptqd/recon/adam.h"
#include "ptqd/recon/method.h"

#include <math.h>

static const double BETA_START = 20.0, BETA_END = 2.0;

/* Defaults. The paper takes 10 000 steps on mini-batches, at a rate of 0.001. Here every step sees
 * all samples: ten times as many, at a rate of 0.003, gain 0.05 dB on the layers of ResNet-8 and
 * DS-CNN at 2 and 4 bits. */
enum { STEPS = 500 };
static const double LEARNING_RATE = 0.03;

static bool descend(const struct soft_rounding *rounding, const struct method_options *options,
                    const struct recon_monitor *monitor, struct arena *scratch, struct error *err)
{
    struct adam adam;
    const struct quant_layer *layer = rounding->layer;
    if (!adam_init(scratch, (size_t)(layer->K * layer->D), &adam, err))
        return false;
    int64_t steps = method_iterations(options, STEPS);
    int64_t warm = (int64_t)(options->warm_start * (double)steps);
    double learning_rate = method_learning_rate(options, LEARNING_RATE);
    for (int64_t step = 0; step < steps; step++) {
        soft_rounding_measure(rounding);
        double error = gram_gradient_mean_error(&rounding->gradient);
        recon_monitor_record(monitor, step, error);
        if (!recon_monitor_report(monitor, (double)step / (double)steps, error, err))
            return false;
        double past = (double)(step - warm) / (double)(steps - warm);
        double beta = BETA_START + (BETA_END - BETA_START) * past;
        double lambda = step < warm ? 0.0 : options->regularization;
        adam_step(&adam, learning_rate, soft_rounding_gradient(rounding, lambda, beta),
                  rounding->alpha);
    }
    return true;
}

/* The descent's present solution: every code on the side where its α is, free to change to the
 * other one. */
static void harden(const struct soft_rounding *rounding, const struct descent *descent)
{
    descent_begin_layer(descent);
    for (int64_t i = 0; i < rounding->layer->K * rounding->layer->D; i++) {
        double floor = (double)rounding->floors[i], low = descent->low[i], high = descent->high[i];
        descent->low[i] = fmin(fmax(floor, low), high);
        descent->high[i] = fmin(fmax(floor + 1.0, low), high);
        descent->present.codes[i] = rounding->alpha[i] >= 0.0f ? descent->high[i] : descent->low[i];
    }
}

static bool round_solve(const struct linear_problem *problem, const struct method_options *options,
                        const struct recon_monitor *monitor, struct arena *scratch,
                        struct quant_layer *layer, struct error *err)
{
    struct soft_rounding rounding;
    struct descent descent;
    if (!descent_init(scratch, problem, monitor, NULL, layer, &descent, err) ||
        !soft_rounding_init(scratch, problem, layer, &rounding, err))
        return false;
    descent.fixed_scales = true;
    descent.fraction = 1.0;
    if (rounding.unit > 0.0 && !descend(&rounding, options, monitor, scratch, err))
        return false; /* without a unit all inputs are constant: nothing to choose by */
    *descent.iteration = method_iterations(options, STEPS);
    harden(&rounding, &descent);
    if (!descent_run(&descent, err))
        return false;
    descent_store(&descent);
    return true;
}

const struct method method_round = {
    .name = "round",
    .help =
        "Each weight is rounded down or up so that the layer's output changes least (AdaRound).",
    .uses_data = true,
    .trained = TRAIN_ROUND,
    .moment_bytes = GRAM_GRADIENT_MOMENT_BYTES,
    .weight_bytes = DESCENT_WEIGHT_BYTES + SOFT_ROUNDING_WEIGHT_BYTES,
    .solve = round_solve,
};
