/* The whole range of what was seen (arXiv 2203.05492, 3.2): no clipping, but one outlier widens
 * every step. */

#include "ptqd/quant/observer.h"

static void minmax_range(const struct observation *seen, const struct quantizer_format *format,
                         const struct observer_options *options, double *out_min, double *out_max)
{
    (void)format, (void)options; /* the range of the values is the same at every width */
    *out_min = seen->min < 0.0 ? seen->min : 0.0;
    *out_max = seen->max > 0.0 ? seen->max : 0.0;
}

const struct observer observer_minmax = {
    .name = "minmax",
    .help = "The whole range of the values; no clipping, sensitive to outliers.",
    .range = minmax_range,
};
