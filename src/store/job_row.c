#include "ptqd/store/job_row.h"

#include "row_id.h"
#include "row_list.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "number, name, owner, priority, spec, model, calibration, calibration_labels, evaluation,"     \
    " evaluation_labels, state, queued, running, succeeded, failed, cancelled, cancel_requested,"  \
    " created_ms, started_ms, CASE WHEN queued + running = 0 THEN finished_ms END, paused,"        \
    " revision"

const char *const job_state_names[JOB_STATE_COUNT + 1] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_SUCCEEDED] = "succeeded",
    [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled", [JOB_PARTIAL] = "partial",
};

const char *job_state_name(enum job_state state)
{
    return job_state_names[state];
}

int64_t job_counts_ended(const struct job_counts *counts)
{
    return counts->succeeded + counts->failed + counts->cancelled;
}

int64_t job_counts_all(const struct job_counts *counts)
{
    return counts->queued + counts->running + job_counts_ended(counts);
}

bool job_state_is_final(enum job_state state)
{
    return state != JOB_QUEUED && state != JOB_RUNNING;
}

bool job_state_parse(const char *name, enum job_state *out_state, struct error *err)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (strcmp(job_state_names[i], name) == 0) {
            *out_state = (enum job_state)i;
            return true;
        }
    }
    return FAIL(err, E_INVALID,
                "'%s' is no state of a job; there are queued, running, succeeded, failed, "
                "cancelled and partial",
                name);
}

static enum job_state read_state(struct statement *statement, int column, struct arena *arena)
{
    enum job_state state = JOB_QUEUED;
    const char *name = statement_text(statement, column, arena);
    if (name != NULL && !job_state_parse(name, &state, statement->err))
        statement_fail(statement);
    return state;
}

static void read_row(struct statement *statement, struct arena *arena, void *out_row)
{
    struct job_row *row = out_row;
    *row = (struct job_row){
        .name = statement_text(statement, 1, arena),
        .owner = statement_text(statement, 2, arena),
        .priority = statement_integer(statement, 3),
        .spec = statement_text(statement, 4, arena),
        .model = statement_text(statement, 5, arena),
        .calibration = statement_text(statement, 6, arena),
        .calibration_labels = statement_text(statement, 7, arena),
        .evaluation = statement_text(statement, 8, arena),
        .evaluation_labels = statement_text(statement, 9, arena),
        .state = read_state(statement, 10, arena),
        .counts =
            {
                .queued = statement_integer(statement, 11),
                .running = statement_integer(statement, 12),
                .succeeded = statement_integer(statement, 13),
                .failed = statement_integer(statement, 14),
                .cancelled = statement_integer(statement, 15),
            },
        .cancel_requested = statement_integer(statement, 16) != 0,
        .created_ms = statement_integer(statement, 17),
        .started_ms = statement_integer(statement, 18),
        .finished_ms = statement_integer(statement, 19),
        .paused = statement_integer(statement, 20) != 0,
        .revision = statement_integer(statement, 21),
    };
    job_id_print(statement_integer(statement, 0), row->id);
}

bool job_row_find(struct database *database, const char *id, struct arena *arena,
                  struct job_row *out_row, struct error *err)
{
    int64_t number;
    if (!job_id_parse(id, &number, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, "SELECT " COLUMNS " FROM job WHERE number = ?1", err);
    statement_bind_integer(&statement, 1, number);
    struct job_row row;
    bool found = statement_step(&statement);
    if (found)
        read_row(&statement, arena, &row);
    if (!statement_close(&statement))
        return false;
    if (!found)
        return FAIL(err, E_NOT_FOUND, "there is no job '%s'", id);
    *out_row = row;
    return true;
}

/* Splits "key=value" or "key" (any value: `*out_value` NULL). */
static bool split_label(const char *label, struct arena *arena, const char **out_key,
                        const char **out_value, struct error *err)
{
    *out_key = *out_value = NULL;
    if (label == NULL)
        return true;
    const char *equals = strchr(label, '=');
    size_t length = equals == NULL ? strlen(label) : (size_t)(equals - label);
    *out_key = arena_strndup(arena, label, length, err);
    if (equals != NULL)
        *out_value = equals + 1;
    return *out_key != NULL;
}

/* One statement for each combination of filters: each is one range of one index, newest first. */

#define ALL(where)                                                                                 \
    "SELECT " COLUMNS " FROM job WHERE number < ?1" where " ORDER BY number DESC LIMIT ?6"
/* CROSS JOIN: SQLite goes through the labels and looks up their jobs, never the other way. */
#define LABELLED(where)                                                                            \
    "SELECT " COLUMNS " FROM job_label CROSS JOIN job ON number = job"                             \
    " WHERE key = ?4 AND job < ?1" where " ORDER BY job DESC LIMIT ?6"

enum { LABEL_NONE, LABEL_KEY, LABEL_VALUE, LABEL_FILTERS };

/* [label][owner][state] */
static const char *const list_statements[LABEL_FILTERS][2][2] = {
    [LABEL_NONE] = {{ALL(""), ALL(" AND state = ?3")},
                    {ALL(" AND owner = ?2"), ALL(" AND owner = ?2 AND state = ?3")}},
    [LABEL_KEY] = {{LABELLED(""), LABELLED(" AND job_state = ?3")},
                   {LABELLED(" AND job_owner = ?2"),
                    LABELLED(" AND job_owner = ?2 AND job_state = ?3")}},
    [LABEL_VALUE] = {{LABELLED(" AND value = ?5"), LABELLED(" AND value = ?5 AND job_state = ?3")},
                     {LABELLED(" AND value = ?5 AND job_owner = ?2"),
                      LABELLED(" AND value = ?5 AND job_owner = ?2 AND job_state = ?3")}},
};

static const char *list_statement(const struct job_filter *filter, const char *owner,
                                  const char *key, const char *value)
{
    int label = key == NULL ? LABEL_NONE : value == NULL ? LABEL_KEY : LABEL_VALUE;
    return list_statements[label][owner != NULL][filter->state != NULL];
}

bool job_row_list(struct database *database, const struct job_filter *filter,
                  const struct store_page *page, struct arena *arena, struct job_row **out_rows,
                  size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err)
{
    int64_t limit, below;
    const char *key, *value;
    const char *owner = filter->own_only != NULL ? filter->own_only : filter->owner;
    bool none = filter->owner != NULL && strcmp(filter->owner, owner) != 0;
    if (!page_limit(page, &limit, err) || !page_number(page, &below, err) ||
        !split_label(filter->label, arena, &key, &value, err))
        return false;
    struct statement statement;
    statement_open(&statement, database, list_statement(filter, owner, key, value), err);
    statement_bind_integer(&statement, 1, none ? 0 : below); /* what one asks for is another's */
    statement_bind_text(&statement, 2, owner);
    statement_bind_text(&statement, 3,
                        filter->state == NULL ? NULL : job_state_name(*filter->state));
    statement_bind_text(&statement, 4, key);
    statement_bind_text(&statement, 5, value);
    statement_bind_integer(&statement, 6, limit + 1);
    void *rows;
    if (!statement_list(&statement, limit, sizeof(struct job_row), read_row, arena, &rows,
                        out_count, out_next))
        return false;
    *out_rows = rows;
    return true;
}

bool job_row_count(struct database *database, int64_t out_counts[static JOB_STATE_COUNT],
                   struct error *err)
{
    int64_t counts[JOB_STATE_COUNT] = {0};
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT jobs_queued, jobs_running, jobs_succeeded, jobs_failed, jobs_cancelled,"
                   " jobs_partial FROM tally",
                   err);
    if (statement_step(&statement)) {
        for (int i = 0; i < JOB_STATE_COUNT; i++)
            counts[i] = statement_integer(&statement, i);
    }
    if (!statement_close(&statement))
        return false;
    memcpy(out_counts, counts, sizeof(counts));
    return true;
}
