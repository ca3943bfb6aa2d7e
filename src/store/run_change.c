/* What workers do to runs: claim, finish, give back; and what start-up does. The job's counts
 * follow by trigger. */

#include "ptqd/store/run_detail.h"
#include "ptqd/store/run_log_row.h"

#include "row_id.h"
#include "row_list.h"
#include "run_read.h"

#include "ptqd/base/clock.h"

#include <inttypes.h>

/* ---- claiming ---- */

/* The job whose run is next, 0 when there is none. Fairness is between owners; within an owner the
 * oldest job goes first, so that only the first of each owner is looked at. An owner who runs
 * nothing is below any limit, so that only those who do are looked up. */
static bool next_job(struct database *database, int64_t *out_number, struct error *err)
{
    struct statement statement;
    statement_open(
        &statement, database,
        "WITH RECURSIVE"
        " busy AS (SELECT owner, sum(running) AS runs,"
        "            (SELECT running_runs FROM token WHERE name = owner) AS own"
        "           FROM job WHERE running > 0 GROUP BY owner),"
        " waiting (owner) AS ("
        "  SELECT (SELECT min(owner) FROM job WHERE queued > 0) FROM queue WHERE NOT paused"
        "  UNION ALL"
        "  SELECT (SELECT min(owner) FROM job WHERE queued > 0 AND owner > waiting.owner)"
        "    FROM waiting WHERE waiting.owner IS NOT NULL)"
        " SELECT number FROM waiting LEFT JOIN busy USING (owner)"
        "  JOIN job ON number = (SELECT number FROM job WHERE owner = waiting.owner"
        "                         AND queued > 0 AND paused = 0"
        "                         ORDER BY priority DESC, number LIMIT 1)"
        "  WHERE (coalesce(nullif(own, 0), ?1) <= 0"
        "         OR coalesce(runs, 0) < coalesce(nullif(own, 0), ?1))"
        "  ORDER BY priority DESC, coalesce(runs, 0), number LIMIT 1",
        err);
    statement_bind_integer(&statement, 1, database->limits.running_runs);
    int64_t number = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_close(&statement))
        return false;
    *out_number = number;
    return true;
}

static bool read_claimed(struct database *database, int64_t number, struct arena *arena,
                         struct run_row *out_run, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " RUN_COLUMNS " FROM run JOIN variant USING (job, variant)"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    if (statement_step(&statement))
        run_read(&statement, arena, out_run);
    return statement_close(&statement);
}

/* The oldest queued run of the job starts. */
static bool start_run(struct database *database, int64_t job, const char *worker,
                      int64_t *out_number, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'running', attempts = attempts + 1, worker = ?2,"
                   " started_ms = ?3, finished_ms = NULL"
                   " WHERE number = (SELECT number FROM run WHERE job = ?1 AND state = 'queued'"
                   "                 ORDER BY number LIMIT 1)"
                   " RETURNING number",
                   err);
    statement_bind_integer(&statement, 1, job);
    statement_bind_text(&statement, 2, worker);
    statement_bind_integer(&statement, 3, clock_unix_ms());
    int64_t number = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_run(&statement, NULL))
        return false;
    if (number == 0)
        return FAIL(err, E_INTERNAL, "job j%" PRId64 " counts a queued run, but has none", job);
    *out_number = number;
    return true;
}

bool run_row_claim(struct database *database, const char *worker, struct arena *arena,
                   struct run_row *out_run, struct job_row *out_job, bool *out_found,
                   struct error *err)
{
    int64_t job = 0, run = 0;
    if (!next_job(database, &job, err))
        return false;
    if (job == 0) {
        *out_found = false;
        return true;
    }
    char id[JOB_ID_BYTES];
    job_id_print(job, id);
    if (!start_run(database, job, worker, &run, err) ||
        !read_claimed(database, run, arena, out_run, err) ||
        !job_row_find(database, id, arena, out_job, err))
        return false;
    *out_found = true;
    return true;
}

/* ---- ending ---- */

/* Number of a running run; E_CONFLICT when it is not running. */
static bool find_running(struct database *database, const char *id, int64_t *out_number,
                         struct error *err)
{
    struct run_key key;
    if (!run_id_parse(id, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT number, state = 'running' FROM run"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    bool found = statement_step(&statement);
    int64_t number = found ? statement_integer(&statement, 0) : 0;
    bool running = found && statement_integer(&statement, 1) != 0;
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no run '%s'", id);
    if (!running)
        return FAIL(err, E_CONFLICT, "run '%s' is not running", id);
    *out_number = number;
    return true;
}

static bool insert_artifacts(struct database *database, int64_t run,
                             const struct run_outcome *outcome, struct error *err)
{
    if (outcome->artifact_count > ARTIFACTS_MAX)
        return FAIL(err, E_TOO_LARGE, "%zu artifacts; a run may have %d", outcome->artifact_count,
                    (int)ARTIFACTS_MAX);
    for (size_t i = 0; i < outcome->artifact_count; i++) {
        if (!row_needs_blob(database, outcome->artifacts[i].blob, err))
            return error_context(err, "artifact '%s'", outcome->artifacts[i].name);
    }
    struct statement statement;
    statement_open(&statement, database, "INSERT INTO artifact VALUES (?1, ?2, ?3, ?4, ?5)", err);
    statement_bind_integer(&statement, 1, run);
    for (size_t i = 0; i < outcome->artifact_count; i++) {
        const struct artifact_row *artifact = &outcome->artifacts[i];
        statement_bind_text(&statement, 2, artifact->name);
        statement_bind_text(&statement, 3, artifact->media_type);
        statement_bind_text(&statement, 4, artifact->blob);
        statement_bind_integer(&statement, 5, artifact->bytes);
        statement_repeat(&statement);
    }
    return statement_close(&statement);
}

static bool insert_result(struct database *database, int64_t run, const char *result,
                          struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "INSERT INTO run_result VALUES (?1, ?2)", err);
    statement_bind_integer(&statement, 1, run);
    statement_bind_text(&statement, 2, result);
    return statement_run(&statement, NULL);
}

bool run_row_succeed(struct database *database, const char *id, const struct run_outcome *outcome,
                     struct error *err)
{
    int64_t number;
    if (!find_running(database, id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'succeeded', finished_ms = ?2, accuracy = ?3, loss = ?4,"
                   " agreement = ?5, seconds = ?6, peak_rss_bytes = ?7,"
                   " summary = json_remove(?8, '$.layers', '$.sensitivity')"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    statement_bind_real(&statement, 3, outcome->accuracy);
    statement_bind_real(&statement, 4, outcome->loss);
    statement_bind_real(&statement, 5, outcome->agreement);
    statement_bind_real(&statement, 6, outcome->seconds);
    statement_bind_integer(&statement, 7, outcome->peak_rss_bytes);
    statement_bind_text(&statement, 8, outcome->result);
    return statement_run(&statement, NULL) &&
           insert_result(database, number, outcome->result, err) &&
           run_detail_insert(database, number, outcome->details, outcome->detail_count, err) &&
           insert_artifacts(database, number, outcome, err);
}

bool run_row_fail(struct database *database, const char *id, const struct error *problem,
                  struct error *err)
{
    /* Readers of the row tell by the code whether the message is for clients. */
    enum error_code code = problem->internal && problem->code != E_NO_SPACE ? E_IO : problem->code;
    int64_t number;
    if (!find_running(database, id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'failed', finished_ms = ?2, problem_code = ?3,"
                   " problem_message = ?4, problem_pointer = ?5 WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    statement_bind_text(&statement, 3, error_code_name(code));
    statement_bind_text(&statement, 4, problem->message);
    statement_bind_text(&statement, 5, problem->pointer);
    return statement_run(&statement, NULL);
}

bool run_row_cancelled(struct database *database, const char *id, struct error *err)
{
    int64_t number;
    if (!find_running(database, id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run SET state = 'cancelled', finished_ms = ?2 WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    return statement_run(&statement, NULL);
}

bool run_row_requeue(struct database *database, const char *id, struct error *err)
{
    int64_t number;
    if (!find_running(database, id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE run"
                   "   SET state = iif(cancel_requested, 'cancelled', 'queued'),"
                   "       finished_ms = iif(cancel_requested, ?2, NULL)"
                   "  FROM job WHERE run.number = ?1 AND job.number = run.job",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, clock_unix_ms());
    return statement_run(&statement, NULL);
}

/* ---- after a crash ---- */

bool run_row_progressed(struct database *database, const char *id, struct error *err)
{
    int64_t number;
    if (!find_running(database, id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, "UPDATE run SET crashes = 0 WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, number);
    return statement_run(&statement, NULL);
}

/* Runs one UPDATE whose parameters are the time and the most crashes. */
static bool recover(struct database *database, const char *sql, int64_t *out_runs,
                    struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    statement_bind_integer(&statement, 1, clock_unix_ms());
    statement_bind_integer(&statement, 2, database->limits.run_crashes);
    return statement_run(&statement, out_runs);
}

bool run_row_recover(struct database *database, struct run_recovery *out_recovery,
                     struct error *err)
{
    struct run_recovery recovery;
    if (!run_log_row_crashed(database, err) ||
        !database_run(database, "UPDATE run SET crashes = crashes + 1 WHERE state = 'running'",
                      err) ||
        !recover(database,
                 "UPDATE run SET state = 'cancelled', finished_ms = ?1"
                 " WHERE state = 'running' AND ?2 >= 0"
                 "   AND job IN (SELECT number FROM job WHERE cancel_requested)",
                 &recovery.cancelled, err) ||
        !recover(database,
                 "UPDATE run SET state = 'failed', finished_ms = ?1, problem_code = 'internal',"
                 " problem_message = 'the daemon died ' || crashes || ' times while this run was"
                 " running, without a checkpoint in between', problem_pointer = ''"
                 " WHERE state = 'running' AND ?2 > 0 AND crashes >= ?2",
                 &recovery.failed, err) ||
        !recover(database,
                 "UPDATE run SET state = 'queued' WHERE state = 'running' AND ?1 > 0 AND ?2 >= 0",
                 &recovery.queued, err))
        return false;
    *out_recovery = recovery;
    return true;
}
