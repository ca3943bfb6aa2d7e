#pragma once

/* What the benchmarks share. They print records: lines of fields with tabs in between, the first
 * says what kind it is. bench.awk has them all, and makes the tables.
 *
 * Time is CPU time of the thread: the machine may have other work. The best of several runs is
 * given, for the same reason. With PTQD_TEST_SHORT there is one run behind the one to
 * warm up. */

#include "ptqd/base/error.h"

#include <stdbool.h>

/* CPU seconds of this thread so far. */
double measure_now(void);

/* Seconds of the fastest call, behind one to warm up. */
typedef bool (*measure_work)(void *context, struct error *err);
bool measure_best(measure_work work, void *context, double *out_seconds, struct error *err);

/* Whether a benchmark takes the network: when its name contains what was asked for, or nothing was
 * asked for (NULL). With PTQD_TEST_SHORT a small one is enough. */
bool measure_wants(const char *network, const char *asked);

/* Prints the error of a benchmark; its exit status. */
int measure_failed(const char *program, const char *subject, const struct error *err);
