#include "queue.h"

#include "ptqd/base/clock.h"

#include <math.h>
#include <string.h>

/* With the mutex held: who runs the run; NULL when nobody does. */
static const struct worker *worker_of(const struct jobs *jobs, const char *run)
{
    for (size_t i = 0; i < jobs->worker_count; i++) {
        const struct worker *worker = &jobs->workers[i];
        if (worker->busy && strcmp(worker->run, run) == 0)
            return worker;
    }
    return NULL;
}

bool jobs_run_progress(struct jobs *jobs, const char *run, struct ticket_progress *out_progress)
{
    uv_mutex_lock(&jobs->mutex);
    const struct worker *worker = worker_of(jobs, run);
    if (worker != NULL)
        *out_progress = worker->progress;
    uv_mutex_unlock(&jobs->mutex);
    return worker != NULL;
}

bool jobs_run_log(struct jobs *jobs, const char *run, struct run_log *out_log)
{
    uv_mutex_lock(&jobs->mutex);
    const struct worker *worker = worker_of(jobs, run);
    if (worker != NULL)
        *out_log = worker->log;
    uv_mutex_unlock(&jobs->mutex);
    return worker != NULL;
}

bool jobs_running(struct jobs *jobs, const char *job, struct arena *arena,
                  struct jobs_running **out_runs, size_t *out_count, struct error *err)
{
    struct jobs_running *runs = ARENA_ARRAY(arena, struct jobs_running, jobs->worker_count, err);
    size_t count = 0;
    if (runs == NULL)
        return false;
    uv_mutex_lock(&jobs->mutex);
    for (size_t i = 0; i < jobs->worker_count; i++) {
        const struct worker *worker = &jobs->workers[i];
        if (!worker->busy || (job != NULL && strcmp(worker->job, job) != 0))
            continue;
        runs[count] = (struct jobs_running){.worker = worker->name, .progress = worker->progress};
        memcpy(runs[count].run, worker->run, sizeof(runs[count].run));
        memcpy(runs[count].job, worker->job, sizeof(runs[count].job));
        count++;
    }
    uv_mutex_unlock(&jobs->mutex);
    *out_runs = runs;
    *out_count = count;
    return true;
}

/* Sum of the fractions of the job's runs that run now. */
static double running_share(struct jobs *jobs, const char *job)
{
    double share = 0;
    uv_mutex_lock(&jobs->mutex);
    for (size_t i = 0; i < jobs->worker_count; i++) {
        const struct worker *worker = &jobs->workers[i];
        if (worker->busy && strcmp(worker->job, job) == 0)
            share += worker->progress.fraction;
    }
    uv_mutex_unlock(&jobs->mutex);
    return share;
}

struct job_progress jobs_job_progress(struct jobs *jobs, const struct job_row *row)
{
    const struct job_counts *counts = &row->counts;
    int64_t ended = job_counts_ended(counts), runs = job_counts_all(counts);
    if (ended == runs)
        return (struct job_progress){.fraction = 1, .eta_seconds = 0};

    /* A run may have ended since the row was read: its share is 1 at most. */
    double fraction =
        ((double)ended + fmin(running_share(jobs, row->id), (double)counts->running)) /
        (double)runs;
    struct job_progress progress = {.fraction = fraction, .eta_seconds = (double)NAN};
    if (row->started_ms > 0 && fraction > 0) {
        double elapsed = (double)(clock_unix_ms() - row->started_ms) * 1e-3;
        progress.eta_seconds = fmax(elapsed, 0) * (1 - fraction) / fraction;
    }
    return progress;
}
