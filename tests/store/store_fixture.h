#pragma once

/* A store in a temporary directory, with a model and data sets to make jobs of. */

#include "ptqd/store/blob.h"
#include "ptqd/store/dataset_row.h"
#include "ptqd/store/job_row.h"
#include "ptqd/store/model_row.h"
#include "ptqd/store/run_row.h"
#include "ptqd/store/store.h"

#include <stdatomic.h>
#include <uv.h>

/* Lets one SQL step of the writer fail. */
struct store_fixture_fault {
    atomic_int countdown; /* of steps; the one that takes it to 0 fails. Below 1: none */
    atomic_bool struck;
};

struct store_fixture {
    char directory[256];
    struct arena *arena;
    struct store *store;
    struct store_limits limits; /* used by store_fixture_open */
    struct store_fixture_fault fault;
    char model[DIGEST_ID_BYTES], calibration[DIGEST_ID_BYTES], evaluation[DIGEST_ID_BYTES];
};

/* Makes the directory, opens the store, and inserts the model and the two data sets. */
void store_fixture_init(struct store_fixture *fixture);
void store_fixture_finish(struct store_fixture *fixture);

/* Called inside a write: lets the given step of the next group fail, counted from 1; 0 for none. */
void store_fixture_arm(struct store_fixture *fixture, int step);

/* Holds the writer inside a write, so that what is submitted meanwhile becomes one group. */
struct store_holder {
    struct store_write write;
    uv_sem_t entered, go;
};

/* Returns when the writer is held. */
void store_holder_begin(struct store_fixture *fixture, struct store_holder *holder);
void store_holder_end(struct store_fixture *fixture, struct store_holder *holder);

/* Opens the store of a fixture whose store was closed. */
void store_fixture_open(struct store_fixture *fixture);
/* Waits until what a crash left has been searched for. */
void store_fixture_search(struct store_fixture *fixture);
void store_fixture_close(struct store_fixture *fixture);

/* This thread's connection. */
struct database *store_fixture_reader(struct store_fixture *fixture);

/* A blob with this text, its id in `out_id`; it stays pinned. */
void store_fixture_blob(struct store_fixture *fixture, const char *text,
                        char out_id[static DIGEST_ID_BYTES]);

/* A job of `owner` on the fixture's objects; `seeds` at most 8 of them, 0, 1, … */
struct job_insert store_fixture_job(const struct store_fixture *fixture, const char *owner,
                                    size_t variants, size_t seeds);

/* Inserts such a job; the test fails when that fails. */
void store_fixture_submit(struct store_fixture *fixture, const struct job_insert *insert,
                          char out_id[static JOB_ID_BYTES]);
bool store_fixture_try_submit(struct store_fixture *fixture, const struct job_insert *insert,
                              char out_id[static JOB_ID_BYTES], bool *out_replayed,
                              struct error *err);

/* One write of a job or run function with an id. */
bool store_fixture_cancel(struct store_fixture *fixture, const char *id, int64_t *out_runs,
                          struct error *err);
bool store_fixture_retry(struct store_fixture *fixture, const char *id, int64_t *out_runs,
                         struct error *err);
bool store_fixture_delete(struct store_fixture *fixture, const char *id, struct error *err);
/* The claimed run, or false when there is none. */
bool store_fixture_claim(struct store_fixture *fixture, struct run_row *out_run);
bool store_fixture_succeed(struct store_fixture *fixture, const char *id,
                           const struct run_outcome *outcome, struct error *err);
bool store_fixture_fail(struct store_fixture *fixture, const char *id, struct error *err);
bool store_fixture_cancelled(struct store_fixture *fixture, const char *id, struct error *err);
bool store_fixture_requeue(struct store_fixture *fixture, const char *id, struct error *err);

/* The rows as they are now. */
struct job_row store_fixture_find_job(struct store_fixture *fixture, const char *id);
struct run_row store_fixture_find_run(struct store_fixture *fixture, const char *id);

/* Checks that the database is sound and every blob is what its name says. */
void store_fixture_check(struct store_fixture *fixture);
