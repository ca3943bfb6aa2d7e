#pragma once

/* A worker: one thread that claims runs, has them executed and records what came out. */

#include "ptqd/jobs/jobs.h"
#include "ptqd/jobs/run_log.h"

#include <uv.h>

enum { WORKER_NAME_BYTES = 32 };

enum worker_stop { /* why a run was asked to end early */
                   WORKER_GO_ON,
                   WORKER_CANCELLED, /* by a user */
                   WORKER_DRAINED,   /* the daemon stops, or the run is to wait */
};

struct worker {
    struct jobs *jobs; /* borrowed */
    uv_thread_t thread;
    char name[WORKER_NAME_BYTES];
    struct arena *arena; /* of the current run: rows, outcome */

    /* The claim that is being written; the writer's until `claimed` is set. */
    struct store_write write;
    struct run_row run_row;
    struct job_row job_row;
    bool found;
    struct error claim_error;

    /* The rest is guarded by the queue's mutex. */
    bool claimed; /* the claim is answered */
    bool claim_failed;
    bool busy; /* `run` is being executed */
    char run[RUN_ID_BYTES];
    char job[JOB_ID_BYTES];
    bool cancelled;        /* somebody wants the run to end */
    bool paused;           /* somebody wants it back in the queue */
    enum worker_stop told; /* what the executor was told */
    struct ticket_progress progress;
    struct run_log log;   /* of `run` */
    uint64_t notified_ns; /* when listeners last heard of its progress */
};

/* Body of the thread; `context` is the worker. */
void worker_run(void *context);
