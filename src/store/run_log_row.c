#include "ptqd/store/run_log_row.h"

#include "row_id.h"
#include "row_list.h"
#include "statement.h"

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct run_log_row *row = out_row;
    row->attempt = statement_integer(statement, 0);
    row->lines = statement_text(statement, 1, arena);
}

bool run_log_row_list(struct database *database, const char *run, struct arena *arena,
                      struct run_log_row **out_rows, size_t *out_count, struct error *err)
{
    enum { ATTEMPTS_MAX = 1000 };
    struct run_key key;
    void *rows;
    if (!run_id_parse(run, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT attempt, lines FROM run JOIN run_log ON run = number"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3 ORDER BY attempt",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    if (!statement_list(&statement, ATTEMPTS_MAX, sizeof(struct run_log_row), read_row, arena,
                        &rows, out_count, NULL))
        return false;
    *out_rows = rows;
    return true;
}

bool run_log_row_insert(struct database *database, const char *run, const struct run_log_row *row,
                        struct error *err)
{
    struct run_key key;
    if (!run_id_parse(run, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT OR REPLACE INTO run_log SELECT number, ?4, ?5 FROM run"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    statement_bind_integer(&statement, 4, row->attempt);
    statement_bind_text(&statement, 5, row->lines);
    return statement_run(&statement, NULL);
}

bool run_log_row_crashed(struct database *database, struct error *err)
{
    return database_run(
        database,
        "INSERT OR REPLACE INTO run_log"
        " SELECT number, attempts,"
        "        json_array(json_object('time', strftime('%Y-%m-%dT%H:%M:%fZ',"
        "                                                started_ms / 1000.0, 'unixepoch'),"
        "                               'text', 'started by ' || worker || ', attempt ' || "
        "attempts),"
        "                   json_object('time', strftime('%Y-%m-%dT%H:%M:%fZ'),"
        "                               'text', 'the daemon died, and was started again'))"
        "   FROM run WHERE state = 'running'",
        err);
}
