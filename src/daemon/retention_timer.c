#include "retention_timer.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <inttypes.h>

static const uint64_t every_ms = 10 * 60 * 1000;

static bool has_ended(void *context)
{
    struct retention_timer *timer = context;
    return atomic_load(&timer->ended);
}

static void tell_of_job(void *context, const char *job)
{
    struct retention_timer *timer = context;
    jobs_tell(timer->jobs, job);
}

static void do_work(uv_work_t *work)
{
    struct retention_timer *timer = work->data;
    struct retention_result result;
    struct error err = {.message = ""};
    const struct retention_caller caller = {has_ended, tell_of_job, timer};
    int64_t now_ms = clock_unix_ms();
    if (!retention_apply(timer->store, &timer->limits, now_ms, &caller, &result, &err))
        log_failure("daemon", "can't delete what is past its time", &err);
    else if (result.jobs + result.models + result.datasets > 0)
        log_write(LOG_INFO, "daemon",
                  "deleted what is past its time|jobs=%" PRId64 " models=%" PRId64
                  " datasets=%" PRId64,
                  result.jobs, result.models, result.datasets);
}

static void after_work(uv_work_t *work, int status)
{
    (void)status; /* it is never cancelled */
    struct retention_timer *timer = work->data;
    timer->working = false;
}

static void on_time(uv_timer_t *handle)
{
    struct retention_timer *timer = handle->data;
    if (timer->working)
        return;
    timer->working = uv_queue_work(handle->loop, &timer->work, do_work, after_work) == 0;
}

int retention_timer_start(struct retention_timer *timer, uv_loop_t *loop, struct store *store,
                          struct jobs *jobs, const struct retention_limits *limits)
{
    timer->store = store;
    timer->jobs = jobs;
    timer->limits = *limits;
    (void)uv_timer_init(loop, &timer->timer); /* can't fail */
    timer->timer.data = timer;
    timer->work.data = timer;
    if (limits->jobs_ms == 0 && limits->unused_ms == 0 && limits->bytes == 0)
        return 0;
    int status = uv_timer_start(&timer->timer, on_time, every_ms, every_ms);
    if (status == 0)
        on_time(&timer->timer);
    return status;
}

void retention_timer_end(struct retention_timer *timer)
{
    atomic_store(&timer->ended, true);
}
