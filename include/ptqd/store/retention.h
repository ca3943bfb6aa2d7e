#pragma once

/* What is deleted by itself: jobs that are long finished, files that no job names, and the oldest
 * of both when all together take too much. Never what a queued or running job needs. */

#include "ptqd/store/store.h"

/* Nothing younger goes for want of room: who uploads gets the time to submit, who submitted the
 * time to fetch. */
enum { RETENTION_GRACE_MS = 3600 * 1000 };

struct retention_limits { /* 0: no limit */
    int64_t jobs_ms;      /* since the end of a job */
    int64_t unused_ms;    /* since the upload of a model or data set that no job names */
    int64_t bytes;        /* of models, data sets and artifacts together */
};

struct retention_result { /* what was deleted */
    int64_t jobs, models, datasets;
};

struct retention_caller {
    bool (*ends)(void *context);                      /* asked between writes; true stops */
    void (*job_gone)(void *context, const char *job); /* behind the write that deleted it */
    void *context;                                    /* borrowed */
};

/* Deletes what is past the limits at `now_ms` (milliseconds since 1970), in writes of a few rows,
 * so that others get their turn. `caller` may be NULL. Not for the thread of a write. */
bool retention_apply(struct store *store, const struct retention_limits *limits, int64_t now_ms,
                     const struct retention_caller *caller, struct retention_result *out_result,
                     struct error *err);
