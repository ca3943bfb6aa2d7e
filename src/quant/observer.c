/* The registry of range observers, and the histogram that stands for a large tensor. */

#include "ptqd/quant/observer.h"

#include "ptqd/kern/statistics.h"

#include <math.h>
#include <string.h>

#define OBSERVER(name) extern const struct observer observer_##name;
#include "ptqd/quant/observers.def"
#undef OBSERVER

static const struct observer *const observers[] = {
#define OBSERVER(name) &observer_##name,
#include "ptqd/quant/observers.def"
#undef OBSERVER
    NULL,
};

const struct observer *const *observer_table(void)
{
    return observers;
}

const struct observer *observer_find(const char *name)
{
    for (const struct observer *const *row = observers; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return *row;
    return NULL;
}

bool observer_fit(const struct observer *observer, const struct observation *seen,
                  const struct observer_options *options, struct quantizer *quantizer,
                  int64_t channel, struct error *err)
{
    double min, max;
    if (!isfinite(seen->min) || !isfinite(seen->max))
        return FAIL(err, E_INVALID, "values from %g to %g were seen; a range needs finite values",
                    seen->min, seen->max);
    observer->range(seen, &quantizer->format, options, &min, &max);
    return quantizer_set_range(quantizer, channel, min, max, err);
}

void histogram_init(struct histogram *histogram, double min, double max)
{
    histogram->min = min;
    histogram->max = max;
    double width = (max - min) / HISTOGRAM_BINS;
    for (int bin = 0; bin < HISTOGRAM_BINS; bin++) {
        histogram->centres[bin] = (float)(min + width * (bin + 0.5));
        histogram->counts[bin] = 0.0;
    }
}

void histogram_add(struct histogram *histogram, const float *values, size_t count)
{
    double width = (histogram->max - histogram->min) / HISTOGRAM_BINS;
    double per_unit = width > 0.0 ? 1.0 / width : 0.0;
    const struct binning binning = {.min = histogram->min,
                                    .per_unit = per_unit,
                                    .bins = HISTOGRAM_BINS};
    count_bins_f32(values, count, &binning, histogram->counts);
}

struct observation histogram_observation(const struct histogram *histogram)
{
    return (struct observation){
        .values = histogram->centres,
        .weights = histogram->counts,
        .count = HISTOGRAM_BINS,
        .min = histogram->min,
        .max = histogram->max,
    };
}
