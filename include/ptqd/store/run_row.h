#pragma once

/* Runs: one variant with one seed; and the artifacts they made. */

#include "ptqd/store/job_row.h"
#include "ptqd/store/store.h"

enum { RUN_ID_BYTES = 64, VARIANT_ID_BYTES = 24 }; /* "j17-v003-s42", "v003" */

enum { ARTIFACTS_MAX = 64 }; /* of one run */

enum run_state {
    RUN_QUEUED,
    RUN_RUNNING,
    RUN_SUCCEEDED,
    RUN_FAILED,
    RUN_CANCELLED,
    RUN_STATE_COUNT
};

/* "queued" … "cancelled". */
extern const char *const run_state_names[RUN_STATE_COUNT + 1]; /* by state; NULL ends them */
const char *run_state_name(enum run_state state);
bool run_state_parse(const char *name, enum run_state *out_state, struct error *err);

/* "v003" of variant 3. */
void variant_id(int64_t variant, char out_id[static VARIANT_ID_BYTES]);

struct artifact_row {
    const char *name;       /* "model.onnx"; unique in its run */
    const char *media_type; /* "application/octet-stream" */
    const char *blob;       /* "sha256:<hex>" */
    int64_t bytes;
};

struct run_problem {  /* why a run failed */
    const char *code; /* stable name of the error code; NULL: no problem */
    const char *message;
    const char *pointer; /* JSON pointer, "" when none */
};

struct run_row {
    char id[RUN_ID_BYTES];
    char job[JOB_ID_BYTES];
    int64_t variant;     /* index */
    const char *choices; /* of the variant, as inserted with the job */
    int64_t seed;
    enum run_state state;
    int64_t attempts;   /* times it was started */
    int64_t crashes;    /* times the daemon died while it ran, since its last checkpoint */
    const char *worker; /* who runs or ran it; "" before the first attempt */
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    double accuracy, loss, agreement;            /* fractions; NaN: not known */
    double seconds;                              /* of the last attempt; NaN: not known */
    int64_t peak_rss_bytes;                      /* 0: not known */
    /* JSON object: the result by the executor without its members "layers" and "sensitivity"; NULL
     * before success. */
    const char *summary;
    struct run_problem problem;
};

struct run_detail {
    const char *name;  /* "memory" */
    const char *value; /* JSON object */
};

struct run_outcome {
    double accuracy, loss, agreement; /* NaN: not known */
    double seconds;
    int64_t peak_rss_bytes;
    const char *result; /* JSON object */
    const struct artifact_row *artifacts;
    size_t artifact_count;
    const struct run_detail *details;
    size_t detail_count;
};

bool run_row_find(struct database *database, const char *id, struct arena *arena,
                  struct run_row *out_row, struct error *err);

/* The whole result of a run, as its outcome had it. E_NOT_FOUND before success. */
bool run_row_result(struct database *database, const char *id, struct arena *arena,
                    const char **out_result, struct error *err);

/* Runs of a job, ordered by variant and seed. `state` NULL: any. `out_next` is "" on the last
 * page. E_NOT_FOUND without the job. */
bool run_row_list(struct database *database, const char *job, const enum run_state *state,
                  const struct store_page *page, struct arena *arena, struct run_row **out_rows,
                  size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err);

/* The highest accuracy of a job's runs; NaN when none is known. */
bool run_row_best(struct database *database, const char *job, double *out_accuracy,
                  struct error *err);

/* Runs in each state, over all jobs. */
bool run_row_count(struct database *database, int64_t out_counts[static RUN_STATE_COUNT],
                   struct error *err);

/* The artifacts of a run, ordered by name. */
bool artifact_row_list(struct database *database, const char *run, struct arena *arena,
                       struct artifact_row **out_rows, size_t *out_count, struct error *err);
bool artifact_row_find(struct database *database, const char *run, const char *name,
                       struct arena *arena, struct artifact_row *out_row, struct error *err);

/* What follows changes runs, in a write. All but the first expect a running run and are E_CONFLICT
 * for any other. */

/* The next queued run becomes running: highest priority, then the owner with the fewest running
 * runs, then the oldest. `*out_found` false: nothing may start now. */
bool run_row_claim(struct database *database, const char *worker, struct arena *arena,
                   struct run_row *out_run, struct job_row *out_job, bool *out_found,
                   struct error *err);
bool run_row_succeed(struct database *database, const char *id, const struct run_outcome *outcome,
                     struct error *err);
bool run_row_fail(struct database *database, const char *id, const struct error *problem,
                  struct error *err);
bool run_row_cancelled(struct database *database, const char *id, struct error *err);
/* Back to the queue, or cancelled when that was asked for meanwhile; not counted as a crash. */
bool run_row_requeue(struct database *database, const char *id, struct error *err);

/* The run has come further since the daemon last died: its crashes are forgotten. */
bool run_row_progressed(struct database *database, const char *id, struct error *err);

/* At start-up: what was running when the daemon died goes back to the queue; it is failed after
 * limits.run_crashes, and cancelled when that was asked for. Before it: run_file_recover. */
struct run_recovery {
    int64_t queued, failed, cancelled;
};
bool run_row_recover(struct database *database, struct run_recovery *out_recovery,
                     struct error *err);
