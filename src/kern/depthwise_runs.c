/* Runs of places of one axis (depthwise_runs.h). */

#include "depthwise_runs.h"

#include "sizes.h"

#include <stdlib.h>

/* What one place sees: a run of one. Taps that a place sees are `tap_step` apart. */
typedef struct depthwise_run see_function(const struct depthwise_axis *axis, int64_t out);

static struct depthwise_run see_forward(const struct depthwise_axis *axis, int64_t out)
{
    struct depthwise_run run = {.out = out, .count = 1};
    for (int64_t tap = 0; tap < axis->taps; tap++) {
        int64_t in = out * axis->stride - axis->pad_before + tap * axis->dilation;
        if (in < 0 || in >= axis->x)
            continue;
        if (run.taps++ == 0) {
            run.tap = tap;
            run.in = in;
        }
    }
    return run;
}

static struct depthwise_run see_grad_x(const struct depthwise_axis *axis, int64_t out)
{
    struct depthwise_run run = {.out = out, .count = 1};
    for (int64_t tap = 0; tap < axis->taps; tap++) {
        int64_t far = out + axis->pad_before - tap * axis->dilation, in = far / axis->stride;
        if (far < 0 || far % axis->stride != 0 || in >= axis->y)
            continue;
        if (run.taps++ == 0) {
            run.tap = tap;
            run.in = in;
        }
    }
    return run;
}

/* Appends the runs of one phase of a band to those that are there. */
static void add_runs(const struct depthwise_axis *axis, see_function see, int64_t begin,
                     int64_t end, struct depthwise_runs *runs)
{
    struct depthwise_run *last = NULL;
    for (int64_t out = begin; out < end; out += runs->out_step) {
        struct depthwise_run run = see(axis, out);
        if (last != NULL && last->taps == run.taps && last->tap == run.tap) {
            last->count++;
        } else {
            last = &runs->run[runs->count++];
            *last = run;
        }
    }
}

static bool create_runs(const struct depthwise_axis *axis, see_function see, int64_t extent,
                        int64_t band, struct depthwise_runs *runs, struct error *err)
{
    runs->run = calloc((size_t)extent, sizeof(*runs->run));
    if (runs->run == NULL)
        return FAIL(err, E_MEMORY, "no memory for %lld runs of places", (long long)extent);
    for (int64_t begin = 0; begin < extent; begin += band) {
        int64_t end = least(begin + band, extent), phases = least(runs->out_step, end - begin);
        for (int64_t phase = 0; phase < phases; phase++)
            add_runs(axis, see, begin + phase, end, runs);
    }
    return true;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool depthwise_runs_forward(const struct depthwise_axis *axis, int64_t band,
                            struct depthwise_runs *out, struct error *err)
{
    *out = (struct depthwise_runs){
        .out_step = 1,
        .in_step = axis->stride,
        .tap_step = 1,
        .tap_in_step = axis->dilation,
    };
    return create_runs(axis, see_forward, axis->y, band, out, err);
}

bool depthwise_runs_grad_x(const struct depthwise_axis *axis, int64_t band,
                           struct depthwise_runs *out, struct error *err)
{
    int64_t divisor = common_divisor(axis->stride, axis->dilation);
    *out = (struct depthwise_runs){
        .out_step = axis->stride,
        .in_step = 1,
        .tap_step = axis->stride / divisor,
        .tap_in_step = -(axis->dilation / divisor),
    };
    return create_runs(axis, see_grad_x, axis->x, band, out, err);
}

void depthwise_runs_finish(struct depthwise_runs *runs)
{
    free(runs->run);
    *runs = (struct depthwise_runs){0};
}
