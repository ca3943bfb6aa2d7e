#pragma once

/* An executor whose runs do as the test says. */

#include "ptqd/jobs/executor.h"

#include <stdatomic.h>
#include <uv.h>

enum fake_mode {
    FAKE_SUCCEED, /* at once */
    FAKE_FAIL,    /* at once, with E_UNSUPPORTED */
    FAKE_WAIT,    /* reports half of the work until it is released or told to stop */
};

enum { FAKE_RUNS_MAX = 64 };

struct fake_executor {
    atomic_int mode;           /* enum fake_mode */
    atomic_int discarded;      /* runs that it was told to forget */
    const char *artifact_blob; /* id of one artifact of each success; NULL: none */
    void (*started)(void *context, const struct run_ticket *ticket); /* may be NULL */
    void *context;

    uv_mutex_t mutex; /* guards the rest */
    uv_cond_t changed;
    bool released;                          /* waiting runs succeed */
    char runs[FAKE_RUNS_MAX][RUN_ID_BYTES]; /* in the order they started */
    int64_t attempts[FAKE_RUNS_MAX];
    int count;
};

void fake_executor_init(struct fake_executor *fake, enum fake_mode mode);
void fake_executor_finish(struct fake_executor *fake);
struct jobs_executor fake_executor_interface(struct fake_executor *fake);

/* Blocks until `count` runs have started; false when that takes longer than the deadline. */
bool fake_executor_wait_started(struct fake_executor *fake, int count);
/* Lets waiting runs succeed, those that start later too. */
void fake_executor_release(struct fake_executor *fake);
