/* LSQ (Esser et al., arXiv 1902.08153) on the Gram form: only the scale of each channel is trained,
 * and its zero point where the format has one, with the gradient of eq. 3; weights are rounded to
 * nearest (straight_through.h).
 *
 * Deviations: Adam, to which the paper's gradient factor 1 / √(N·Q_P) makes no difference; the
 * start is the range of step 2 instead of 2·mean|w| / √Q_P; every step sees all samples and the
 * bias is always the best one, in closed form; the best codes of each channel stay instead of the
 * last.
 */

#include "straight_through.h"

/* Steps are those of ESP-PPQ. Of rates of 0.003, 0.01, 0.03 and 0.1 this one leaves the least error
 * on the layers of ResNet-8 and DS-CNN at 2 and 4 bits, and of 1, 3, 10 and 30 times that for zero
 * points, in codes, so does the same. */
enum { STEPS = 500 };
static const double LEARNING_RATE = 0.03;

static bool qparam_solve(const struct linear_problem *problem, const struct method_options *options,
                         const struct recon_monitor *monitor, struct arena *scratch,
                         struct quant_layer *layer, struct error *err)
{
    double rate = method_learning_rate(options, LEARNING_RATE);
    struct straight_through_rates rates = {.scales = rate};
    if (!layer->quantizer.format.symmetric)
        rates.zero_points = rate;
    return straight_through_solve(problem, options, method_iterations(options, STEPS), &rates,
                                  monitor, scratch, layer, err);
}

const struct method method_qparam = {
    .name = "qparam",
    .help = "Only scales and zero points are trained; weights are rounded to nearest (LSQ).",
    .uses_data = true,
    .changes_scales = true,
    .changes_zero_points = true,
    .trained = TRAIN_QPARAM,
    .moment_bytes = GRAM_GRADIENT_MOMENT_BYTES,
    .weight_bytes = STRAIGHT_THROUGH_WEIGHT_BYTES,
    .solve = qparam_solve,
};
