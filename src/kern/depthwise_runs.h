#pragma once

/* One axis of a depthwise pass that gathers: each place of the output is a sum over taps of places
 * of the input. Places that see the same taps follow one another in runs: the inner of the map, and
 * what is so near to an end that taps fall on the padding. The pass forwards goes from x to y; the
 * gradient to the data goes from grad_y to grad_x, where with a stride only every stride-th place
 * sees the same taps. */

#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct depthwise_axis {
    int64_t x, y; /* extents of the maps */
    int64_t taps, stride, dilation, pad_before;
};

/* Places out, out + step, … of the output; `step` as all runs of an axis have it. */
struct depthwise_run {
    int64_t out, count;
    int64_t tap, taps; /* the first tap that they see, and how many; 0: only padding */
    int64_t in;        /* where the first place sees its first tap */
};

struct depthwise_runs {
    int64_t out_step, in_step; /* from one place of a run to the next */
    int64_t tap_step;          /* from one tap that a place sees to the next … */
    int64_t tap_in_step;       /* … and where that is in the input */
    int64_t count;
    struct depthwise_run *run;
};

/* Runs in order, none of which leaves a band of `band` places of the output. E_MEMORY. */
bool depthwise_runs_forward(const struct depthwise_axis *axis, int64_t band,
                            struct depthwise_runs *out, struct error *err);
bool depthwise_runs_grad_x(const struct depthwise_axis *axis, int64_t band,
                           struct depthwise_runs *out, struct error *err);
void depthwise_runs_finish(struct depthwise_runs *runs);
