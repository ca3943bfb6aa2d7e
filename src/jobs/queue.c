#include "queue.h"

#include "ptqd/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STACK_DEFAULT_BYTES = 8 << 20, OUTCOME_LIMIT_BYTES = 64 << 20 };

void queue_notify(struct jobs *jobs, const char *job)
{
    atomic_fetch_add(&jobs->changes, 1);
    change_count(&jobs->job_changes, change_place(job));
    uv_cond_broadcast(&jobs->changed);
    for (struct jobs_listener *listener = jobs->listeners; listener != NULL;
         listener = listener->next)
        listener->changed(listener->context, job);
}

void queue_wake(struct jobs *jobs)
{
    jobs->work++;
    uv_cond_broadcast(&jobs->claimable);
}

void jobs_wake(struct jobs *jobs)
{
    uv_mutex_lock(&jobs->mutex);
    queue_wake(jobs);
    uv_mutex_unlock(&jobs->mutex);
}

void jobs_tell(struct jobs *jobs, const char *job)
{
    uv_mutex_lock(&jobs->mutex);
    queue_notify(jobs, job);
    uv_mutex_unlock(&jobs->mutex);
}

/* ---- life ---- */

static bool recover(struct database *database, void *context, struct error *err)
{
    return run_row_recover(database, context, err);
}

static bool create_workers(struct jobs *jobs, struct error *err)
{
    int64_t count = jobs->options.workers;
    if (count == 0) { /* one for each core, as far as there may be so many */
        count = uv_available_parallelism();
        count = count < JOBS_WORKERS_MAX ? count : JOBS_WORKERS_MAX;
    }
    if (count < 1 || count > JOBS_WORKERS_MAX)
        return FAIL(err, E_INVALID, "%" PRId64 " workers; 1 to %d are supported", count,
                    (int)JOBS_WORKERS_MAX);
    jobs->workers = calloc((size_t)count, sizeof(*jobs->workers));
    jobs->paces = calloc((size_t)count, sizeof(*jobs->paces));
    if (jobs->workers == NULL || jobs->paces == NULL)
        return FAIL(err, E_MEMORY, "no memory for %" PRId64 " workers", count);
    jobs->worker_count = (size_t)count;
    for (size_t i = 0; i < jobs->worker_count; i++) {
        struct worker *worker = &jobs->workers[i];
        worker->jobs = jobs;
        (void)snprintf(worker->name, sizeof(worker->name), "worker-%zu", i + 1); /* fits */
        worker->arena = arena_create(OUTCOME_LIMIT_BYTES);
        if (worker->arena == NULL)
            return FAIL(err, E_MEMORY, "no memory for worker %zu of %" PRId64, i + 1, count);
    }
    return true;
}

static bool create_locks(struct jobs *jobs, struct error *err)
{
    if (uv_mutex_init(&jobs->mutex) != 0)
        goto no_mutex;
    if (uv_cond_init(&jobs->claimable) != 0)
        goto no_claimable;
    if (uv_cond_init(&jobs->answered) != 0)
        goto no_answered;
    if (uv_cond_init(&jobs->changed) != 0)
        goto no_changed;
    return true;

no_changed:
    uv_cond_destroy(&jobs->answered);
no_answered:
    uv_cond_destroy(&jobs->claimable);
no_claimable:
    uv_mutex_destroy(&jobs->mutex);
no_mutex:
    return FAIL(err, E_MEMORY, "the system has no more locks");
}

bool jobs_create(struct store *store, const struct jobs_options *options, struct jobs **out_jobs,
                 struct error *err)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (jobs == NULL)
        return FAIL(err, E_MEMORY, "no memory for the queue");
    jobs->store = store;
    jobs->options = *options;
    atomic_init(&jobs->changes, 0);
    if (!create_locks(jobs, err)) {
        free(jobs);
        return false;
    }
    struct run_recovery recovery;
    if (!create_workers(jobs, err) || !store_write_now(store, recover, &recovery, err)) {
        jobs_destroy(jobs);
        return false;
    }
    if (recovery.queued + recovery.failed + recovery.cancelled > 0)
        log_write(LOG_WARN, "jobs",
                  "runs were running when the daemon died|queued=%" PRId64 " failed=%" PRId64
                  " cancelled=%" PRId64,
                  recovery.queued, recovery.failed, recovery.cancelled);
    *out_jobs = jobs;
    return true;
}

bool jobs_start(struct jobs *jobs, struct error *err)
{
    size_t stack = jobs->options.stack_bytes == 0 ? STACK_DEFAULT_BYTES : jobs->options.stack_bytes;
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = stack};
    while (jobs->started_count < jobs->worker_count) {
        struct worker *worker = &jobs->workers[jobs->started_count];
        int status = uv_thread_create_ex(&worker->thread, &options, worker_run, worker);
        if (status != 0) {
            FAIL(err, E_UNAVAILABLE, "the system refuses thread %zu of %zu: %s",
                 jobs->started_count + 1, jobs->worker_count, uv_strerror(status));
            jobs_stop(jobs);
            return false;
        }
        jobs->started_count++;
    }
    return true;
}

void jobs_drain(struct jobs *jobs)
{
    uv_mutex_lock(&jobs->mutex);
    jobs->stopping = true;
    uv_cond_broadcast(&jobs->claimable);
    uv_mutex_unlock(&jobs->mutex);
}

void jobs_stop(struct jobs *jobs)
{
    jobs_drain(jobs);
    for (; jobs->started_count > 0; jobs->started_count--) {
        struct worker *worker = &jobs->workers[jobs->started_count - 1];
        (void)uv_thread_join(&worker->thread); /* fails for a thread that isn't ours only */
    }
    jobs->stopping = false; /* nobody is left to read it */
}

void jobs_destroy(struct jobs *jobs)
{
    if (jobs == NULL)
        return;
    jobs_stop(jobs);
    for (size_t i = 0; i < jobs->worker_count; i++)
        arena_destroy(jobs->workers[i].arena);
    free(jobs->workers);
    free(jobs->paces);
    uv_cond_destroy(&jobs->changed);
    uv_cond_destroy(&jobs->answered);
    uv_cond_destroy(&jobs->claimable);
    uv_mutex_destroy(&jobs->mutex);
    free(jobs);
}

struct jobs_load jobs_load(struct jobs *jobs)
{
    struct jobs_load load = {.workers = (int64_t)jobs->worker_count};
    uv_mutex_lock(&jobs->mutex);
    for (size_t i = 0; i < jobs->worker_count; i++)
        load.busy += jobs->workers[i].busy;
    uv_mutex_unlock(&jobs->mutex);
    return load;
}

/* ---- listening ---- */

void jobs_listen(struct jobs *jobs, struct jobs_listener *listener)
{
    uv_mutex_lock(&jobs->mutex);
    listener->next = jobs->listeners;
    jobs->listeners = listener;
    uv_mutex_unlock(&jobs->mutex);
}

void jobs_unlisten(struct jobs *jobs, struct jobs_listener *listener)
{
    uv_mutex_lock(&jobs->mutex);
    struct jobs_listener **link = &jobs->listeners;
    while (*link != NULL && *link != listener)
        link = &(*link)->next;
    if (*link != NULL)
        *link = listener->next;
    uv_mutex_unlock(&jobs->mutex);
}

uint64_t jobs_changes(struct jobs *jobs)
{
    return atomic_load(&jobs->changes);
}

uint64_t jobs_job_changes(const struct jobs *jobs, const char *job)
{
    return change_read(&jobs->job_changes, job);
}

uint64_t jobs_wait_change(struct jobs *jobs, uint64_t seen, int64_t timeout_ms)
{
    uint64_t deadline_ns = uv_hrtime() + (uint64_t)timeout_ms * 1000000;
    uv_mutex_lock(&jobs->mutex);
    for (uint64_t now_ns;
         atomic_load(&jobs->changes) == seen && (now_ns = uv_hrtime()) < deadline_ns;) {
        /* Woken or out of time: the loop looks. */
        (void)uv_cond_timedwait(&jobs->changed, &jobs->mutex, deadline_ns - now_ns);
    }
    uv_mutex_unlock(&jobs->mutex);
    return atomic_load(&jobs->changes);
}
