/* The clipping range with the smallest squared error (arXiv 2203.05492, 3.2): grid search over both
 * ends, coarse first, then twice refined round the best. Values on their way through a sum into a
 * Relu are judged behind it: half of what a residual branch adds is hidden there, and its lower end
 * is best cut off (ResNet-8 at W8A4: 1 dB of the network's output).
 *
 * A one-sided or symmetric range has one free end and costs COARSE + 2·REFINE evaluations; a
 * two-sided one their squares. One evaluation is a pass over the values, or over the histogram that
 * stands for them.
 */

#include "ptqd/quant/observer.h"

#include <math.h>

enum {
    COARSE_ONE_END = 100, /* the 1 % steps of BRECQ's search */
    COARSE_TWO_ENDS = 24,
    REFINE = 9, /* points per end and refinement: an eighth of the coarse step */
    REFINEMENTS = 2,
};

struct grid {
    double low, high;
    double scale, zero_point;
};

/* The grid that quantizer_set_range would make, in float64. */
static struct grid grid_of_range(const struct quantizer_format *format, double min, double max)
{
    double steps = ldexp(1.0, format->bits);
    struct grid grid = {.high = steps - 1.0, .scale = 1.0};
    if (format->symmetric) {
        grid.high = steps / 2.0 - 1.0;
        grid.low = format->narrow ? -grid.high : -steps / 2.0;
        grid.scale = fmax(max / grid.high, min / grid.low);
    } else {
        grid.scale = (max - min) / grid.high;
        if (grid.scale > 0.0)
            grid.zero_point = fmin(fmax(-rint(min / grid.scale), 0.0), grid.high);
    }
    return grid;
}

static double squared_error(const struct observation *seen, const struct grid *grid)
{
    double low = (grid->low - grid->zero_point) * grid->scale;
    double high = (grid->high - grid->zero_point) * grid->scale;
    double inverse = 1.0 / grid->scale;
    double sum = 0.0;
    for (size_t i = 0; i < seen->count; i++) {
        double x = (double)seen->values[i];
        double clipped = x < low ? low : x > high ? high : x;
        double error = rint(clipped * inverse) * grid->scale - x;
        if (seen->addends) {
            double before = x + (double)seen->addends[i], after = before + error;
            error = (after > 0.0 ? after : 0.0) - (before > 0.0 ? before : 0.0);
        }
        sum += seen->weights ? seen->weights[i] * error * error : error * error;
    }
    return sum;
}

struct search {
    const struct observation *seen;
    const struct quantizer_format *format;
    double min, max;                        /* the ends that were seen, zero included */
    double best_error, best_low, best_high; /* the ends as shares of min and max */
};

static void search_try(struct search *search, double low_share, double high_share)
{
    struct grid grid =
        grid_of_range(search->format, search->min * low_share, search->max * high_share);
    if (!(grid.scale > 0.0))
        return;
    double error = squared_error(search->seen, &grid);
    if (error < search->best_error) {
        search->best_error = error;
        search->best_low = low_share;
        search->best_high = high_share;
    }
}

/* Tries points × points shares (or points, with one free end) round a centre. */
static void search_grid(struct search *search, double centre_low, double centre_high,
                        double half_width, int points)
{
    bool two_ends = !search->format->symmetric && search->min < 0.0 && search->max > 0.0;
    double step = 2.0 * half_width / (points - 1);
    for (int i = 0; i < points; i++) {
        double high_share = centre_high - half_width + step * i;
        if (high_share <= 0.0 || high_share > 1.0)
            continue;
        if (!two_ends) {
            search_try(search, high_share, high_share);
            continue;
        }
        for (int j = 0; j < points; j++) {
            double low_share = centre_low - half_width + step * j;
            if (low_share > 0.0 && low_share <= 1.0)
                search_try(search, low_share, high_share);
        }
    }
}

static void mse_range(const struct observation *seen, const struct quantizer_format *format,
                      double *out_min, double *out_max)
{
    struct search search = {
        .seen = seen,
        .format = format,
        .min = fmin(seen->min, 0.0),
        .max = fmax(seen->max, 0.0),
        .best_error = INFINITY,
        .best_low = 1.0,
        .best_high = 1.0,
    };
    if (format->symmetric) { /* one scale: the larger side decides where the search starts */
        double reach = fmax(-search.min, search.max);
        search.min = -reach;
        search.max = reach;
    }
    bool two_ends = !format->symmetric && search.min < 0.0 && search.max > 0.0;
    int coarse = two_ends ? COARSE_TWO_ENDS : COARSE_ONE_END;
    double half_width = 0.5 - 0.5 / coarse; /* shares 1/coarse, 2/coarse … 1 */
    double centre = 0.5 + 0.5 / coarse;
    search_grid(&search, centre, centre, half_width, coarse);

    double step = 1.0 / coarse;
    for (int refinement = 0; refinement < REFINEMENTS; refinement++) {
        search_grid(&search, search.best_low, search.best_high, step, REFINE);
        step = 2.0 * step / (REFINE - 1);
    }
    *out_min = search.min * search.best_low;
    *out_max = search.max * search.best_high;
}

const struct observer observer_mse = {
    .name = "mse",
    .help = "The clipping range with the smallest squared error of the values.",
    .range = mse_range,
};
