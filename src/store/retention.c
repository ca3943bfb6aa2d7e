/* Each round looks for a few candidates with the thread's own connection, which disturbs nobody
 * however long it reads, and deletes them in one write, which looks again whether they are free,
 * and as old: somebody may have sent them again. A round that deletes nothing is the last one: what
 * is left of its candidates came into use. */

#include "ptqd/store/retention.h"

#include "row_list.h"
#include "statement.h"

#include "ptqd/store/job_row.h"
#include "ptqd/store/store_counts.h"

#include <stdio.h>

enum { ROUND_MAX = 50 };

enum kind { KIND_JOB, KIND_MODEL, KIND_DATASET, KINDS };

struct candidate {
    enum kind kind;
    char id[96];       /* "j17", "sha256:…" */
    int64_t before_ms; /* it was there already */
    bool deleted;
};

struct round {
    const struct retention_limits *limits; /* borrowed */
    int64_t now_ms;
    int64_t excess_bytes; /* what is to be freed for want of room; at most 0: nothing */
    struct candidate candidates[ROUND_MAX];
    size_t count;
    struct retention_result deleted;
};

/* ---- candidates ---- */

/* Jobs in the order of their end, with the bytes of their artifacts. */
static const char finished_jobs[] =
    "SELECT 'j' || number, coalesce((SELECT sum(bytes) FROM artifact JOIN run ON"
    " run.number = artifact.run WHERE run.job = job.number), 0)"
    " FROM job WHERE queued + running = 0 AND finished_ms < ?1 ORDER BY finished_ms, number"
    " LIMIT 50";
static const char unused_models[] =
    "SELECT id, bytes FROM model WHERE created_ms < ?1 AND id NOT IN (SELECT model FROM job)"
    " ORDER BY created_ms, number LIMIT 50";
static const char unused_datasets[] =
    "SELECT id, bytes FROM dataset WHERE created_ms < ?1"
    " AND id NOT IN (SELECT calibration FROM job)"
    " AND id NOT IN (SELECT calibration_labels FROM job WHERE calibration_labels IS NOT NULL)"
    " AND id NOT IN (SELECT evaluation FROM job WHERE evaluation IS NOT NULL)"
    " AND id NOT IN (SELECT evaluation_labels FROM job WHERE evaluation_labels IS NOT NULL)"
    " ORDER BY created_ms, number LIMIT 50";

static const char *const queries[KINDS] = {
    [KIND_JOB] = finished_jobs,
    [KIND_MODEL] = unused_models,
    [KIND_DATASET] = unused_datasets,
};

/* Those older than `age_ms`; `for_room`: only until they free what is too much. */
static bool find(struct round *round, struct database *database, enum kind kind, int64_t age_ms,
                 bool for_room, struct error *err)
{
    struct statement statement;
    int64_t before_ms = round->now_ms - age_ms;
    statement_open(&statement, database, queries[kind], err);
    statement_bind_integer(&statement, 1, before_ms);
    while (round->count < ROUND_MAX && (!for_room || round->excess_bytes > 0) &&
           statement_step(&statement)) {
        struct candidate *candidate = &round->candidates[round->count++];
        const char *id = (const char *)sqlite3_column_text(statement.handle, 0);
        candidate->kind = kind;
        candidate->before_ms = before_ms;
        (void)snprintf(candidate->id, sizeof(candidate->id), "%s", id == NULL ? "" : id);
        round->excess_bytes -= statement_integer(&statement, 1);
    }
    return statement_close(&statement);
}

static bool find_old(struct round *round, struct database *database, struct error *err)
{
    const struct retention_limits *limits = round->limits;
    if (limits->jobs_ms > 0 && !find(round, database, KIND_JOB, limits->jobs_ms, false, err))
        return false;
    return limits->unused_ms == 0 ||
           (find(round, database, KIND_MODEL, limits->unused_ms, false, err) &&
            find(round, database, KIND_DATASET, limits->unused_ms, false, err));
}

static bool find_for_room(struct round *round, struct database *database, struct error *err)
{
    struct store_counts counts;
    if (round->limits->bytes == 0 || round->count > 0) /* age first: it may make room enough */
        return true;
    if (!store_count(database, &counts, err))
        return false;
    round->excess_bytes =
        counts.model_bytes + counts.dataset_bytes + counts.artifact_bytes - round->limits->bytes;
    for (int kind = 0; kind < KINDS; kind++) {
        if (!find(round, database, (enum kind)kind, RETENTION_GRACE_MS, true, err))
            return false;
    }
    return true;
}

/* ---- deletion ---- */

static bool delete_file(struct database *database, const char *what, const char *sql,
                        const struct candidate *candidate, struct error *err)
{
    int64_t deleted;
    struct statement statement;
    if (!row_is_free(database, what, candidate->id, NULL, err))
        return false;
    statement_open(&statement, database, sql, err);
    statement_bind_text(&statement, 1, candidate->id);
    statement_bind_integer(&statement, 2, candidate->before_ms);
    if (!statement_run(&statement, &deleted))
        return false;
    return deleted > 0 || FAIL(err, E_CONFLICT, "the %s %s was sent again", what, candidate->id);
}

static bool delete_one(struct database *database, const struct candidate *candidate,
                       struct error *err)
{
    switch (candidate->kind) {
    case KIND_JOB:
        return job_row_delete(database, candidate->id, err);
    case KIND_MODEL:
        return delete_file(database, "model", "DELETE FROM model WHERE id = ?1 AND created_ms < ?2",
                           candidate, err);
    case KIND_DATASET:
        return delete_file(database, "data set",
                           "DELETE FROM dataset WHERE id = ?1 AND created_ms < ?2", candidate, err);
    case KINDS:
        break;
    }
    return FAIL(err, E_INTERNAL, "there is no kind %d", (int)candidate->kind);
}

static bool apply_deletion(struct database *database, void *context, struct error *err)
{
    struct round *round = context;
    round->deleted = (struct retention_result){.jobs = 0};
    int64_t *const counters[KINDS] = {
        [KIND_JOB] = &round->deleted.jobs,
        [KIND_MODEL] = &round->deleted.models,
        [KIND_DATASET] = &round->deleted.datasets,
    };
    for (size_t i = 0; i < round->count; i++) {
        struct error reason = {.message = ""};
        struct candidate *candidate = &round->candidates[i];
        candidate->deleted = delete_one(database, candidate, &reason);
        if (candidate->deleted) {
            ++*counters[candidate->kind];
        } else if (reason.code != E_CONFLICT && reason.code != E_NOT_FOUND) { /* in use, or gone */
            *err = reason;
            return false;
        }
    }
    return true;
}

static void tell(const struct round *round, const struct retention_caller *caller)
{
    for (size_t i = 0; caller != NULL && i < round->count; i++) {
        const struct candidate *candidate = &round->candidates[i];
        if (candidate->deleted && candidate->kind == KIND_JOB)
            caller->job_gone(caller->context, candidate->id);
    }
}

bool retention_apply(struct store *store, const struct retention_limits *limits, int64_t now_ms,
                     const struct retention_caller *caller, struct retention_result *out_result,
                     struct error *err)
{
    struct retention_result total = {.jobs = 0};
    bool goes_on = limits->jobs_ms > 0 || limits->unused_ms > 0 || limits->bytes > 0;
    while (goes_on && (caller == NULL || !caller->ends(caller->context))) {
        struct round round = {.limits = limits, .now_ms = now_ms};
        struct database *database;
        if (!store_reader(store, &database, err) || !find_old(&round, database, err) ||
            !find_for_room(&round, database, err))
            return false;
        if (round.count > 0 && !store_write_now(store, apply_deletion, &round, err))
            return false;
        tell(&round, caller);
        total.jobs += round.deleted.jobs;
        total.models += round.deleted.models;
        total.datasets += round.deleted.datasets;
        goes_on = round.deleted.jobs + round.deleted.models + round.deleted.datasets > 0;
    }
    *out_result = total;
    return true;
}
