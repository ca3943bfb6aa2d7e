#include "ptqd/store/store_repair.h"

#include "collect.h"
#include "row_id.h"
#include "statement.h"
#include "store_scan.h"

#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"

#include <inttypes.h>

enum { REPORT_LIMIT_BYTES = 1 << 20 };

struct repair {
    struct text report;
    const struct finding *finding; /* of the write under way */
};

/* ---- files ---- */

/* What is about to be forgotten: nobody else knows it afterwards. */
static bool tell_rows(struct repair *repair, struct database *database, const char *id,
                      struct error *err)
{
    struct statement statement;
    statement_open(
        &statement, database,
        "SELECT 'model ''' || name || ''' of ' || owner FROM model_holder"
        " WHERE model = ?1"
        " UNION ALL SELECT 'data set ''' || name || ''' of ' || owner FROM dataset_holder"
        " WHERE dataset = ?1"
        " UNION ALL SELECT 'artifact ' || name || ' of job j' || job || ', variant ' ||"
        " variant || ', seed ' || seed FROM artifact JOIN run ON run.number = run"
        " WHERE blob = ?1",
        err);
    statement_bind_text(&statement, 1, id);
    while (statement_step(&statement))
        text_printf(&repair->report, "forgotten: %s\n", sqlite3_column_text(statement.handle, 0));
    return statement_close(&statement);
}

static bool forget_file(struct repair *repair, struct database *database, const char *id,
                        struct error *err)
{
    return tell_rows(repair, database, id, err) &&
           statement_run_text(database, "DELETE FROM model WHERE id = ?1", id, err) &&
           statement_run_text(database, "DELETE FROM dataset WHERE id = ?1", id, err) &&
           statement_run_text(database, "DELETE FROM artifact WHERE blob = ?1", id, err);
}

static bool set_aside(struct repair *repair, struct database *database, const char *id,
                      struct error *err)
{
    if (!blob_set_aside(database->blobs, id, err))
        return false;
    text_printf(&repair->report, "moved to lost/: %s\n", id);
    return forget_file(repair, database, id, err);
}

static bool remove_orphan(struct repair *repair, struct database *database, const char *id,
                          struct error *err)
{
    bool named;
    if (!collect_is_named(database, id, &named, err))
        return false;
    if (named)
        return true;
    text_printf(&repair->report, "removed: %s\n", id);
    return blob_remove(database->blobs, id, err);
}

/* ---- rows ---- */

static bool remove_unheld(struct repair *repair, struct database *database, const char *id,
                          struct error *err)
{
    text_printf(&repair->report, "removed: the row of %s\n", id);
    return statement_run_text(database,
                              "DELETE FROM model WHERE id = ?1"
                              " AND NOT EXISTS (SELECT 1 FROM model_holder WHERE model = ?1)",
                              id, err) &&
           statement_run_text(database,
                              "DELETE FROM dataset WHERE id = ?1"
                              " AND NOT EXISTS (SELECT 1 FROM dataset_holder WHERE dataset = ?1)",
                              id, err);
}

static bool count_runs(struct repair *repair, struct database *database, const char *job,
                       struct error *err)
{
    int64_t number;
    if (!job_id_parse(job, &number, err))
        return false;
    text_printf(&repair->report, "counted again: %s\n", job);
    struct statement statement;
    statement_open(&statement, database,
                   "UPDATE job SET (queued, running, succeeded, failed, cancelled) ="
                   " (SELECT count(*) FILTER (WHERE state = 'queued'),"
                   " count(*) FILTER (WHERE state = 'running'),"
                   " count(*) FILTER (WHERE state = 'succeeded'),"
                   " count(*) FILTER (WHERE state = 'failed'),"
                   " count(*) FILTER (WHERE state = 'cancelled') FROM run WHERE job = job.number)"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, number);
    return statement_run(&statement, NULL);
}

static bool count_rows(struct repair *repair, struct database *database, const char *subject,
                       struct error *err)
{
    text_printf(&repair->report, "counted again: %s\n", subject);
    return database_run(database, "DELETE FROM tally", err) &&
           database_run(database, "INSERT INTO tally SELECT 1, * FROM tally_counted", err) &&
           database_run(database, "DELETE FROM stored", err) &&
           database_run(database, "INSERT INTO stored SELECT 1, * FROM stored_counted", err);
}

static bool mark_labels(struct repair *repair, struct database *database, const char *subject,
                        struct error *err)
{
    text_printf(&repair->report, "marked again: the labels of %s\n", subject);
    return database_run(database,
                        "UPDATE job_label SET (job_owner, job_state) ="
                        " (SELECT owner, state FROM job WHERE number = job)"
                        " WHERE job IN (SELECT number FROM job)",
                        err);
}

/* Parents first: their children go with them. */
static bool remove_parentless(struct repair *repair, struct database *database, const char *subject,
                              struct error *err)
{
    static const char *const removals[] = {
        "DELETE FROM variant WHERE job NOT IN (SELECT number FROM job)",
        "DELETE FROM run WHERE (job, variant) NOT IN (SELECT job, variant FROM variant)",
        "DELETE FROM artifact WHERE run NOT IN (SELECT number FROM run)",
        "DELETE FROM run_result WHERE run NOT IN (SELECT number FROM run)",
        "DELETE FROM run_detail WHERE run NOT IN (SELECT number FROM run)",
        "DELETE FROM run_log WHERE run NOT IN (SELECT number FROM run)",
        "DELETE FROM job_label WHERE job NOT IN (SELECT number FROM job)",
        "DELETE FROM idempotency_key WHERE job NOT IN (SELECT number FROM job)",
        "DELETE FROM model_holder WHERE model NOT IN (SELECT id FROM model)",
        "DELETE FROM dataset_holder WHERE dataset NOT IN (SELECT id FROM dataset)",
    };
    (void)subject; /* all tables at once */
    int64_t removed = 0;
    for (size_t i = 0; i < sizeof(removals) / sizeof(removals[0]); i++) {
        int64_t rows;
        struct statement statement;
        statement_open(&statement, database, removals[i], err);
        if (!statement_run(&statement, &rows))
            return false;
        removed += rows;
    }
    if (removed > 0)
        text_printf(&repair->report, "removed: %" PRId64 " rows without their parent\n", removed);
    return true;
}

static bool make_indexes(struct repair *repair, struct database *database, const char *subject,
                         struct error *err)
{
    (void)subject; /* all indexes at once */
    text_puts(&repair->report, "made anew: all indexes of the database\n");
    return database_run(database, "REINDEX", err);
}

/* ---- all ---- */

static bool (*const repairs[])(struct repair *repair, struct database *database,
                               const char *subject, struct error *err) = {
    [FINDING_DATABASE] = make_indexes, [FINDING_PARENT] = remove_parentless,
    [FINDING_COUNTS] = count_runs,     [FINDING_TALLY] = count_rows,
    [FINDING_LABEL] = mark_labels,     [FINDING_MISSING] = forget_file,
    [FINDING_UNREADABLE] = NULL,       [FINDING_CONTENT] = set_aside,
    [FINDING_ORPHAN] = remove_orphan,  [FINDING_HOLDER] = remove_unheld,
};

static bool apply(struct database *database, void *context, struct error *err)
{
    struct repair *repair = context;
    return repairs[repair->finding->kind](repair, database, repair->finding->subject, err);
}

/* What SQLite says is several findings, and so are rows without parents; one repair is for all. */
static bool is_repeated(const struct finding *first, const struct finding *finding)
{
    if (finding->kind != FINDING_DATABASE && finding->kind != FINDING_PARENT)
        return false;
    while (first->kind != finding->kind)
        first = first->next;
    return first != finding;
}

static bool repair_all(struct store *store, struct repair *repair, struct arena *arena,
                       struct error *err)
{
    struct database *database;
    struct findings findings;
    if (!store_reader(store, &database, err) || !store_scan(database, true, arena, &findings, err))
        return false;
    for (const struct finding *f = findings.first; f != NULL; f = f->next) {
        if (repairs[f->kind] == NULL || is_repeated(findings.first, f))
            continue;
        repair->finding = f;
        if (!store_write_now(store, apply, repair, err))
            return error_context(err, "%s: %s", finding_name(f->kind), f->subject);
    }
    return true;
}

bool store_repair(struct store *store, struct arena *arena, const char **out_report,
                  size_t *out_left, struct error *err)
{
    struct repair repair = {.finding = NULL};
    const char *left;
    text_init(&repair.report, REPORT_LIMIT_BYTES);
    bool ok =
        repair_all(store, &repair, arena, err) && store_check(store, arena, &left, out_left, err);
    if (ok) {
        text_puts(&repair.report, left);
        *out_report = text_dup(&repair.report, arena, err);
        ok = *out_report != NULL;
    }
    text_finish(&repair.report);
    return ok;
}
