#pragma once

/* The search for the best clipping range: which ranges are tried, whatever measures their error.
 *
 * A grid over both ends, coarse first, then twice refined round the best. A one-sided or symmetric
 * range has one free end and takes some 120 candidates, a two-sided one some 740. They come in
 * rounds, so that all of a round can be measured at once:
 *
 *     range_search_init(&search, format, min, max);
 *     while (range_search_next(&search))
 *         for (int i = 0; i < search.count; i++)
 *             range_search_note(&search, i, error of search.candidates[i]);
 *     // the range is search.best
 */

#include "ptqd/quant/quantizer.h"

struct range {
    double min, max; /* min ≤ 0 ≤ max */
};

enum { RANGE_CANDIDATES_MAX = 24 * 24 };

struct range_search {
    struct range whole; /* what was seen, with zero; as far on both sides when symmetric */
    bool two_ends;
    int round;         /* rounds begun */
    double step;       /* between candidates, as a share of the whole range */
    struct range best; /* the whole range until a candidate has a finite error */
    double best_error;
    double best_low, best_high; /* shares of the whole range */
    int count;                  /* candidates of this round, widest first */
    struct range candidates[RANGE_CANDIDATES_MAX];
    double low_shares[RANGE_CANDIDATES_MAX], high_shares[RANGE_CANDIDATES_MAX];
};

/* For values from `min` to `max`. */
void range_search_init(struct range_search *search, const struct quantizer_format *format,
                       double min, double max);

/* Makes the candidates of the next round; false when there is none. */
bool range_search_next(struct range_search *search);

/* The error of a candidate of this round; of equals the first one stays. */
void range_search_note(struct range_search *search, int candidate, double error);

/* The grid that quantizer_set_range makes of a range, in float64: scale · (n − z) … (p − z). A
 * range of zero alone has scale 0. */
struct range_grid {
    double low, high; /* n, p */
    double scale, zero_point;
};
struct range_grid range_grid_of(const struct quantizer_format *format, const struct range *range);
