#include "ptqd/store/run_row.h"

#include "row_id.h"
#include "row_list.h"
#include "run_read.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const run_state_names[RUN_STATE_COUNT + 1] = {
    [RUN_QUEUED] = "queued", [RUN_RUNNING] = "running",     [RUN_SUCCEEDED] = "succeeded",
    [RUN_FAILED] = "failed", [RUN_CANCELLED] = "cancelled",
};

const char *run_state_name(enum run_state state)
{
    return run_state_names[state];
}

bool run_state_parse(const char *name, enum run_state *out_state, struct error *err)
{
    for (int i = 0; i < RUN_STATE_COUNT; i++) {
        if (strcmp(run_state_names[i], name) == 0) {
            *out_state = (enum run_state)i;
            return true;
        }
    }
    return FAIL(err, E_INVALID,
                "'%s' is no state of a run; there are queued, running, succeeded, failed and "
                "cancelled",
                name);
}

static enum run_state read_state(struct statement *statement, int column, struct arena *arena)
{
    enum run_state state = RUN_QUEUED;
    const char *name = statement_text(statement, column, arena);
    if (name != NULL && !run_state_parse(name, &state, statement->err))
        statement_fail(statement);
    return state;
}

void run_read(struct statement *statement, struct arena *arena, void *out_row)
{
    struct run_key key = {
        .job = statement_integer(statement, 1),
        .variant = statement_integer(statement, 2),
        .seed = statement_integer(statement, 3),
    };
    struct run_row *row = out_row;
    *row = (struct run_row){
        .variant = key.variant,
        .seed = key.seed,
        .choices = statement_text(statement, 4, arena),
        .state = read_state(statement, 5, arena),
        .attempts = statement_integer(statement, 6),
        .crashes = statement_integer(statement, 7),
        .worker = statement_text(statement, 8, arena),
        .created_ms = statement_integer(statement, 9),
        .started_ms = statement_integer(statement, 10),
        .finished_ms = statement_integer(statement, 11),
        .accuracy = statement_real(statement, 12),
        .loss = statement_real(statement, 13),
        .agreement = statement_real(statement, 14),
        .seconds = statement_real(statement, 15),
        .peak_rss_bytes = statement_integer(statement, 16),
        .summary = statement_text(statement, 17, arena),
        .problem =
            {
                .code = statement_text(statement, 18, arena),
                .message = statement_text(statement, 19, arena),
                .pointer = statement_text(statement, 20, arena),
            },
    };
    run_id_print(&key, row->id);
    job_id_print(key.job, row->job);
}

bool run_row_find(struct database *database, const char *id, struct arena *arena,
                  struct run_row *out_row, struct error *err)
{
    struct run_key key;
    if (!run_id_parse(id, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " RUN_COLUMNS " FROM run JOIN variant USING (job, variant)"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    struct run_row row;
    bool found = statement_step(&statement);
    if (found)
        run_read(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no run '%s'", id);
    *out_row = row;
    return true;
}

bool run_row_result(struct database *database, const char *id, struct arena *arena,
                    const char **out_result, struct error *err)
{
    struct run_key key;
    if (!run_id_parse(id, &key, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT result FROM run JOIN run_result ON run = number"
                   " WHERE job = ?1 AND variant = ?2 AND seed = ?3",
                   err);
    statement_bind_integer(&statement, 1, key.job);
    statement_bind_integer(&statement, 2, key.variant);
    statement_bind_integer(&statement, 3, key.seed);
    const char *result = statement_step(&statement) ? statement_text(&statement, 0, arena) : NULL;
    if (!statement_close(&statement))
        return false;
    if (result == NULL)
        return FAIL(err, E_NOT_FOUND, "there is no result of run '%s'", id);
    *out_result = result;
    return true;
}

static bool check_job(struct database *database, const char *id, int64_t *out_number,
                      struct error *err)
{
    if (!job_id_parse(id, out_number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, "SELECT 1 FROM job WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, *out_number);
    bool found = statement_step(&statement);
    if (!statement_close(&statement))
        return false;
    return found || FAIL(err, E_NOT_FOUND, "there is no job '%s'", id);
}

/* The variant and seed that the page's rows come after; cursors are "variant.seed". */
static bool parse_cursor(const struct store_page *page, int64_t *out_variant, int64_t *out_seed,
                         struct error *err)
{
    *out_variant = *out_seed = -1;
    if (page == NULL || page->cursor == NULL || page->cursor[0] == '\0')
        return true;
    char again[STORE_CURSOR_BYTES] = "";
    if (sscanf(page->cursor, "%18" SCNd64 ".%18" SCNd64, out_variant, out_seed) == 2 &&
        *out_variant >= 0 && *out_seed >= 0)
        (void)snprintf(again, sizeof(again), "%" PRId64 ".%" PRId64, *out_variant, *out_seed);
    return strcmp(page->cursor, again) == 0 || page_fail_cursor(page, err);
}

bool run_row_list(struct database *database, const char *job, const enum run_state *state,
                  const struct store_page *page, struct arena *arena, struct run_row **out_rows,
                  size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, number, variant, seed;
    if (!page_limit(page, &limit, err) || !parse_cursor(page, &variant, &seed, err) ||
        !check_job(database, job, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT " RUN_COLUMNS " FROM run JOIN variant USING (job, variant)"
                   " WHERE job = ?1 AND (variant, seed) > (?2, ?3) AND (?4 IS NULL OR state = ?4)"
                   " ORDER BY variant, seed LIMIT ?5",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_integer(&statement, 2, variant);
    statement_bind_integer(&statement, 3, seed);
    statement_bind_text(&statement, 4, state == NULL ? NULL : run_state_name(*state));
    statement_bind_integer(&statement, 5, limit + 1);
    void *rows;
    if (!statement_list(&statement, limit, sizeof(struct run_row), run_read, arena, &rows,
                        out_count, out_next))
        return false;
    *out_rows = rows;
    return true;
}

bool run_row_best(struct database *database, const char *job, double *out_accuracy,
                  struct error *err)
{
    int64_t number;
    if (!job_id_parse(job, &number, err))
        return false;
    struct statement statement;
    /* The second condition is that of the index run_accuracy. */
    statement_open(&statement, database,
                   "SELECT max(accuracy) FROM run WHERE job = ?1 AND accuracy IS NOT NULL", err);
    statement_bind_integer(&statement, 1, number);
    double best = (double)NAN;
    if (statement_step(&statement))
        best = statement_real(&statement, 0);
    if (!statement_close(&statement))
        return false;
    *out_accuracy = best;
    return true;
}

bool run_row_count(struct database *database, int64_t out_counts[static RUN_STATE_COUNT],
                   struct error *err)
{
    int64_t counts[RUN_STATE_COUNT] = {0};
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT runs_queued, runs_running, runs_succeeded, runs_failed, runs_cancelled"
                   " FROM tally",
                   err);
    if (statement_step(&statement)) {
        for (int i = 0; i < RUN_STATE_COUNT; i++)
            counts[i] = statement_integer(&statement, i);
    }
    if (!statement_close(&statement))
        return false;
    memcpy(out_counts, counts, sizeof(counts));
    return true;
}
