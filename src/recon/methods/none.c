/* No optimization: every weight is rounded to the nearest code, biases stay. */

#include "ptqd/recon/method.h"

static bool none_solve(const struct linear_problem *problem, const struct method_options *options,
                       const struct recon_monitor *monitor, struct arena *scratch,
                       struct quant_layer *layer, struct error *err)
{
    (void)problem, (void)options, (void)monitor, (void)scratch, (void)err; /* rounding can't fail */
    quant_layer_round(layer);
    return true;
}

const struct method method_none = {
    .name = "none",
    .help = "Weights are rounded to the nearest code.",
    .only_layers = "nothing is optimized",
    .solve = none_solve,
};
