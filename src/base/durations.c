#include "ptqd/base/durations.h"

const double durations_bounds[DURATIONS_BOUNDS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                   0.1,    0.25,  0.5,    1,     2.5,  5,     10};

void durations_add(struct durations *durations, int64_t us)
{
    if (us < 0)
        us = 0;
    size_t i = 0;
    while (i < DURATIONS_BOUNDS && (double)us > durations_bounds[i] * 1e6)
        i++;
    atomic_fetch_add(&durations->counts[i], 1);
    atomic_fetch_add(&durations->sum_us, (uint64_t)us);
}

struct durations_reading durations_read(struct durations *durations)
{
    struct durations_reading reading = {.sum_seconds =
                                            (double)atomic_load(&durations->sum_us) * 1e-6};
    uint64_t sum = 0;
    for (size_t i = 0; i <= DURATIONS_BOUNDS; i++) {
        sum += atomic_load(&durations->counts[i]);
        reading.up_to[i] = sum;
    }
    return reading;
}
