#include "ptqd/store/run_detail.h"

#include "row_id.h"
#include "statement.h"

bool run_detail_find(struct database *database, const char *run, const char *name,
                     struct arena *arena, const char **out_value, struct error *err)
{
    struct run_key key;
    if (!run_id_parse(run, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT value FROM run JOIN run_detail ON run = number"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3 AND name = ?4",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    statement_bind_text(&statement, 4, name);
    const char *value = statement_step(&statement) ? statement_text(&statement, 0, arena) : NULL;
    if (!statement_close(&statement))
        return false;
    if (value == NULL)
        return FAIL(err, E_NOT_FOUND, "run '%s' has no %s", run, name);
    *out_value = value;
    return true;
}

bool run_detail_insert(struct database *database, int64_t run, const struct run_detail *details,
                       size_t count, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "INSERT INTO run_detail VALUES (?1, ?2, ?3)", err);
    statement_bind_integer(&statement, 1, run);
    for (size_t i = 0; i < count; i++) {
        statement_bind_text(&statement, 2, details[i].name);
        statement_bind_text(&statement, 3, details[i].value);
        statement_repeat(&statement);
    }
    return statement_close(&statement);
}
