#include "ptqd/store/store_counts.h"

#include "statement.h"

bool store_count(struct database *database, struct store_counts *out_counts, struct error *err)
{
    struct store_counts counts = {0};
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT models, model_bytes, datasets, dataset_bytes, artifacts, artifact_bytes"
                   " FROM stored",
                   err);
    if (statement_step(&statement))
        counts = (struct store_counts){
            .models = statement_integer(&statement, 0),
            .model_bytes = statement_integer(&statement, 1),
            .datasets = statement_integer(&statement, 2),
            .dataset_bytes = statement_integer(&statement, 3),
            .artifacts = statement_integer(&statement, 4),
            .artifact_bytes = statement_integer(&statement, 5),
        };
    if (!statement_close(&statement))
        return false;
    *out_counts = counts;
    return true;
}

bool store_oldest_queued(struct database *database, int64_t *out_created_ms, struct error *err)
{
    return database_number(database,
                           "SELECT coalesce((SELECT created_ms FROM job WHERE number ="
                           " (SELECT min(job) FROM run WHERE state = 'queued')), 0)",
                           out_created_ms, err);
}
