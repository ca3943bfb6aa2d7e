#include "ptqd/store/job_owner.h"

#include "row_id.h"
#include "statement.h"

/* Takes the first column of a statement of at most one row; NULL without a row. */
static bool read_owner(struct statement *statement, struct arena *arena, const char **out_owner)
{
    const char *owner = statement_step(statement) ? statement_text(statement, 0, arena) : NULL;
    if (!statement_close(statement))
        return false;
    *out_owner = owner;
    return true;
}

bool job_owner_find(struct database *database, const char *job, struct arena *arena,
                    const char **out_owner, struct error *err)
{
    int64_t number;
    if (!job_id_parse(job, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, "SELECT owner FROM job WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, number);
    const char *owner = NULL;
    if (!read_owner(&statement, arena, &owner))
        return false;
    if (owner == NULL)
        return FAIL(err, E_NOT_FOUND, "there is no job '%s'", job);
    *out_owner = owner;
    return true;
}

bool job_owner_find_of_run(struct database *database, const char *run, struct arena *arena,
                           const char **out_owner, struct error *err)
{
    struct run_key key;
    if (!run_id_parse(run, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT owner FROM run JOIN job ON job.number = run.job"
                   " WHERE run.job = ?1 AND variant = ?2 AND seed = ?3",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    const char *owner = NULL;
    if (!read_owner(&statement, arena, &owner))
        return false;
    if (owner == NULL)
        return FAIL(err, E_NOT_FOUND, "there is no run '%s'", run);
    *out_owner = owner;
    return true;
}
