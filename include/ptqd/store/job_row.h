#pragma once

/* Jobs. A job is inserted with all its runs; its state follows from theirs:
 *
 *   all are queued                         queued
 *   some are queued or running             running
 *   all succeeded                          succeeded
 *   some succeeded                         partial
 *   none succeeded, some were cancelled    cancelled
 *   all failed                             failed
 */

#include "ptqd/store/store.h"

enum { JOB_ID_BYTES = 24 }; /* "j17" */

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_SUCCEEDED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_PARTIAL,
    JOB_STATE_COUNT
};

/* "queued" … "partial". */
extern const char *const job_state_names[JOB_STATE_COUNT + 1]; /* by state; NULL ends them */
const char *job_state_name(enum job_state state);
/* True when every run has ended. */
bool job_state_is_final(enum job_state state);
bool job_state_parse(const char *name, enum job_state *out_state, struct error *err);

struct job_counts { /* runs by state */
    int64_t queued, running, succeeded, failed, cancelled;
};

int64_t job_counts_ended(const struct job_counts *counts);
int64_t job_counts_all(const struct job_counts *counts);

struct job_row {
    char id[JOB_ID_BYTES];
    const char *name; /* "" when it has none */
    const char *owner;
    int64_t priority; /* higher first */
    const char *spec; /* JSON: the specification with every default filled in */
    const char *model;
    const char *calibration;
    const char *calibration_labels; /* NULL: none, as the next two */
    const char *evaluation;
    const char *evaluation_labels;
    enum job_state state;
    struct job_counts counts;
    bool cancel_requested;
    bool paused;                                 /* its queued runs are not claimed */
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    int64_t revision; /* grows with every change of the job and of its runs' states */
};

struct job_label {
    const char *key, *value;
};

struct job_insert {
    struct job_row row; /* id, state, counts and times are set by job_row_insert */
    const struct job_label *labels;
    size_t label_count;
    const char *const *choices; /* [variant_count] JSON object: the swept choices of the variant */
    size_t variant_count;
    const int64_t *seeds; /* [seed_count], distinct */
    size_t seed_count;
    const char *key;            /* idempotency key of the owner; NULL: none */
    const char *request_digest; /* hex SHA-256 of the request, when there is a key */
};

struct job_inserted {
    char id[JOB_ID_BYTES];
    bool replayed; /* the owner used the key for the same request before, which made this job */
    int64_t created_ms; /* of a new job */
};
/* In a write. E_KEY_REUSED for another request with the key, E_NOT_FOUND with a pointer when a
 * model or data set does not exist, E_LIMIT above the owner's queued runs. */
bool job_row_insert(struct database *database, const struct job_insert *insert,
                    struct job_inserted *out_inserted, struct error *err);
/* The row of a new job as it is before anything happens to it. */
struct job_row job_row_of(const struct job_insert *insert, const struct job_inserted *inserted);

/* The job of an idempotency key, for an early answer: `*out_found` false when the key is new,
 * E_KEY_REUSED when it was used for another request. */
bool job_key_find(struct database *database, const char *owner, const char *key,
                  const char *request_digest, char out_id[static JOB_ID_BYTES], bool *out_found,
                  struct error *err);

bool job_row_find(struct database *database, const char *id, struct arena *arena,
                  struct job_row *out_row, struct error *err);

struct job_filter {
    const char *owner;           /* NULL: everybody's */
    const char *own_only;        /* and nobody's but this owner's; NULL: no such bound */
    const enum job_state *state; /* NULL: any */
    const char *label;           /* "key" or "key=value"; NULL: any */
    /* In the id, the name, the owner, a label ("key=value") or the name of the model, whatever the
     * case of the letters A to Z; NULL or "": any. */
    const char *text;
};

/* Rows that a page with a text looks at: no index helps to find one. */
enum { JOB_TEXT_LOOKS_MAX = 2000 };

/* A page with a text may have fewer rows than its limit, even none, and still a next one. */
bool job_row_list(struct database *database, const struct job_filter *filter,
                  const struct store_page *page, struct arena *arena, struct job_row **out_rows,
                  size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err);

/* Jobs in each state, over everybody. */
bool job_row_count(struct database *database, int64_t out_counts[static JOB_STATE_COUNT],
                   struct error *err);

/* In a write: queued runs become cancelled, running ones are to stop. E_CONFLICT when nothing is
 * queued or running. `out_runs`: how many runs this touches. */
bool job_row_cancel(struct database *database, const char *id, int64_t *out_runs,
                    struct error *err);
/* In a write: failed runs become queued; their crashes are forgotten. E_CONFLICT when none has
 * failed, E_LIMIT when their owner would have more queued than allowed. */
bool job_row_retry(struct database *database, const char *id, int64_t *out_runs, struct error *err);
/* In a write: whether its queued runs wait, `out_runs` of them. E_CONFLICT when the job has ended;
 * harmless when it is so already. A retry of one that has ended resumes it. */
bool job_row_pause(struct database *database, const char *id, bool paused, int64_t *out_runs,
                   struct error *err);

struct job_patch {
    const char *name; /* NULL: it stays */
    bool has_priority, has_labels;
    int64_t priority;
    const struct job_label *labels; /* [label_count], in place of those it has */
    size_t label_count;
    int64_t revision; /* that the job must still have; −1: any */
};
/* In a write: of a job in any state. E_PRECONDITION when it has another revision. */
bool job_row_patch(struct database *database, const char *id, const struct job_patch *patch,
                   struct error *err);

/* In a write: with its runs and artifacts. E_CONFLICT while a run is queued or running. */
bool job_row_delete(struct database *database, const char *id, struct error *err);
