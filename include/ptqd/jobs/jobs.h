#pragma once

/* The queue and its workers.
 *
 * Each worker is a thread that claims the next run, hands it to the executor and records the
 * outcome. What a user changes (submit, cancel, retry, delete) is a write of the store: it is
 * answered when it is on disk. Progress of running runs is in memory.
 */

#include "ptqd/base/error.h"
#include "ptqd/jobs/executor.h"
#include "ptqd/store/job_row.h"
#include "ptqd/store/run_row.h"
#include "ptqd/store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct jobs;

enum { JOBS_WORKERS_MAX = 256 };

struct jobs_options {
    int64_t workers;    /* threads; 0: one per core */
    size_t stack_bytes; /* of a worker; 0: 8 MiB */
    struct jobs_executor executor;
};

/* Recovers what a crash left running; nothing starts yet. `store` is borrowed. */
bool jobs_create(struct store *store, const struct jobs_options *options, struct jobs **out_jobs,
                 struct error *err);
bool jobs_start(struct jobs *jobs, struct error *err);
/* Claims nothing from now on and tells running runs to stop; returns at once. Everything else that
 * may be asked of the queue is still answered. */
void jobs_drain(struct jobs *jobs);
/* The same, and returns when the workers are gone and what they ran is back in the queue. Harmless
 * when not started. */
void jobs_stop(struct jobs *jobs);
void jobs_destroy(struct jobs *jobs);

enum jobs_change_kind {
    JOBS_SUBMIT,
    JOBS_CANCEL,
    JOBS_RETRY,
    JOBS_PAUSE,
    JOBS_RESUME,
    JOBS_PATCH,
    JOBS_DELETE,
    JOBS_PAUSE_ALL,
    JOBS_RESUME_ALL,
};

/* A change that a user asks for. It stays in the caller's memory until it is answered; a caller
 * fills the first three members and reads the next ones after the answer. */
struct jobs_change {
    /* Called on the writer thread when the change is on disk, or with the reason why not. It must
     * not block. NULL: somebody calls jobs_wait. */
    void (*done)(void *context, const struct error *failure);
    void *context; /* borrowed */
    bool now;      /* pause: what runs goes back into the queue, and later on from where it was */

    char job[JOB_ID_BYTES];
    struct job_inserted inserted; /* submit: `job` again, and more */
    int64_t runs;                 /* cancel, retry, pause, resume: how many runs it touches */

    struct jobs *jobs; /* the rest is the queue's */
    enum jobs_change_kind kind;
    const struct job_insert *insert;
    const struct job_patch *patch;
    struct store_write write;
    struct error error;
    bool failed, answered;
};

/* `insert` is borrowed until the answer. */
void jobs_submit(struct jobs *jobs, const struct job_insert *insert, struct jobs_change *change);
/* Queued runs are cancelled with the answer, running ones within a second of it. */
void jobs_cancel(struct jobs *jobs, const char *job, struct jobs_change *change);
/* Failed runs are queued again. */
void jobs_retry(struct jobs *jobs, const char *job, struct jobs_change *change);
/* The job's queued runs wait until it is resumed; those that run go on unless `change->now`. */
void jobs_pause(struct jobs *jobs, const char *job, struct jobs_change *change);
void jobs_resume(struct jobs *jobs, const char *job, struct jobs_change *change);
/* Name, labels, priority: the next run is chosen by it. `patch` is borrowed until the answer. */
void jobs_patch(struct jobs *jobs, const char *job, const struct job_patch *patch,
                struct jobs_change *change);
void jobs_delete(struct jobs *jobs, const char *job, struct jobs_change *change);
/* The same of all jobs, those that come later too, until the queue is resumed; a restart changes
 * nothing. */
void jobs_pause_all(struct jobs *jobs, struct jobs_change *change);
void jobs_resume_all(struct jobs *jobs, struct jobs_change *change);
/* Workers without a run look for one again: a limit may have been raised beside the queue. */
void jobs_wake(struct jobs *jobs);
/* Listeners hear of a job that was changed beside the queue. */
void jobs_tell(struct jobs *jobs, const char *job);
/* Blocks until a change without `done` is answered. */
bool jobs_wait(struct jobs_change *change, struct error *err);

/* Progress of a running run; false when it is not running now. */
bool jobs_run_progress(struct jobs *jobs, const char *run, struct ticket_progress *out_progress);

struct run_log;
/* What has happened to a run in the attempt that runs now; false when it is not running. */
bool jobs_run_log(struct jobs *jobs, const char *run, struct run_log *out_log);

struct jobs_running {
    char run[RUN_ID_BYTES], job[JOB_ID_BYTES];
    const char *worker; /* its name, for as long as the queue lives */
    struct ticket_progress progress;
};
/* The runs that run now, of one job or (`job` NULL) of all. */
bool jobs_running(struct jobs *jobs, const char *job, struct arena *arena,
                  struct jobs_running **out_runs, size_t *out_count, struct error *err);

struct job_progress {
    double fraction;    /* of all runs, the running ones in proportion */
    double eta_seconds; /* NaN: not known */
};
/* Progress of a job, from its row and from the running runs. */
struct job_progress jobs_job_progress(struct jobs *jobs, const struct job_row *row);

struct jobs_load {
    int64_t workers, busy;
};
struct jobs_load jobs_load(struct jobs *jobs);

enum { JOBS_STEPS_MAX = 32 };

/* Since the queue was created. */
struct jobs_stats {
    uint64_t succeeded, failed, cancelled, requeued; /* runs that a worker had, by their end */
    double seconds;                                  /* of those that succeeded */
    struct {
        char name[TICKET_STEP_BYTES];
        uint64_t count;
        double seconds;
    } steps[JOBS_STEPS_MAX]; /* of those that succeeded; [step_count] */
    size_t step_count;
};
void jobs_read_stats(struct jobs *jobs, struct jobs_stats *out_stats);

/* Somebody who wants to know when a job changes (its state, a run's state, progress). */
struct jobs_listener {
    /* Called on any thread, under a lock: note it, wake somebody, return; call nothing of the queue
     * but jobs_changes. `job` is "" when the queue as a whole has changed. */
    void (*changed)(void *context, const char *job);
    void *context;              /* borrowed */
    struct jobs_listener *next; /* the queue's */
};

/* The listener stays in the caller's memory until jobs_unlisten, after which it is not called. */
void jobs_listen(struct jobs *jobs, struct jobs_listener *listener);
void jobs_unlisten(struct jobs *jobs, struct jobs_listener *listener);

/* Grows with each change of any job. */
uint64_t jobs_changes(struct jobs *jobs);
/* Grows with each change of the job (or of one that shares its count). */
uint64_t jobs_job_changes(const struct jobs *jobs, const char *job);
/* Blocks until jobs_changes is not `seen` any more, at most `timeout_ms`; returns it. */
uint64_t jobs_wait_change(struct jobs *jobs, uint64_t seen, int64_t timeout_ms);
