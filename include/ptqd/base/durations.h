#pragma once

/* Counts of durations by size, to be added to from any thread. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { DURATIONS_BOUNDS = 14 };

/* Upper bounds in seconds, ascending: 0.5 ms to 10 s. */
extern const double durations_bounds[DURATIONS_BOUNDS];

/* Zeroed before its first use. */
struct durations {
    atomic_uint_least64_t counts[DURATIONS_BOUNDS + 1]; /* the last: above every bound */
    atomic_uint_least64_t sum_us;
};

/* A duration in microseconds; a negative one counts as 0. */
void durations_add(struct durations *durations, int64_t us);

struct durations_reading {
    uint64_t up_to[DURATIONS_BOUNDS + 1]; /* durations of at most each bound, then all */
    double sum_seconds;
};
struct durations_reading durations_read(struct durations *durations);
