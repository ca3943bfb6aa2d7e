/* The search for the best clipping range. */

#include "ptqd/quant/range_search.h"

#include <math.h>

enum {
    COARSE_ONE_END = 100, /* the 1 % steps of BRECQ's search */
    COARSE_TWO_ENDS = 24,
    REFINE = 9, /* points per end and refinement: a quarter of the step before */
    REFINEMENTS = 2,
};

struct range_grid range_grid_of(const struct quantizer_format *format, const struct range *range)
{
    double steps = ldexp(1.0, format->bits);
    struct range_grid grid = {.high = steps - 1.0};
    if (format->symmetric) {
        grid.high = steps / 2.0 - 1.0;
        grid.low = format->narrow ? -grid.high : -steps / 2.0;
        grid.scale = fmax(range->max / grid.high, range->min / grid.low);
    } else {
        grid.scale = (range->max - range->min) / grid.high;
        double start = format->signed_codes ? -steps / 2.0 : 0.0;
        grid.low += start;
        grid.high += start;
        if (grid.scale > 0.0)
            grid.zero_point =
                fmin(fmax(grid.low - rint(range->min / grid.scale), grid.low), grid.high);
    }
    return grid;
}

void range_search_init(struct range_search *search, const struct quantizer_format *format,
                       double min, double max)
{
    struct range whole = {.min = fmin(min, 0.0), .max = fmax(max, 0.0)};
    bool two_ends = !format->symmetric && whole.min < 0.0 && whole.max > 0.0;
    if (format->symmetric) { /* one scale: the larger side decides where the search starts */
        double reach = fmax(-whole.min, whole.max);
        whole = (struct range){.min = -reach, .max = reach};
    }
    search->whole = whole;
    search->two_ends = two_ends;
    search->round = 0;
    search->step = 1.0 / (two_ends ? COARSE_TWO_ENDS : COARSE_ONE_END);
    search->best = whole;
    search->best_error = INFINITY;
    search->best_low = search->best_high = 1.0;
    search->count = 0;
}

static void add_candidate(struct range_search *search, double low_share, double high_share)
{
    int i = search->count++;
    search->low_shares[i] = low_share;
    search->high_shares[i] = high_share;
    search->candidates[i] = (struct range){
        .min = search->whole.min * low_share,
        .max = search->whole.max * high_share,
    };
}

static bool is_share(double share)
{
    const double least = 1e-6; /* zero but for rounding */
    return share > least && share <= 1.0;
}

/* points × points shares (or points, with one free end), downwards from the given ones. */
static void add_candidates(struct range_search *search, double low, double high, int points)
{
    search->count = 0;
    for (int i = 0; i < points; i++) {
        double high_share = high - search->step * i;
        if (!is_share(high_share))
            continue;
        if (!search->two_ends) {
            add_candidate(search, high_share, high_share);
            continue;
        }
        for (int j = 0; j < points; j++) {
            double low_share = low - search->step * j;
            if (is_share(low_share))
                add_candidate(search, low_share, high_share);
        }
    }
}

bool range_search_next(struct range_search *search)
{
    int round = search->round++;
    if (round == 0) {
        add_candidates(search, 1.0, 1.0, search->two_ends ? COARSE_TWO_ENDS : COARSE_ONE_END);
        return true;
    }
    if (round > REFINEMENTS)
        return false;
    double half_width = search->step; /* up to the neighbours that were tried already */
    search->step = 2.0 * half_width / (REFINE - 1);
    add_candidates(search, search->best_low + half_width, search->best_high + half_width, REFINE);
    return true;
}

void range_search_note(struct range_search *search, int candidate, double error)
{
    if (!(error < search->best_error))
        return;
    search->best_error = error;
    search->best = search->candidates[candidate];
    search->best_low = search->low_shares[candidate];
    search->best_high = search->high_shares[candidate];
}
