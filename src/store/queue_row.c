#include "ptqd/store/queue_row.h"

#include "statement.h"

bool queue_row_read(struct database *database, struct queue_row *out_row, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT paused, runs_queued, runs_running FROM queue, tally", err);
    struct queue_row row = {0};
    if (statement_step(&statement)) {
        row.paused = statement_integer(&statement, 0) != 0;
        row.queued = statement_integer(&statement, 1);
        row.running = statement_integer(&statement, 2);
    }
    if (!statement_close(&statement))
        return false;
    *out_row = row;
    return true;
}

bool queue_row_pause(struct database *database, bool paused, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "UPDATE queue SET paused = ?1", err);
    statement_bind_integer(&statement, 1, paused);
    return statement_run(&statement, NULL);
}
