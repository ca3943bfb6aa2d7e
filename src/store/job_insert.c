/* A new job with its labels, variants, runs and idempotency key, all in the caller's transaction.
 */

#include "ptqd/store/job_row.h"

#include "job_label.h"
#include "row_id.h"
#include "statement.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/mem.h"
#include "ptqd/store/quota.h"

#include <string.h>

bool job_key_find(struct database *database, const char *owner, const char *key,
                  const char *request_digest, char out_id[static JOB_ID_BYTES], bool *out_found,
                  struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT job, request = ?3 FROM idempotency_key WHERE owner = ?1 AND key = ?2",
                   err);
    statement_bind_text(&statement, 1, owner);
    statement_bind_text(&statement, 2, key);
    statement_bind_text(&statement, 3, request_digest);
    bool found = statement_step(&statement);
    int64_t number = found ? statement_integer(&statement, 0) : 0;
    bool same = found && statement_integer(&statement, 1) != 0;
    if (!statement_close(&statement))
        return false;
    if (found) {
        char id[JOB_ID_BYTES];
        job_id_print(number, id);
        if (!same)
            return FAIL(err, E_KEY_REUSED,
                        "the idempotency key '%s' was used for another request, which made job "
                        "'%s'",
                        key, id);
        memcpy(out_id, id, sizeof(id));
    }
    *out_found = found;
    return true;
}

static bool check_exists(struct database *database, const char *sql, const char *what,
                         const char *id, const char *pointer, struct error *err)
{
    if (id == NULL)
        return true;
    struct statement statement;
    statement_open(&statement, database, sql, err);
    statement_bind_text(&statement, 1, id);
    bool found = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    if (found)
        return true;
    FAIL(err, E_NOT_FOUND, "there is no %s %s; upload it first", what, id);
    return error_at(err, "%s", pointer);
}

static bool check_inputs(struct database *database, const struct job_row *row, struct error *err)
{
    static const char model[] = "SELECT 1 FROM model WHERE id = ?1";
    static const char dataset[] = "SELECT 1 FROM dataset WHERE id = ?1";
    return check_exists(database, model, "model", row->model, "/model", err) &&
           check_exists(database, dataset, "data set", row->calibration, "/calibration", err) &&
           check_exists(database, dataset, "data set", row->calibration_labels,
                        "/calibration/labels", err) &&
           check_exists(database, dataset, "data set", row->evaluation, "/evaluation", err) &&
           check_exists(database, dataset, "data set", row->evaluation_labels, "/evaluation/labels",
                        err);
}

/* OR FAIL: what this would leave half done is rolled back with its group. To undo it alone, SQLite
 * copies each page that it or a trigger changes, a quarter of its time. */
static bool insert_job(struct database *database, const struct job_row *row, int64_t runs,
                       int64_t now_ms, int64_t *out_number, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT OR FAIL INTO job (name, owner, priority, spec, model, calibration,"
                   " calibration_labels, evaluation, evaluation_labels, created_ms, queued)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                   err);
    statement_bind_text(&statement, 1, row->name);
    statement_bind_text(&statement, 2, row->owner);
    statement_bind_integer(&statement, 3, row->priority);
    statement_bind_text(&statement, 4, row->spec);
    statement_bind_text(&statement, 5, row->model);
    statement_bind_text(&statement, 6, row->calibration);
    statement_bind_text(&statement, 7, row->calibration_labels);
    statement_bind_text(&statement, 8, row->evaluation);
    statement_bind_text(&statement, 9, row->evaluation_labels);
    statement_bind_integer(&statement, 10, now_ms);
    statement_bind_integer(&statement, 11, runs);
    if (!statement_run(&statement, NULL))
        return false;
    *out_number = sqlite3_last_insert_rowid(database->handle);
    return true;
}

static bool insert_variants(struct database *database, int64_t number,
                            const struct job_insert *insert, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "INSERT INTO variant VALUES (?1, ?2, ?3)", err);
    statement_bind_integer(&statement, 1, number);
    for (size_t i = 0; i < insert->variant_count; i++) {
        statement_bind_integer(&statement, 2, (int64_t)i);
        statement_bind_text(&statement, 3, insert->choices[i]);
        statement_repeat(&statement);
    }
    return statement_close(&statement);
}

/* All variants with the first seed, then all with the second …: the whole comparison is there
 * early, and gets sharper. */
static bool insert_runs(struct database *database, int64_t number, const struct job_insert *insert,
                        int64_t now_ms, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO run (job, variant, seed, created_ms) VALUES (?1, ?2, ?3, ?4)", err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 4, now_ms);
    for (size_t s = 0; s < insert->seed_count; s++) {
        statement_bind_integer(&statement, 3, insert->seeds[s]);
        for (size_t v = 0; v < insert->variant_count; v++) {
            statement_bind_integer(&statement, 2, (int64_t)v);
            statement_repeat(&statement);
        }
    }
    return statement_close(&statement);
}

static bool insert_key(struct database *database, int64_t number, const struct job_insert *insert,
                       struct error *err)
{
    if (insert->key == NULL)
        return true;
    struct statement statement;
    statement_open(&statement, database, "INSERT INTO idempotency_key VALUES (?1, ?2, ?3, ?4)",
                   err);
    statement_bind_text(&statement, 1, insert->row.owner);
    statement_bind_text(&statement, 2, insert->key);
    statement_bind_text(&statement, 3, insert->request_digest);
    statement_bind_integer(&statement, 4, number);
    return statement_run(&statement, NULL);
}

bool job_row_insert(struct database *database, const struct job_insert *insert,
                    struct job_inserted *out_inserted, struct error *err)
{
    const struct job_row *row = &insert->row;
    struct job_inserted inserted = {.replayed = false};
    if (insert->key != NULL &&
        !job_key_find(database, row->owner, insert->key, insert->request_digest, inserted.id,
                      &inserted.replayed, err))
        return false;
    if (inserted.replayed) {
        *out_inserted = inserted;
        return true;
    }

    int64_t runs, number, now_ms = clock_unix_ms();
    if (insert->variant_count == 0 || insert->seed_count == 0 ||
        !mem_mul_i64((int64_t)insert->variant_count, (int64_t)insert->seed_count, &runs))
        return FAIL(err, E_INVALID, "a job of %zu variants with %zu seeds each has no runs",
                    insert->variant_count, insert->seed_count);
    if (!check_inputs(database, row, err) || !quota_fits_runs(database, row->owner, runs, err) ||
        !insert_job(database, row, runs, now_ms, &number, err) ||
        !job_label_insert(database, number, insert->labels, insert->label_count, err) ||
        !insert_variants(database, number, insert, err) ||
        !insert_runs(database, number, insert, now_ms, err) ||
        !insert_key(database, number, insert, err))
        return false;
    job_id_print(number, inserted.id);
    inserted.created_ms = now_ms;
    *out_inserted = inserted;
    return true;
}

struct job_row job_row_of(const struct job_insert *insert, const struct job_inserted *inserted)
{
    struct job_row row = insert->row;
    memcpy(row.id, inserted->id, sizeof(row.id));
    row.state = JOB_QUEUED;
    row.counts =
        (struct job_counts){.queued = (int64_t)(insert->variant_count * insert->seed_count)};
    row.created_ms = inserted->created_ms;
    return row;
}
