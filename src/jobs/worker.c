#include "worker.h"

#include "queue.h"

#include "ptqd/base/log.h"
#include "ptqd/base/priority.h"
#include "ptqd/store/blob.h"
#include "ptqd/store/run_log_row.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* How long a worker waits before it asks again for what the store refused (a full disk). */
static const uint64_t patience_ns = UINT64_C(1000000000);

/* ---- claiming ---- */

static bool apply_claim(struct database *database, void *context, struct error *err)
{
    struct worker *worker = context;
    struct jobs *jobs = worker->jobs;
    uv_mutex_lock(&jobs->mutex);
    bool stopping = jobs->stopping;
    uv_mutex_unlock(&jobs->mutex);
    worker->found = false; /* the group may be applied again, after a claim that was taken back */
    if (stopping)
        return true; /* as if there were none */
    return run_row_claim(database, worker->name, worker->arena, &worker->run_row, &worker->job_row,
                         &worker->found, err);
}

/* On the writer thread: from here on a cancellation finds the run. */
static void claim_answered(void *context, const struct error *failure)
{
    struct worker *worker = context;
    struct jobs *jobs = worker->jobs;
    uv_mutex_lock(&jobs->mutex);
    worker->claim_failed = failure != NULL;
    if (failure != NULL) {
        worker->claim_error = *failure;
    } else if (worker->found) {
        queue_pace_begin(jobs, &worker->job_row);
        worker->busy = true;
        worker->cancelled = worker->paused = false;
        worker->told = WORKER_GO_ON;
        worker->notified_ns = 0;
        worker->progress = (struct ticket_progress){
            .loss = (double)NAN,
            .seconds_left = (double)NAN,
        };
        memcpy(worker->run, worker->run_row.id, sizeof(worker->run));
        memcpy(worker->job, worker->job_row.id, sizeof(worker->job));
        worker->log = (struct run_log){.count = 0};
        run_log_add(&worker->log, "started by %s, attempt %" PRId64, worker->name,
                    worker->run_row.attempts);
        queue_notify(jobs, worker->job);
    }
    worker->claimed = true;
    uv_cond_broadcast(&jobs->answered);
    uv_mutex_unlock(&jobs->mutex);
}

/* Claims the next run; false when there is none, or when the store refuses. */
static bool claim(struct worker *worker)
{
    struct jobs *jobs = worker->jobs;
    worker->claimed = worker->found = false;
    worker->write = (struct store_write){
        .apply = apply_claim,
        .done = claim_answered,
        .context = worker,
    };
    store_submit(jobs->store, &worker->write);
    uv_mutex_lock(&jobs->mutex);
    while (!worker->claimed)
        uv_cond_wait(&jobs->answered, &jobs->mutex);
    uv_mutex_unlock(&jobs->mutex);
    if (worker->claim_failed)
        log_failure("jobs", "can't claim a run", &worker->claim_error);
    return !worker->claim_failed && worker->found;
}

/* ---- executing ---- */

/* With the mutex held. */
static enum worker_stop stop_reason(const struct worker *worker)
{
    if (worker->cancelled)
        return WORKER_CANCELLED;
    return worker->jobs->stopping || worker->paused ? WORKER_DRAINED : WORKER_GO_ON;
}

bool ticket_report(const struct run_ticket *ticket, const struct ticket_progress *progress)
{
    enum { NOTIFY_EVERY_NS = 200000000 };
    struct worker *worker = ticket->worker;
    if (worker == NULL)
        return true;
    struct jobs *jobs = worker->jobs;
    uint64_t now_ns = uv_hrtime();
    uv_mutex_lock(&jobs->mutex);
    bool new_step = strcmp(worker->progress.step, progress->step) != 0;
    worker->progress = *progress;
    run_log_step(&worker->log, progress->step);
    if (new_step || now_ns - worker->notified_ns >= NOTIFY_EVERY_NS) {
        worker->notified_ns = now_ns;
        queue_notify(jobs, worker->job);
    }
    worker->told = stop_reason(worker);
    bool go_on = worker->told == WORKER_GO_ON;
    uv_mutex_unlock(&jobs->mutex);
    return go_on;
}

void ticket_log(const struct run_ticket *ticket, const char *text)
{
    struct worker *worker = ticket->worker;
    if (worker == NULL)
        return;
    uv_mutex_lock(&worker->jobs->mutex);
    run_log_add(&worker->log, "%s", text);
    uv_mutex_unlock(&worker->jobs->mutex);
}

enum ending { ENDS_SUCCEEDED, ENDS_FAILED, ENDS_CANCELLED, ENDS_REQUEUED };

struct record {
    struct worker *worker;
    enum ending ending;
    struct run_outcome outcome; /* ENDS_SUCCEEDED */
    struct error problem;       /* ENDS_FAILED */
    const char *log;            /* lines of the attempt; NULL: there was no memory for them */
};

/* Runs the executor, unless the run was told to stop before it began. */
static void execute(struct worker *worker, struct record *record)
{
    struct jobs *jobs = worker->jobs;
    const struct run_ticket ticket = {
        .run = worker->run_row.id,
        .job = worker->job_row.id,
        .spec = worker->job_row.spec,
        .variant = worker->run_row.variant,
        .seed = worker->run_row.seed,
        .attempt = worker->run_row.attempts,
        .arena = worker->arena,
        .worker = worker,
    };
    *record = (struct record){.worker = worker};
    uv_mutex_lock(&jobs->mutex);
    worker->told = stop_reason(worker);
    bool starts = worker->told == WORKER_GO_ON;
    uv_mutex_unlock(&jobs->mutex);

    bool ok = starts && jobs->options.executor.execute(jobs->options.executor.context, &ticket,
                                                       &record->outcome, &record->problem);
    uv_mutex_lock(&jobs->mutex);
    if (ok)
        record->ending = ENDS_SUCCEEDED;
    else if (worker->cancelled)
        record->ending = ENDS_CANCELLED;
    else if (worker->told == WORKER_DRAINED)
        record->ending = ENDS_REQUEUED;
    else
        record->ending = ENDS_FAILED;
    uv_mutex_unlock(&jobs->mutex);
}

/* ---- recording ---- */

static bool apply_ending(struct database *database, const struct record *record, struct error *err)
{
    const char *run = record->worker->run_row.id;
    switch (record->ending) {
    case ENDS_SUCCEEDED:
        return run_row_succeed(database, run, &record->outcome, err);
    case ENDS_FAILED:
        return run_row_fail(database, run, &record->problem, err);
    case ENDS_CANCELLED:
        return run_row_cancelled(database, run, err);
    case ENDS_REQUEUED:
        return run_row_requeue(database, run, err);
    }
    return FAIL(err, E_INTERNAL, "a run can't end in way %d", (int)record->ending);
}

static bool apply_record(struct database *database, void *context, struct error *err)
{
    const struct record *record = context;
    const struct run_row *run = &record->worker->run_row;
    const struct run_log_row row = {run->attempts, record->log};
    return apply_ending(database, record, err) &&
           (record->log == NULL || run_log_row_insert(database, run->id, &row, err));
}

/* The lines with the ending, which may be another one later. Why a run failed is told by its
 * problem. */
static void print_log(struct record *record)
{
    static const char *const words[] = {
        [ENDS_FAILED] = "failed",
        [ENDS_CANCELLED] = "cancelled",
        [ENDS_REQUEUED] = "put back into the queue",
    };
    struct worker *worker = record->worker;
    uv_mutex_lock(&worker->jobs->mutex);
    struct run_log log = worker->log;
    uv_mutex_unlock(&worker->jobs->mutex);
    run_log_step(&log, "");
    if (record->ending == ENDS_SUCCEEDED)
        run_log_add(&log, "succeeded after %.3f s", record->outcome.seconds);
    else
        run_log_add(&log, "%s", words[record->ending]);
    record->log = run_log_print(&log, worker->arena, NULL);
}

/* Waits for a while, or until the queue stops; true when it does. */
static bool wait_or_stop(struct jobs *jobs)
{
    uint64_t deadline_ns = uv_hrtime() + patience_ns;
    uv_mutex_lock(&jobs->mutex);
    for (uint64_t now_ns; !jobs->stopping && (now_ns = uv_hrtime()) < deadline_ns;) {
        /* Woken or out of time: the loop looks. */
        (void)uv_cond_timedwait(&jobs->claimable, &jobs->mutex, deadline_ns - now_ns);
    }
    bool stopping = jobs->stopping;
    uv_mutex_unlock(&jobs->mutex);
    return stopping;
}

/* True when the same write may go well later. */
static bool may_pass(const struct error *err)
{
    return err->code == E_NO_SPACE || err->code == E_IO || err->code == E_UNAVAILABLE ||
           err->code == E_MEMORY;
}

/* Writes the outcome, as often as it takes; true when it is on disk. Hours of work are not thrown
 * away because the disk is full for a minute; when the daemon stops meanwhile, the next start finds
 * the run running and queues it again. An outcome that can't be stored for another reason is a
 * failure of the run. */
static bool write_record(struct record *record)
{
    struct worker *worker = record->worker;
    struct jobs *jobs = worker->jobs;
    struct error err = {.message = ""};
    print_log(record);
    for (bool told = false; !store_write_now(jobs->store, apply_record, record, &err);) {
        if (may_pass(&err)) {
            if (!told)
                log_failure("jobs", "can't record a run; trying again", &err);
            told = true;
            if (wait_or_stop(jobs))
                return false;
        } else if (record->ending == ENDS_SUCCEEDED) {
            record->ending = ENDS_FAILED;
            record->problem = err;
            print_log(record);
        } else {
            log_failure("jobs", "can't record a run", &err);
            return false;
        }
    }
    return true;
}

static void log_ending(const struct record *record)
{
    if (record->ending == ENDS_FAILED) {
        log_failure("jobs", "run failed", &record->problem);
        return;
    }
    static const char *const words[] = {
        [ENDS_SUCCEEDED] = "run succeeded",
        [ENDS_CANCELLED] = "run cancelled",
        [ENDS_REQUEUED] = "run goes back to the queue",
    };
    log_write(LOG_INFO, "jobs", "%s|worker=%s", words[record->ending], record->worker->name);
}

/* With the mutex held. */
static void count_ending(const struct record *record)
{
    struct jobs_stats *stats = &record->worker->jobs->stats;
    uint64_t *const counters[] = {
        [ENDS_SUCCEEDED] = &stats->succeeded,
        [ENDS_FAILED] = &stats->failed,
        [ENDS_CANCELLED] = &stats->cancelled,
        [ENDS_REQUEUED] = &stats->requeued,
    };
    ++*counters[record->ending];
    if (record->ending == ENDS_SUCCEEDED && isfinite(record->outcome.seconds))
        stats->seconds += record->outcome.seconds;
}

static void do_run(struct worker *worker)
{
    struct jobs *jobs = worker->jobs;
    struct record record;
    char context[LOG_CONTEXT_BYTES];
    (void)snprintf(context, sizeof(context), "run=%s", worker->run_row.id); /* ids are short */
    log_set_context(context);
    log_write(LOG_INFO, "jobs", "run starts|attempt=%" PRId64 " worker=%s",
              worker->run_row.attempts, worker->name);
    execute(worker, &record);
    const struct jobs_executor *executor = &jobs->options.executor;
    bool recorded = write_record(&record);
    for (size_t i = 0; i < record.outcome.artifact_count; i++)
        blob_unpin(store_blobs(jobs->store), record.outcome.artifacts[i].blob);
    if (recorded && record.ending != ENDS_REQUEUED && executor->discard != NULL)
        executor->discard(executor->context, worker->run_row.id);
    log_ending(&record);
    log_set_context(NULL);

    uv_mutex_lock(&jobs->mutex);
    worker->busy = false;
    queue_pace_end(jobs, worker->job,
                   record.ending == ENDS_REQUEUED ? 0 : worker->progress.resumed);
    count_ending(&record);
    queue_notify(jobs, worker->job);
    queue_wake(jobs); /* the owner may have been at the limit of running runs */
    uv_mutex_unlock(&jobs->mutex);
}

/* Reads how much work there was, before looking for some; false when the worker is to leave. */
static bool look(struct jobs *jobs, uint64_t *out_work)
{
    uv_mutex_lock(&jobs->mutex);
    bool stopping = jobs->stopping;
    *out_work = jobs->work;
    uv_mutex_unlock(&jobs->mutex);
    return !stopping;
}

/* Waits until there may be more work than when it was looked for. */
static void wait_for_work(struct jobs *jobs, uint64_t seen)
{
    uv_mutex_lock(&jobs->mutex);
    while (jobs->work == seen && !jobs->stopping)
        uv_cond_wait(&jobs->claimable, &jobs->mutex);
    uv_mutex_unlock(&jobs->mutex);
}

/* Requests go first: hours of computing lose nothing by the milliseconds that somebody waits for an
 * answer. With one of two cores computing, 1.14 times as many jobs are taken in a flood, and 1.05
 * to 1.09 times as many are read, alone and during a flood. */
enum { STEPS_BEHIND = 10 };

void worker_run(void *context)
{
    struct worker *worker = context;
    struct jobs *jobs = worker->jobs;
    priority_lower(STEPS_BEHIND);
    struct arena_mark empty = arena_mark(worker->arena);
    for (uint64_t work; look(jobs, &work);) {
        if (claim(worker))
            do_run(worker);
        else if (worker->claim_failed)
            (void)wait_or_stop(jobs); /* the loop looks at why */
        else
            wait_for_work(jobs, work);
        arena_reset(worker->arena, empty);
    }
}
