#include "ptqd/store/run_row.h"

#include "row_id.h"
#include "statement.h"

#define COLUMNS "artifact.name, artifact.name, media_type, blob, bytes"

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct artifact_row *row = out_row;
    *row = (struct artifact_row){
        .name = statement_text(statement, 1, arena),
        .media_type = statement_text(statement, 2, arena),
        .blob = statement_text(statement, 3, arena),
        .bytes = statement_integer(statement, 4),
    };
}

static bool find_run(struct database *database, const char *id, int64_t *out_number,
                     struct error *err)
{
    struct run_key key;
    if (!run_id_parse(id, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT number FROM run WHERE job = ?1 AND variant = ?2 AND seed = ?3", err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    int64_t number = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_close(&statement))
        return false;
    if (number == 0)
        return FAIL(err, E_NOT_FOUND, "there is no run '%s'", id);
    *out_number = number;
    return true;
}

bool artifact_row_list(struct database *database, const char *run, struct arena *arena,
                       struct artifact_row **out_rows, size_t *out_count, struct error *err)
{
    int64_t number;
    if (!find_run(database, run, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " COLUMNS " FROM artifact WHERE run = ?1 ORDER BY name", err);
    statement_bind_integer(&statement, 1, number);
    void *rows;
    if (!statement_list(&statement, ARTIFACTS_MAX, sizeof(struct artifact_row), read_row, arena,
                        &rows, out_count, NULL))
        return false;
    *out_rows = rows;
    return true;
}

bool artifact_row_find(struct database *database, const char *run, const char *name,
                       struct arena *arena, struct artifact_row *out_row, struct error *err)
{
    int64_t number;
    if (!find_run(database, run, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " COLUMNS " FROM artifact WHERE run = ?1 AND name = ?2", err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_text(&statement, 2, name);
    struct artifact_row row;
    bool found = statement_step(&statement);
    if (found)
        read_row(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "run '%s' has no artifact '%s'", run, name);
    *out_row = row;
    return true;
}
