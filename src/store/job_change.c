/* What a user does to a job: cancel, retry, pause, change, delete. The job's counts follow by
 * trigger. */

#include "ptqd/store/job_row.h"

#include "job_label.h"
#include "row_id.h"
#include "statement.h"

#include "ptqd/base/clock.h"
#include "ptqd/store/quota.h"

#include <inttypes.h>
#include <stdio.h>

enum { OWNER_BYTES = 256 }; /* names of tokens are shorter */

/* What a change has to know of the job. */
struct job_brief {
    int64_t number;
    char owner[OWNER_BYTES];
    int64_t queued, running, failed;
    bool cancel_requested;
    int64_t revision;
};

static bool find_brief(struct database *database, const char *id, struct job_brief *out_brief,
                       struct error *err)
{
    int64_t number;
    if (!job_id_parse(id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT queued, running, failed, cancel_requested, revision, owner FROM job"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    bool found = statement_step(&statement);
    struct job_brief brief = {.number = number};
    if (found) {
        brief.queued = statement_integer(&statement, 0);
        brief.running = statement_integer(&statement, 1);
        brief.failed = statement_integer(&statement, 2);
        brief.cancel_requested = statement_integer(&statement, 3) != 0;
        brief.revision = statement_integer(&statement, 4);
        const unsigned char *owner = sqlite3_column_text(statement.handle, 5);
        (void)snprintf(brief.owner, sizeof(brief.owner), "%s",
                       owner == NULL ? "" : (const char *)owner);
    }
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no job '%s'", id);
    *out_brief = brief;
    return true;
}

static bool set_cancel_requested(struct database *database, int64_t number, bool requested,
                                 struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "UPDATE job SET cancel_requested = ?2 WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, requested);
    return statement_run(&statement, NULL);
}

bool job_row_cancel(struct database *database, const char *id, int64_t *out_runs, struct error *err)
{
    struct job_brief brief;
    if (!find_brief(database, id, &brief, err))
        return false;
    if (brief.queued + brief.running == 0)
        return FAIL(err, E_CONFLICT, "job '%s' has ended; nothing is left to cancel", id);
    if (!set_cancel_requested(database, brief.number, true, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'cancelled', finished_ms = ?2"
                   " WHERE job = ?1 AND state = 'queued'",
                   err);
    statement_bind_integer(&statement, 1, brief.number);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    if (!statement_run(&statement, NULL))
        return false;
    *out_runs = brief.queued + brief.running;
    return true;
}

static bool set_paused(struct database *database, int64_t number, bool paused, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "UPDATE job SET paused = ?2 WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, paused);
    return statement_run(&statement, NULL);
}

bool job_row_pause(struct database *database, const char *id, bool paused, int64_t *out_runs,
                   struct error *err)
{
    struct job_brief brief;
    if (!find_brief(database, id, &brief, err))
        return false;
    if (brief.queued + brief.running == 0)
        return FAIL(err, E_CONFLICT, "job '%s' has ended; nothing is left to %s", id,
                    paused ? "pause" : "resume");
    if (!set_paused(database, brief.number, paused, err))
        return false;
    *out_runs = brief.queued;
    return true;
}

/* What a job names may be deleted once the job is done. */
static bool check_inputs_stay(struct database *database, const struct job_brief *brief,
                              const char *id, struct error *err)
{
    struct statement statement;
    statement_open(
        &statement, database,
        "SELECT 'model ' || model FROM job"
        " WHERE number = ?1 AND model NOT IN (SELECT id FROM model)"
        " UNION ALL"
        " SELECT 'data set ' || value FROM job, json_each(json_array("
        "  calibration, calibration_labels, evaluation, evaluation_labels))"
        " WHERE number = ?1 AND value IS NOT NULL AND value NOT IN (SELECT id FROM dataset)"
        " LIMIT 1",
        err);
    statement_bind_integer(&statement, 1, brief->number);
    bool missing = statement_step(&statement);
    if (missing)
        FAIL(err, E_CONFLICT, "the %s that job '%s' names was deleted; upload it again",
             (const char *)sqlite3_column_text(statement.handle, 0), id);
    return statement_close(&statement) && !missing;
}

bool job_row_retry(struct database *database, const char *id, int64_t *out_runs, struct error *err)
{
    struct job_brief brief;
    if (!find_brief(database, id, &brief, err))
        return false;
    if (brief.failed == 0)
        return FAIL(err, E_CONFLICT, "no run of job '%s' has failed; nothing is there to retry",
                    id);
    if (brief.cancel_requested && brief.running > 0)
        return FAIL(err, E_CONFLICT, "job '%s' is being cancelled; wait for its end", id);
    if (!check_inputs_stay(database, &brief, id, err) ||
        !quota_fits_runs(database, brief.owner, brief.failed, err))
        return false;
    if (!set_cancel_requested(database, brief.number, false, err))
        return false;
    if (brief.queued + brief.running == 0 && !set_paused(database, brief.number, false, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'queued', crashes = 0, finished_ms = NULL,"
                   " problem_code = NULL, problem_message = NULL, problem_pointer = NULL"
                   " WHERE job = ?1 AND state = 'failed'",
                   err);
    statement_bind_integer(&statement, 1, brief.number);
    return statement_run(&statement, out_runs);
}

/* The specification says the same as the columns. */
static bool set_terms(struct database *database, int64_t number, const struct job_patch *patch,
                      struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE job SET name = coalesce(?2, name), priority = iif(?3, ?4, priority),"
                   " spec = json_set(spec, '$.name', coalesce(?2, name),"
                   "                 '$.priority', iif(?3, ?4, priority))"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_text(&statement, 2, patch->name);
    statement_bind_integer(&statement, 3, patch->has_priority);
    statement_bind_integer(&statement, 4, patch->priority);
    return statement_run(&statement, NULL);
}

static bool set_labels(struct database *database, int64_t number, const struct job_patch *patch,
                       struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "DELETE FROM job_label WHERE job = ?1", err);
    statement_bind_integer(&statement, 1, number);
    if (!statement_run(&statement, NULL) ||
        !job_label_insert(database, number, patch->labels, patch->label_count, err))
        return false;
    statement_open(&statement, database,
                   "UPDATE job SET spec = json_set(spec, '$.labels', json("
                   " (SELECT json_group_object(key, value) FROM job_label WHERE job = ?1)))"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    return statement_run(&statement, NULL);
}

bool job_row_patch(struct database *database, const char *id, const struct job_patch *patch,
                   struct error *err)
{
    struct job_brief brief;
    if (!find_brief(database, id, &brief, err))
        return false;
    if (patch->revision >= 0 && patch->revision != brief.revision)
        return FAIL(err, E_PRECONDITION, "job '%s' has changed meanwhile", id);
    return set_terms(database, brief.number, patch, err) &&
           (!patch->has_labels || set_labels(database, brief.number, patch, err));
}

bool job_row_delete(struct database *database, const char *id, struct error *err)
{
    struct job_brief brief;
    if (!find_brief(database, id, &brief, err))
        return false;
    if (brief.queued + brief.running > 0)
        return FAIL(err, E_CONFLICT,
                    "job '%s' has %" PRId64 " queued and %" PRId64 " running runs; cancel it first",
                    id, brief.queued, brief.running);
    struct statement statement;
    statement_open(&statement, database, "DELETE FROM job WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, brief.number);
    return statement_run(&statement, NULL);
}
