#pragma once

/* Range observers: from the values of a tensor to the clipping range of its quantizer.
 * One file in quant/observers/ and one row in observers.def each. */

#include "ptqd/quant/quantizer.h"

/* What was seen: values, each counted `weights[i]` times (NULL: once). Large tensors come as the
 * centres and counts of a histogram. */
struct observation {
    const float *values;
    const double *weights;
    size_t count;
    double min, max; /* exact, of the values behind the observation */
    /* Where the values are added to others and a Relu follows: the others, [count]. Errors that the
     * Relu hides do not count then. NULL: every error counts. */
    const float *addends;
};

/* What observers can be told; may be NULL for those that have no option. */
struct observer_options {
    double percentile; /* of the values up to the upper end, and down to the lower one: 50 to 100 */
};

struct observer {
    const char *name; /* "minmax" */
    const char *help; /* one sentence */
    /* Clipping range for a format; writes a range that contains zero. */
    void (*range)(const struct observation *seen, const struct quantizer_format *format,
                  const struct observer_options *options, double *out_min, double *out_max);
};

/* How the range of a quantizer is to be found, by whoever fits it. */
struct range_choice {
    const struct observer *observer; /* NULL: by the error of the layer's output */
    struct observer_options options;
};

/* Rows of observers.def, NULL-terminated. */
const struct observer *const *observer_table(void);
const struct observer *observer_find(const char *name);

/* Fits one channel of the quantizer to the observation. */
bool observer_fit(const struct observer *observer, const struct observation *seen,
                  const struct observer_options *options, struct quantizer *quantizer,
                  int64_t channel, struct error *err);

/* A histogram that stands for a large tensor. */
enum { HISTOGRAM_BINS = 4096 };

struct histogram {
    double min, max; /* exact range; the bins divide it evenly */
    float centres[HISTOGRAM_BINS];
    double counts[HISTOGRAM_BINS];
};

/* Sets the range and clears the counts. */
void histogram_init(struct histogram *histogram, double min, double max);
void histogram_add(struct histogram *histogram, const float *values, size_t count);
struct observation histogram_observation(const struct histogram *histogram);
