#pragma once

/* Deletes what is past the limits of retention: when the daemon starts, and then every ten minutes,
 * on a thread of libuv's pool. */

#include "ptqd/jobs/jobs.h"
#include "ptqd/store/retention.h"

#include <stdatomic.h>
#include <uv.h>

struct retention_timer {
    struct store *store; /* borrowed */
    struct jobs *jobs;   /* borrowed; told of the jobs that go */
    struct retention_limits limits;
    uv_timer_t timer;
    uv_work_t work;
    bool working;      /* used by the loop's thread only */
    atomic_bool ended; /* the work under way is to stop soon */
};

/* Nothing happens without a limit. Returns a status of libuv. The timer is closed with the loop's
 * other handles, after retention_timer_end. The threads of libuv's pool start here: they block what
 * signals the caller blocks. */
int retention_timer_start(struct retention_timer *timer, uv_loop_t *loop, struct store *store,
                          struct jobs *jobs, const struct retention_limits *limits);
void retention_timer_end(struct retention_timer *timer);
