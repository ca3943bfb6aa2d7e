#include "ptqd/store/store_counts.h"

#include "statement.h"

static bool count_table(struct database *database, const char *sql, int64_t *out_rows,
                        int64_t *out_bytes, struct error *err)
{
    struct statement statement;
    int64_t rows = 0, bytes = 0;
    statement_open(&statement, database, sql, err);
    if (statement_step(&statement)) {
        rows = statement_integer(&statement, 0);
        bytes = statement_integer(&statement, 1);
    }
    if (!statement_close(&statement))
        return false;
    *out_rows = rows;
    *out_bytes = bytes;
    return true;
}

bool store_count(struct database *database, struct store_counts *out_counts, struct error *err)
{
    struct store_counts counts;
    if (!count_table(database, "SELECT count(*), sum(bytes) FROM model", &counts.models,
                     &counts.model_bytes, err) ||
        !count_table(database, "SELECT count(*), sum(bytes) FROM dataset", &counts.datasets,
                     &counts.dataset_bytes, err) ||
        !count_table(database, "SELECT count(*), sum(bytes) FROM artifact", &counts.artifacts,
                     &counts.artifact_bytes, err))
        return false;
    *out_counts = counts;
    return true;
}

bool store_oldest_queued(struct database *database, int64_t *out_created_ms, struct error *err)
{
    /* The first condition is that of the index job_active. */
    return database_number(database,
                           "SELECT coalesce((SELECT created_ms FROM job WHERE queued + running > 0"
                           " AND queued > 0 ORDER BY number LIMIT 1), 0)",
                           out_created_ms, err);
}
