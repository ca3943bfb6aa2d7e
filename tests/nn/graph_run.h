#pragma once

/* Executing small graphs in tests. Errors fail the test. */

#include "ptqd/nn/graph.h"

/* Output of `samples` samples executed at once; in the arena. */
float *graph_run(struct arena *arena, const struct graph *graph, const float *input,
                 int64_t samples);

/* `count` values from −1 to 1, the same for the same seed. */
float *graph_run_values(struct arena *arena, int64_t count, uint64_t seed);

/* Number of nodes of a type. */
int graph_run_count(const struct graph *graph, const char *op_type);

/* Checks count values to an absolute tolerance, naming the first that differs. */
void graph_run_compare(const float *actual, const float *expected, int64_t count, double tolerance);
