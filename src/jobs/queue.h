#pragma once

/* The state of the queue that is not in the database. */

#include "worker.h"

#include "ptqd/base/change_counts.h"
#include "ptqd/jobs/jobs.h"
#include "ptqd/jobs/pace.h"

#include <stdatomic.h>
#include <uv.h>

/* Of a job, since its runs run without a gap. */
struct job_pace {
    char job[JOB_ID_BYTES];
    struct pace pace; /* in runs */
    double last;      /* when a run of it last began or ended */
};

struct jobs {
    struct store *store; /* borrowed */
    struct jobs_options options;
    atomic_uint_least64_t changes;    /* written under the mutex, read anywhere */
    struct change_counts job_changes; /* the same by job */

    uv_mutex_t mutex;       /* guards the rest, and what worker.h says */
    uv_cond_t claimable;    /* `work` has grown, or stopping */
    uv_cond_t answered;     /* a claim or a change was answered */
    uv_cond_t changed;      /* `changes` has grown */
    uint64_t work;          /* grows when a run may have become claimable */
    bool stopping;          /* workers are to leave */
    struct worker *workers; /* [worker_count] */
    size_t worker_count, started_count;
    struct job_pace *paces; /* [worker_count]: there is one for every job that runs */
    struct jobs_listener *listeners;
    struct jobs_stats stats;
};

/* With the mutex held: counts a change of the job and tells the listeners. */
void queue_notify(struct jobs *jobs, const char *job);
/* With the mutex held: a run of the job begins, or one has ended, of which an earlier attempt had
 * done a share (0 for one that goes back to the queue). */
void queue_pace_begin(struct jobs *jobs, const struct job_row *row);
void queue_pace_end(struct jobs *jobs, const char *job, double resumed);
/* With the mutex held: wakes workers that found nothing to claim. */
void queue_wake(struct jobs *jobs);
