/* AdaQuant (Hubara et al., arXiv 2006.10518, section 3.2) on the Gram form: the weights, kept as
 * real numbers beside their codes, and the scale of each channel are trained through the rounding
 * (straight_through.h).
 *
 * Deviations: every step sees all samples and the bias is always the best one, in closed form;
 * rates are relative (the authors' 1e-5 for weights and 1e-3 for ranges belong to weights of size
 * 0.01), and fall as a cosine; the best codes of each channel stay instead of the last.
 */

#include "straight_through.h"

/* Steps are the authors'. Of rates of 0.003, 0.01, 0.03 and 0.1 steps of the weights, and of 0.03,
 * 0.1, 0.25 and 1 times that for the logarithm of scales, these leave the least error on the layers
 * of ResNet-8 and DS-CNN at 2 and 4 bits. */
enum { STEPS = 1000 };
static const double LEARNING_RATE = 0.01, SCALE_SHARE = 0.25;

static bool weights_solve(const struct linear_problem *problem,
                          const struct method_options *options, const struct recon_monitor *monitor,
                          struct arena *scratch, struct quant_layer *layer, struct error *err)
{
    double rate = method_learning_rate(options, LEARNING_RATE);
    struct straight_through_rates rates = {.weights = rate, .scales = SCALE_SHARE * rate};
    return straight_through_solve(problem, options, method_iterations(options, STEPS), &rates,
                                  monitor, scratch, layer, err);
}

const struct method method_weights = {
    .name = "weights",
    .help = "The weights and their scales are trained through the rounding (AdaQuant).",
    .uses_data = true,
    .changes_scales = true,
    .trained = TRAIN_WEIGHTS,
    .moment_bytes = GRAM_GRADIENT_MOMENT_BYTES,
    .weight_bytes = STRAIGHT_THROUGH_WEIGHT_BYTES,
    .solve = weights_solve,
};
