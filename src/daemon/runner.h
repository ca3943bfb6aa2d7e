#pragma once

/* The executor of the daemon: a run whose files are blobs, on a worker's thread. */

#include "ptqd/jobs/executor.h"

#include <stddef.h>

struct admission;
struct blobs;
struct shared;

struct runner {
    struct blobs *blobs;         /* borrowed */
    struct shared *shared;       /* by all runs of the process; borrowed */
    const char *directory;       /* of the state, where checkpoints are; borrowed */
    size_t run_bytes;            /* memory of one run */
    struct admission *admission; /* of all runs; borrowed */
    double checkpoint_seconds;
};

/* For struct jobs_executor; `context` is the runner. */
bool runner_execute(void *context, const struct run_ticket *ticket, struct run_outcome *out_outcome,
                    struct error *err);
void runner_discard(void *context, const char *run);
void runner_discard_job(void *context, const char *job);
