#include "ptqd/recon/distribution.h"

#include "ptqd/kern/statistics.h"
#include "ptqd/recon/captured_sums.h"

#include <math.h>

void distribution_of(const float *values, int64_t count, struct distribution *out)
{
    *out = (struct distribution){.low = NAN, .high = NAN};
    float low, high;
    if (count == 0 || !extremes_f32(values, (size_t)count, &low, &high))
        return;
    out->low = (double)low;
    out->high = (double)high;
    double width = (out->high - out->low) / DISTRIBUTION_BINS;
    const struct binning binning = {
        .min = out->low,
        .per_unit = width > 0.0 ? 1.0 / width : 0.0, /* all values are one: the first bin */
        .bins = DISTRIBUTION_BINS,
    };
    count_bins_f32(values, (size_t)count, &binning, out->counts);
}

bool distribution_of_captured(const struct captured *captured, struct arena *scratch,
                              struct distribution *out, struct error *err)
{
    struct arena_mark mark = arena_mark(scratch);
    int64_t all = captured->samples * captured->elements;
    int64_t count = all < DISTRIBUTION_SAMPLE ? all : DISTRIBUTION_SAMPLE;
    float *values = ARENA_ARRAY(scratch, float, count, err);
    bool done = values && captured_pick(captured, scratch, count, values, err);
    if (done)
        distribution_of(values, count, out);
    arena_reset(scratch, mark);
    return done;
}
