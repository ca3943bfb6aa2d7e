#pragma once

/* What the queue asks of whoever computes a run. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/store/run_row.h"

#include <stdbool.h>
#include <stdint.h>

enum { TICKET_STEP_BYTES = 32 };

/* How far a run is; kept in memory, not in the database. */
struct ticket_progress {
    char step[TICKET_STEP_BYTES]; /* "optimize" */
    int64_t unit, units;          /* 1 to units; 0 of 0 when the step has none */
    double fraction;              /* of the whole run, 0 to 1 */
    double resumed;               /* of it, what an earlier attempt had done */
    double loss;                  /* of the objective; NaN: not known */
    double seconds_left;          /* NaN: not known */
};

/* A run in the hands of a worker. Everything lives until `execute` returns. */
struct run_ticket {
    const char *run;  /* "j17-v003-s42" */
    const char *job;  /* "j17" */
    const char *spec; /* the job's specification, JSON with every default */
    int64_t variant;  /* index */
    int64_t seed;
    int64_t attempt;       /* 1 for the first */
    struct arena *arena;   /* for the outcome's text and artifacts; reset after they are recorded */
    struct worker *worker; /* the queue's; NULL outside it: nobody watches, nobody stops the run */
};

/* Publishes progress. False: stop soon (the job was cancelled, or the daemon stops). To be called
 * several times a second; cheap. */
bool ticket_report(const struct run_ticket *ticket, const struct ticket_progress *progress);

/* Adds a line to the log of the run: what a user may want to know, and nothing of the inside of the
 * server. Steps and the ending are there anyway. */
void ticket_log(const struct run_ticket *ticket, const char *text);

/* Counts a step of a finished run for jobs_read_stats: its name, and the seconds it took. */
void ticket_took(const struct run_ticket *ticket, const char *step, double seconds);

struct jobs_executor {
    /* Computes the run on the calling thread. After ticket_report returned false it may give up
     * with any error, E_CANCELLED by custom. Artifacts are blobs already, pinned until
     * the outcome is recorded (the worker unpins them). */
    bool (*execute)(void *context, const struct run_ticket *ticket, struct run_outcome *out_outcome,
                    struct error *err);
    /* Called when it is on disk that the run is over, whatever its end: what was kept to go on with
     * it later may go. NULL: nothing is kept. */
    void (*discard)(void *context, const char *run);
    /* The same for a job that was cancelled: for those of its runs that wait, after an earlier
     * attempt, and that nobody will execute. Called on the store's writer thread. May be NULL. */
    void (*discard_job)(void *context, const char *job);
    void *context; /* borrowed */
};
