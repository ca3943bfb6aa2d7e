/* Progress and time of a run. */

#include "ptqd/flow/progress.h"

#include "ptqd/base/clock.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    double share; /* relative, as measured on the networks of the study at W4A4 */
} steps[STEP_COUNT] = {
    [STEP_PREPARE] = {"prepare", 0.01},   [STEP_RECONSTRUCT] = {"reconstruct", 0.60},
    [STEP_TRAIN] = {"train", 6.00},       [STEP_TUNE] = {"tune", 0.70},
    [STEP_EVALUATE] = {"evaluate", 0.20}, [STEP_SENSITIVITY] = {"sensitivity", 0.20},
    [STEP_EXPORT] = {"export", 0.01},
};

/* Of "reconstruct" where nothing is solved: both networks on the samples, and ranges. */
static const double WALK_SHARE = 0.20;

static const double REPORT_INTERVAL_S = 0.05;

static double share_of(const struct progress *progress, enum run_step_id step)
{
    if (progress->skipped[step])
        return 0.0;
    return step == STEP_RECONSTRUCT && progress->walks_only ? WALK_SHARE : steps[step].share;
}

/* Share of the steps before `step`, and of all, without the skipped ones. */
static double share_before(const struct progress *progress, enum run_step_id step)
{
    double before = 0.0, all = 0.0;
    for (int i = 0; i < STEP_COUNT; i++) {
        double share = share_of(progress, (enum run_step_id)i);
        before += i < (int)step ? share : 0.0;
        all += share;
    }
    return before / all;
}

static bool tell(struct progress *progress, double unit_fraction, double loss)
{
    const struct run_monitor *listener = progress->listener;
    struct run_progress *state = &progress->state;
    double begin = share_before(progress, progress->step);
    double end = progress->step + 1 < STEP_COUNT
                     ? share_before(progress, (enum run_step_id)(progress->step + 1))
                     : 1.0;
    double done = state->units > 0 ? (fmax(state->unit - 1, 0) + unit_fraction) / state->units
                                   : unit_fraction;
    state->fraction = fmax(state->fraction, begin + (end - begin) * fmin(done, 1.0));
    if (!isnan(loss))
        state->loss = loss;
    progress->last_report = clock_seconds();
    return !listener->report || listener->report(listener->context, state);
}

static bool monitor_report(void *context, double fraction, double loss)
{
    struct progress *progress = context;
    if (clock_seconds() - progress->last_report < REPORT_INTERVAL_S)
        return true;
    return tell(progress, fraction, loss);
}

static void monitor_record(void *context, int64_t iteration, double loss)
{
    const struct progress *progress = context;
    if (progress->losses && progress->curve >= 0)
        losses_add(progress->losses, progress->curve, iteration, loss);
}

void progress_init(struct progress *progress, const struct run_monitor *listener,
                   struct run_result *result)
{
    *progress = (struct progress){
        .listener = listener,
        .state = {.step = steps[0].name, .unit_name = "", .loss = NAN},
        .result = result,
        .monitor = {.report = monitor_report, .record = monitor_record},
        .curve = -1,
    };
    progress->monitor.context = progress;
    progress->started = clock_seconds();
}

double progress_account(struct progress *progress, const char *name, double since)
{
    struct run_result *result = progress->result;
    double now = clock_seconds();
    int row = 0;
    while (row < result->step_count && strcmp(result->steps[row].name, name) != 0)
        row++;
    if (row == RUN_STEPS_MAX)
        return now;
    if (row == result->step_count) {
        result->steps[row].name = name;
        result->step_count++;
    }
    result->steps[row].seconds += now - since;
    return now;
}

bool progress_step(struct progress *progress, enum run_step_id step, int units, struct error *err)
{
    progress->step = step;
    progress->curve = -1;
    progress->state.step = steps[step].name;
    progress->state.unit = 0;
    progress->state.units = units;
    progress->state.unit_name = "";
    progress->state.loss = NAN;
    if (!tell(progress, 0.0, NAN))
        return FAIL(err, E_CANCELLED, "stopped on request");
    return true;
}

const char *progress_step_name(enum run_step_id step)
{
    return steps[step].name;
}

bool progress_unit(struct progress *progress, int unit, const char *name, struct error *err)
{
    progress->state.unit = unit;
    progress->state.unit_name = name;
    progress->state.loss = NAN;
    if (!tell(progress, 0.0, NAN))
        return FAIL(err, E_CANCELLED, "stopped on request");
    return true;
}

void progress_curve(struct progress *progress, int curve)
{
    progress->curve = curve;
}

void progress_finish(struct progress *progress)
{
    progress->result->seconds = clock_seconds() - progress->started;
    progress->state.fraction = 1.0;
}
