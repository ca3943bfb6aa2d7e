/* What users ask of the queue. The database changes first; only when that is on disk does the queue
 * act on it, on the writer thread. Answers come in the order of the writes, so a cancellation that
 * was written after a claim finds the claimed run at its worker. */

#include "queue.h"

#include "ptqd/store/queue_row.h"

#include <stdio.h>
#include <string.h>

/* With the mutex held: tells the workers of the job to end. */
static void cancel_running(struct jobs *jobs, const char *job)
{
    for (size_t i = 0; i < jobs->worker_count; i++) {
        struct worker *worker = &jobs->workers[i];
        if (worker->busy && strcmp(worker->job, job) == 0)
            worker->cancelled = true;
    }
}

/* With the mutex held: workers of the job, or ("") all, give back what they run. */
static void give_back(struct jobs *jobs, const char *job)
{
    for (size_t i = 0; i < jobs->worker_count; i++) {
        struct worker *worker = &jobs->workers[i];
        if (worker->busy && (job[0] == '\0' || strcmp(worker->job, job) == 0))
            worker->paused = true;
    }
}

/* With the mutex held: what the change means for the workers. */
static void take_effect(struct jobs *jobs, const struct jobs_change *change)
{
    switch (change->kind) {
    case JOBS_SUBMIT:
    case JOBS_RETRY:
    case JOBS_RESUME:
    case JOBS_RESUME_ALL:
        queue_wake(jobs);
        break;
    case JOBS_PAUSE:
    case JOBS_PAUSE_ALL:
        if (change->now)
            give_back(jobs, change->job);
        break;
    case JOBS_CANCEL:
        cancel_running(jobs, change->job);
        break;
    case JOBS_PATCH:
    case JOBS_DELETE:
        break;
    }
    queue_notify(jobs, change->job);
}

static void answer(void *context, const struct error *failure)
{
    struct jobs_change *change = context;
    struct jobs *jobs = change->jobs;
    const struct jobs_executor *executor = &jobs->options.executor;
    void (*done)(void *, const struct error *) = change->done;

    if (failure == NULL && change->kind == JOBS_CANCEL && executor->discard_job != NULL)
        executor->discard_job(executor->context, change->job);
    uv_mutex_lock(&jobs->mutex);
    if (failure == NULL)
        take_effect(jobs, change);
    if (done == NULL) {
        change->failed = failure != NULL;
        if (failure != NULL)
            change->error = *failure;
        change->answered = true;
        uv_cond_broadcast(&jobs->answered);
    }
    uv_mutex_unlock(&jobs->mutex);
    if (done != NULL)
        done(change->context, failure); /* the change may be gone after this */
}

static bool submit(struct database *database, struct jobs_change *change, struct error *err)
{
    if (!job_row_insert(database, change->insert, &change->inserted, err))
        return false;
    memcpy(change->job, change->inserted.id, sizeof(change->job));
    return true;
}

static bool apply(struct database *database, void *context, struct error *err)
{
    struct jobs_change *change = context;
    switch (change->kind) {
    case JOBS_SUBMIT:
        return submit(database, change, err);
    case JOBS_CANCEL:
        return job_row_cancel(database, change->job, &change->runs, err);
    case JOBS_RETRY:
        return job_row_retry(database, change->job, &change->runs, err);
    case JOBS_PAUSE:
    case JOBS_RESUME:
        return job_row_pause(database, change->job, change->kind == JOBS_PAUSE, &change->runs, err);
    case JOBS_PAUSE_ALL:
    case JOBS_RESUME_ALL:
        return queue_row_pause(database, change->kind == JOBS_PAUSE_ALL, err);
    case JOBS_PATCH:
        return job_row_patch(database, change->job, change->patch, err);
    case JOBS_DELETE:
        return job_row_delete(database, change->job, err);
    }
    return FAIL(err, E_INTERNAL, "there is no change of kind %d", (int)change->kind);
}

static void ask(struct jobs *jobs, enum jobs_change_kind kind, struct jobs_change *change)
{
    change->jobs = jobs;
    change->kind = kind;
    change->failed = change->answered = false;
    change->runs = 0;
    change->write = (struct store_write){.apply = apply, .done = answer, .context = change};
    store_submit(jobs->store, &change->write);
}

/* A change of a job that is there, or of all (""). */
static void ask_of(struct jobs *jobs, enum jobs_change_kind kind, const char *job,
                   struct jobs_change *change)
{
    /* What is longer than any id is cut, and then is the id of nothing. */
    (void)snprintf(change->job, sizeof(change->job), "%s", job);
    ask(jobs, kind, change);
}

void jobs_submit(struct jobs *jobs, const struct job_insert *insert, struct jobs_change *change)
{
    change->insert = insert;
    change->job[0] = '\0';
    ask(jobs, JOBS_SUBMIT, change);
}

void jobs_cancel(struct jobs *jobs, const char *job, struct jobs_change *change)
{
    ask_of(jobs, JOBS_CANCEL, job, change);
}

void jobs_retry(struct jobs *jobs, const char *job, struct jobs_change *change)
{
    ask_of(jobs, JOBS_RETRY, job, change);
}

void jobs_pause(struct jobs *jobs, const char *job, struct jobs_change *change)
{
    ask_of(jobs, JOBS_PAUSE, job, change);
}

void jobs_resume(struct jobs *jobs, const char *job, struct jobs_change *change)
{
    ask_of(jobs, JOBS_RESUME, job, change);
}

void jobs_pause_all(struct jobs *jobs, struct jobs_change *change)
{
    ask_of(jobs, JOBS_PAUSE_ALL, "", change);
}

void jobs_resume_all(struct jobs *jobs, struct jobs_change *change)
{
    ask_of(jobs, JOBS_RESUME_ALL, "", change);
}

void jobs_patch(struct jobs *jobs, const char *job, const struct job_patch *patch,
                struct jobs_change *change)
{
    change->patch = patch;
    ask_of(jobs, JOBS_PATCH, job, change);
}

void jobs_delete(struct jobs *jobs, const char *job, struct jobs_change *change)
{
    ask_of(jobs, JOBS_DELETE, job, change);
}

bool jobs_wait(struct jobs_change *change, struct error *err)
{
    struct jobs *jobs = change->jobs;
    uv_mutex_lock(&jobs->mutex);
    while (!change->answered)
        uv_cond_wait(&jobs->answered, &jobs->mutex);
    uv_mutex_unlock(&jobs->mutex);
    if (change->failed && err != NULL)
        *err = change->error;
    return !change->failed;
}
