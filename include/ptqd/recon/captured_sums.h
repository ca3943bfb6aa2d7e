#pragma once

/* One pass over all captured values, in chunks of samples. `scratch` is left as it was found. */

#include "ptqd/quant/observer.h"
#include "ptqd/recon/captured.h"

/* Adds Σ reference² and Σ (reference − values)². */
bool captured_add_error(const struct captured *reference, const struct captured *values,
                        struct arena *scratch, double *signal, double *noise, struct error *err);

/* Adds Σ x and Σ x² of each channel, the last axis: sums and squares [K]. */
bool captured_add_channels(const struct captured *captured, int64_t K, struct arena *scratch,
                           double *sums, double *squares, struct error *err);

/* The smallest and the largest. Of values that are not finite the first one is `odd`, else 0. */
struct captured_extremes {
    double min, max;
    float odd;
};
struct captured_extremes extremes_of(const float *values, int64_t count); /* in memory */
bool captured_find_extremes(const struct captured *captured, struct arena *scratch,
                            struct captured_extremes *out_extremes, struct error *err);

bool captured_add_histogram(const struct captured *captured, struct arena *scratch,
                            struct histogram *histogram, struct error *err);

/* `count` values, evenly spread over all. */
bool captured_pick(const struct captured *captured, struct arena *scratch, int64_t count,
                   float *out_values, struct error *err);
