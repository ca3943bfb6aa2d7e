#include "ptqd/store/quota.h"

#include "statement.h"

#include <inttypes.h>

/* The store's limit, unless the token has one of its own. */
static int64_t choose(int64_t own, int64_t limit)
{
    return own == 0 ? limit : own == QUOTA_NONE ? 0 : own;
}

bool quota_limits(struct database *database, const char *owner, struct quota *out_limits,
                  struct error *err)
{
    const struct store_limits *limits = &database->limits;
    struct quota quota = {limits->queued_runs, limits->running_runs, limits->stored_bytes};
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT queued_runs, running_runs, stored_bytes FROM token WHERE name = ?1",
                   err);
    statement_bind_text(&statement, 1, owner);
    if (statement_step(&statement)) {
        quota.queued_runs = choose(statement_integer(&statement, 0), quota.queued_runs);
        quota.running_runs = choose(statement_integer(&statement, 1), quota.running_runs);
        quota.stored_bytes = choose(statement_integer(&statement, 2), quota.stored_bytes);
    }
    if (!statement_close(&statement))
        return false;
    *out_limits = quota;
    return true;
}

/* A sum over what belongs to the owner. */
static bool sum_of(struct database *database, const char *sql, const char *owner, int64_t *out_sum,
                   struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    statement_bind_text(&statement, 1, owner);
    int64_t sum = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_close(&statement))
        return false;
    *out_sum = sum;
    return true;
}

static const char queued_sql[] =
    "SELECT coalesce(sum(queued), 0) FROM job WHERE owner = ?1 AND queued > 0";
static const char running_sql[] =
    "SELECT coalesce(sum(running), 0) FROM job WHERE owner = ?1 AND running > 0";
static const char stored_sql[] =
    "SELECT (SELECT coalesce(sum(bytes), 0) FROM model_holder JOIN model"
    "         ON id = model WHERE owner = ?1)"
    "     + (SELECT coalesce(sum(bytes), 0) FROM dataset_holder JOIN dataset"
    "         ON id = dataset WHERE owner = ?1)";

bool quota_used(struct database *database, const char *owner, struct quota *out_used,
                struct error *err)
{
    struct quota used;
    if (!sum_of(database, queued_sql, owner, &used.queued_runs, err) ||
        !sum_of(database, running_sql, owner, &used.running_runs, err) ||
        !sum_of(database, stored_sql, owner, &used.stored_bytes, err))
        return false;
    *out_used = used;
    return true;
}

bool quota_fits_bytes(struct database *database, const char *owner, int64_t bytes,
                      struct error *err)
{
    struct quota limits;
    int64_t stored = 0;
    if (!quota_limits(database, owner, &limits, err))
        return false;
    int64_t limit = limits.stored_bytes;
    if (limit == 0)
        return true;
    if (!sum_of(database, stored_sql, owner, &stored, err))
        return false;
    if (stored > limit || bytes > limit - stored)
        return FAIL(err, E_LIMIT,
                    "%" PRId64 " bytes more than the %" PRId64 " that '%s' has stored are above "
                    "the limit of %" PRId64,
                    bytes, stored, owner, limit);
    return true;
}

bool quota_fits_runs(struct database *database, const char *owner, int64_t runs, struct error *err)
{
    struct quota limits;
    int64_t queued = 0;
    if (!quota_limits(database, owner, &limits, err))
        return false;
    int64_t limit = limits.queued_runs;
    if (limit == 0)
        return true;
    if (!sum_of(database, queued_sql, owner, &queued, err))
        return false;
    if (runs > limit - queued)
        return FAIL(err, E_LIMIT,
                    "%" PRId64 " runs more than the %" PRId64 " that '%s' has queued are above "
                    "the limit of %" PRId64,
                    runs, queued, owner, limit);
    return true;
}
