#pragma once

/* How well a graph does on data. */

#include "ptqd/recon/monitor.h"
#include "ptqd/recon/samples.h"

enum { EVALUATE_BATCH = 32 }; /* samples executed at once */

/* The network's output for all samples of a selection: [samples][elements of the output]; `coarse`
 * as in exec_options. */
bool evaluate_outputs(const struct graph *graph, bool coarse, const struct samples *samples,
                      const struct recon_monitor *monitor, struct arena *scratch,
                      float *out_outputs, struct error *err);

/* How the output of a sample is a class: of several values the largest is, a single one is class 1
 * above the threshold and class 0 below. */
struct evaluate_decision {
    int64_t elements; /* ≥ 1, of the output */
    float threshold;
};

/* What a single output is compared with: one half behind a Sigmoid, 0 otherwise. */
struct evaluate_decision evaluate_decision_of(const struct graph *graph);

int64_t evaluate_class(const struct evaluate_decision *decision, const float *values);

/* Share of the samples (≥ 1) whose class is the label. */
double evaluate_accuracy(const float *outputs, const struct evaluate_decision *decision,
                         const int64_t *labels, int64_t samples);

/* Share of the samples whose class is the same by both. */
double evaluate_agreement(const float *a, const float *b, const struct evaluate_decision *decision,
                          int64_t samples);

/* Mean Kullback-Leibler divergence of class probabilities from those of a reference, in nats. */
double evaluate_divergence(const float *reference, const float *values, int64_t elements,
                           int64_t samples);

/* Class probabilities from logits, in place. */
void evaluate_softmax(float *values, int64_t elements, int64_t samples);

/* Signal and noise of values that come in parts; zeroed before the first. */
struct evaluate_error {
    double signal, noise; /* Σ reference², Σ (reference − values)² */
};
void evaluate_add_error(struct evaluate_error *error, const float *reference, const float *values,
                        int64_t count);

/* 10 log10(signal / noise); infinite when all values were equal. */
double evaluate_error_db(const struct evaluate_error *error);

/* The same of values that are there at once. */
double evaluate_sqnr_db(const float *reference, const float *values, int64_t count);
