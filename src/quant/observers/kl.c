/* The clipping range with the smallest divergence between the distribution of the values and what
 * the quantizer keeps of it: the entropy calibration of TensorRT (Migacz, "8-bit Inference with
 * TensorRT", GTC 2017) as in MXNet, with the levels of any width and format.
 *
 * The values are counted in narrow bins. Of a candidate range, with a cell of one step round every
 * level of the grid:
 *
 *     P   the bins within the cells, what is outside added to the outermost ones
 *     Q   the count of every cell without what is outside, spread evenly over the bins of the cell
 *         that are not empty
 *
 * and the range with the smallest KL(P/|P| ‖ Q/|Q|) wins. Clipping costs where P piles up at an end
 * that Q knows nothing of, wide cells cost by the shape that they level out. With running sums over
 * the bins a candidate costs one logarithm per level.
 *
 * A cell is at least one bin wide, or it would have no shape to lose; that is where the published
 * search over 2048 bins starts, too.
 *
 * Where it differs: cells are those of the quantizer, where the published code cuts the range of
 * one sign into 128 equal parts, so both ends can be found (quant/range_search.h), and every width
 * has its number of levels. Zero is on every grid, so the bin that holds it, which behind a Relu
 * has half of all values, gets the count of its neighbours (as bin 0 in NVIDIA's
 * pytorch-quantization). Few values get fewer bins: single counts have no shape either.
 */

#include "ptqd/quant/observer.h"
#include "ptqd/quant/range_search.h"

#include <math.h>

enum {
    BINS_MAX = 2048,    /* TensorRT's */
    VALUES_PER_BIN = 8, /* on the mean; a count is then known to a third */
    BINS_PER_LEVEL = 2, /* at least: with one there is no shape within a cell */
};

/* What Q has where P has nothing but clipped values (MXNet's smoothing), as a count. */
static const double Q_LEAST = 1e-4;

/* What differs by less is equal: the order of the sums must not decide. */
static const double DIVERGENCE_STEP = 1e-9;

/* Running sums: element i is of the bins 0 … i − 1. */
struct bins {
    double min, width;
    int count;
    double values[BINS_MAX + 1];
    double occupied[BINS_MAX + 1]; /* bins that are not empty */
    double n_log_n[BINS_MAX + 1];
};

static double n_log_n(double n)
{
    return n > 0.0 ? n * log(n) : 0.0;
}

static int bin_at(const struct bins *bins, double x)
{
    double place = (x - bins->min) / bins->width;
    return place > 0.0 ? (int)fmin(place, bins->count - 1) : 0;
}

static double total_of(const struct observation *seen)
{
    double total = 0.0;
    for (size_t i = 0; i < seen->count; i++)
        total += seen->weights ? seen->weights[i] : 1.0;
    return total;
}

/* The bin of zero is as full as the bins beside it are on the mean. */
static void level_zero(struct bins *bins, double *counts)
{
    int zero = bin_at(bins, 0.0);
    double below = zero > 0 ? counts[zero - 1] : counts[zero + 1];
    double above = zero + 1 < bins->count ? counts[zero + 1] : below;
    counts[zero] = 0.5 * (below + above);
}

static void bins_fill(struct bins *bins, const struct observation *seen, const struct range *whole,
                      int levels)
{
    double wanted = fmax(total_of(seen) / VALUES_PER_BIN, BINS_PER_LEVEL * levels);
    bins->count = (int)fmin(wanted, BINS_MAX);
    bins->min = whole->min;
    bins->width = (whole->max - whole->min) / bins->count;
    double counts[BINS_MAX] = {0.0};
    for (size_t i = 0; i < seen->count; i++)
        counts[bin_at(bins, (double)seen->values[i])] += seen->weights ? seen->weights[i] : 1.0;
    level_zero(bins, counts);
    bins->values[0] = bins->occupied[0] = bins->n_log_n[0] = 0.0;
    for (int i = 0; i < bins->count; i++) {
        bins->values[i + 1] = bins->values[i] + counts[i];
        bins->occupied[i + 1] = bins->occupied[i] + (counts[i] > 0.0 ? 1.0 : 0.0);
        bins->n_log_n[i + 1] = bins->n_log_n[i] + n_log_n(counts[i]);
    }
}

/* The first bin whose centre is not below x. */
static int bin_from(const struct bins *bins, double x)
{
    double place = ceil((x - bins->min) / bins->width - 0.5);
    return (int)fmin(fmax(place, 0.0), bins->count);
}

/* How many values are outside the cells, and the bins that they are added to. */
struct clipped {
    int low_end, high_end;
    double below, above;
};

/* Σ p log (p / q) over the bins first … last − 1, which are one cell. */
static double cell_divergence(const struct bins *bins, int first, int last,
                              const struct clipped *clipped)
{
    double kept = bins->values[last] - bins->values[first];
    double wanted = kept, occupied = bins->occupied[last] - bins->occupied[first];
    double sum = bins->n_log_n[last] - bins->n_log_n[first];
    const int ends[] = {clipped->low_end, clipped->high_end};
    const double added[] = {clipped->below, clipped->above};
    for (int i = 0; i < 2; i++) {
        if (!(added[i] > 0.0) || ends[i] < first || ends[i] >= last)
            continue;
        double count = bins->values[ends[i] + 1] - bins->values[ends[i]];
        sum += n_log_n(count + added[i]) - n_log_n(count);
        wanted += added[i];
        occupied += count > 0.0 ? 0.0 : 1.0;
    }
    if (!(wanted > 0.0))
        return 0.0;
    return sum - wanted * log(kept > 0.0 ? kept / occupied : Q_LEAST);
}

static double divergence(const struct bins *bins, const struct range_grid *grid)
{
    if (grid->scale < bins->width)
        return INFINITY;
    double lowest = (grid->low - grid->zero_point) * grid->scale;
    int levels = (int)(grid->high - grid->low) + 1;
    int first = bin_from(bins, lowest - 0.5 * grid->scale);
    int last = bin_from(bins, lowest + (levels - 0.5) * grid->scale);
    double total = bins->values[bins->count], kept = bins->values[last] - bins->values[first];
    if (!(kept > 0.0))
        return INFINITY;
    struct clipped clipped = {
        .low_end = first,
        .high_end = last - 1,
        .below = bins->values[first],
        .above = total - bins->values[last],
    };
    double sum = 0.0;
    int from = first;
    for (int level = 0; level < levels; level++) {
        int to = bin_from(bins, lowest + (level + 0.5) * grid->scale);
        sum += cell_divergence(bins, from, to, &clipped);
        from = to;
    }
    return DIVERGENCE_STEP * rint((sum / total - log(total / kept)) / DIVERGENCE_STEP);
}

static void kl_range(const struct observation *seen, const struct quantizer_format *format,
                     const struct observer_options *options, double *out_min, double *out_max)
{
    (void)options; /* it has none */
    struct range_search search;
    range_search_init(&search, format, seen->min, seen->max);
    *out_min = search.whole.min;
    *out_max = search.whole.max;
    if (!(search.whole.max > search.whole.min))
        return;
    struct bins bins;
    bins_fill(&bins, seen, &search.whole, 1 << format->bits);
    while (range_search_next(&search))
        for (int i = 0; i < search.count; i++) {
            struct range_grid grid = range_grid_of(format, &search.candidates[i]);
            range_search_note(&search, i, divergence(&bins, &grid));
        }
    *out_min = search.best.min;
    *out_max = search.best.max;
}

const struct observer observer_kl = {
    .name = "kl",
    .help = "The clipping range that keeps most of the distribution of the values (entropy "
            "calibration).",
    .range = kl_range,
};
