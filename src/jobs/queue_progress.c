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

/* ---- how long a job will take ---- */

/* Between two runs of a job, a worker writes what came of one and claims the other. */
static const double GAP_SECONDS = 2;

/* With the mutex held. */
static bool is_running(const struct jobs *jobs, const char *job)
{
    for (size_t i = 0; i < jobs->worker_count; i++) {
        if (jobs->workers[i].busy && strcmp(jobs->workers[i].job, job) == 0)
            return true;
    }
    return false;
}

/* With the mutex held: NULL when the job does not run, and has not for longer than the gap. */
static struct job_pace *find_pace(const struct jobs *jobs, const char *job, double now)
{
    for (size_t i = 0; i < jobs->worker_count; i++) {
        struct job_pace *pace = &jobs->paces[i];
        if (strcmp(pace->job, job) == 0)
            return is_running(jobs, job) || now - pace->last < GAP_SECONDS ? pace : NULL;
    }
    return NULL;
}

/* That of the job itself, or of the job that has not run for longest: the worker that begins is
 * free, so at most all others run something. */
static struct job_pace *choose_pace(const struct jobs *jobs, const char *job)
{
    struct job_pace *oldest = NULL;
    for (size_t i = 0; i < jobs->worker_count; i++) {
        struct job_pace *pace = &jobs->paces[i];
        if (strcmp(pace->job, job) == 0)
            return pace;
        if (!is_running(jobs, pace->job) && (oldest == NULL || pace->last < oldest->last))
            oldest = pace;
    }
    return oldest;
}

void queue_pace_begin(struct jobs *jobs, const struct job_row *row)
{
    double now = clock_seconds();
    struct job_pace *pace = find_pace(jobs, row->id, now);
    if (pace == NULL) {
        pace = choose_pace(jobs, row->id);
        *pace = (struct job_pace){
            .pace = {.since = now, .base = (double)job_counts_ended(&row->counts)},
        };
        memcpy(pace->job, row->id, sizeof(pace->job));
    }
    pace->last = now;
}

void queue_pace_end(struct jobs *jobs, const char *job, double resumed)
{
    double now = clock_seconds();
    struct job_pace *pace = find_pace(jobs, job, now);
    if (pace == NULL) /* its last run was short, and another job has taken its place since */
        return;
    pace->last = now;
    pace->pace.base += resumed;
}

/* The job's runs that run now: the sum of their fractions, and what of it is older. */
struct share {
    double done, resumed;
    bool paced;
    struct pace pace;
};

static struct share running_share(struct jobs *jobs, const char *job, double now)
{
    struct share share = {.done = 0};
    uv_mutex_lock(&jobs->mutex);
    for (size_t i = 0; i < jobs->worker_count; i++) {
        const struct worker *worker = &jobs->workers[i];
        if (!worker->busy || strcmp(worker->job, job) != 0)
            continue;
        share.done += worker->progress.fraction;
        share.resumed += worker->progress.resumed;
    }
    const struct job_pace *pace = find_pace(jobs, job, now);
    share.paced = pace != NULL;
    if (pace != NULL)
        share.pace = pace->pace;
    uv_mutex_unlock(&jobs->mutex);
    return share;
}

struct job_progress jobs_job_progress(struct jobs *jobs, const struct job_row *row)
{
    const struct job_counts *counts = &row->counts;
    int64_t ended = job_counts_ended(counts), runs = job_counts_all(counts);
    if (ended == runs)
        return (struct job_progress){.fraction = 1, .eta_seconds = 0};

    double now = clock_seconds();
    struct share share = running_share(jobs, row->id, now);
    /* A run may have ended since the row was read: its share is 1 at most. */
    double done = (double)ended + fmin(share.done, (double)counts->running);
    return (struct job_progress){
        .fraction = done / (double)runs,
        .eta_seconds = share.paced ? pace_seconds_left(&share.pace, done - share.resumed,
                                                       (double)runs - done, now)
                                   : (double)NAN,
    };
}
