/* The clipping range with the smallest squared error (arXiv 2203.05492, 3.2), by the search of
 * quant/range_search.h. Values on their way through a sum into a Relu are judged behind it: half of
 * what a residual branch adds is hidden there, and its lower end is best cut off (ResNet-8 at W8A4:
 * 1 dB of the network's output).
 *
 * One evaluation is a pass over the values, or over the histogram that stands for them.
 */

#include "ptqd/kern/statistics.h"
#include "ptqd/quant/observer.h"
#include "ptqd/quant/range_search.h"

static double squared_error(const struct observation *seen, const struct range_grid *grid)
{
    const struct rounding_grid rounding = {
        .scale = grid->scale,
        .low = (grid->low - grid->zero_point) * grid->scale,
        .high = (grid->high - grid->zero_point) * grid->scale,
    };
    return rounding_error_f32(seen->values, seen->weights, seen->addends, seen->count, &rounding);
}

static void mse_range(const struct observation *seen, const struct quantizer_format *format,
                      const struct observer_options *options, double *out_min, double *out_max)
{
    (void)options; /* it has none */
    struct range_search search;
    range_search_init(&search, format, seen->min, seen->max);
    while (range_search_next(&search))
        for (int i = 0; i < search.count; i++) {
            struct range_grid grid = range_grid_of(format, &search.candidates[i]);
            if (grid.scale > 0.0)
                range_search_note(&search, i, squared_error(seen, &grid));
        }
    *out_min = search.best.min;
    *out_max = search.best.max;
}

const struct observer observer_mse = {
    .name = "mse",
    .help = "The clipping range with the smallest squared error of the values.",
    .range = mse_range,
};
