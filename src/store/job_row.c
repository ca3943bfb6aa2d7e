#include "ptqd/store/job_row.h"

#include "row_id.h"
#include "row_list.h"

#include <inttypes.h>
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

/* ---- text ---- */

static bool has_text(const struct job_filter *filter)
{
    return filter->text != NULL && filter->text[0] != '\0';
}

/* What is not in the row itself; the model may have several names, of which an owner who sees
 * nobody else's has one. */
static bool is_named_so(struct database *database, const struct job_filter *filter, int64_t number,
                        const char *model, bool *out_named, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT EXISTS (SELECT 1 FROM job_label WHERE job = ?1"
                   "                AND instr(lower(key || '=' || value), lower(?4)))"
                   " OR EXISTS (SELECT 1 FROM model_holder WHERE model = ?2"
                   "             AND (?3 IS NULL OR owner = ?3) AND instr(lower(name), lower(?4)))",
                   err);
    statement_bind_integer(&statement, 1, number);
    statement_bind_text(&statement, 2, model);
    statement_bind_text(&statement, 3, filter->own_only);
    statement_bind_text(&statement, 4, filter->text);
    bool named = statement_step(&statement) && statement_integer(&statement, 0) != 0;
    if (!statement_close(&statement))
        return false;
    *out_named = named;
    return true;
}

/* Whether the row that the statement is at matches; the rest of a row that does not, which may be
 * long, is not read. */
static bool matches(struct statement *statement, const struct job_filter *filter,
                    struct arena *arena, bool *out_matches)
{
    const char *text = filter->text;
    int64_t number = statement_integer(statement, 0);
    const char *name = statement_text(statement, 1, arena);
    const char *owner = statement_text(statement, 2, arena);
    const char *model = statement_text(statement, 5, arena);
    char id[JOB_ID_BYTES];
    if (statement->failed)
        return false;
    job_id_print(number, id);
    *out_matches = strcasestr(id, text) != NULL || strcasestr(name, text) != NULL ||
                   strcasestr(owner, text) != NULL;
    return *out_matches ||
           is_named_so(statement->database, filter, number, model, out_matches, statement->err);
}

/* Goes through the rows of a statement until the page is full or has looked at enough. */
static bool search(struct statement *statement, const struct job_filter *filter, int64_t limit,
                   struct arena *arena, struct job_row **out_rows, size_t *out_count,
                   char out_next[static STORE_CURSOR_BYTES])
{
    struct job_row *rows = ARENA_ARRAY(arena, struct job_row, limit, statement->err);
    size_t count = 0;
    int64_t looks = 0, last = 0;
    bool ok = rows != NULL, more = false;
    while (ok && statement_step(statement)) {
        struct arena_mark mark = arena_mark(arena);
        bool found = false;
        more = looks == JOB_TEXT_LOOKS_MAX || (int64_t)count == limit;
        if (more)
            break;
        ok = matches(statement, filter, arena, &found);
        arena_reset(arena, mark);
        if (found)
            read_row(statement, arena, &rows[count++]);
        looks++;
        last = statement_integer(statement, 0);
    }
    if (!statement_close(statement) || !ok)
        return false;
    out_next[0] = '\0';
    if (more)
        (void)snprintf(out_next, STORE_CURSOR_BYTES, "%" PRId64, last); /* fits */
    *out_rows = rows;
    *out_count = count;
    return true;
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
    statement_bind_integer(&statement, 6, has_text(filter) ? JOB_TEXT_LOOKS_MAX + 1 : limit + 1);
    if (has_text(filter))
        return search(&statement, filter, limit, arena, out_rows, out_count, out_next);
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
