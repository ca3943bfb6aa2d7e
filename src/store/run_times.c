#include "ptqd/store/run_times.h"

#include "row_list.h"
#include "statement.h"

/* Rows of the pipeline that a run's time depends on. */
#define METHOD_ROWS(ROW)                                                                           \
    ROW("samples")                                                                                 \
    ROW("optimize.variable")                                                                       \
    ROW("optimize.granularity")                                                                    \
    ROW("optimize.start")                                                                          \
    ROW("optimize.iterations")                                                                     \
    ROW("optimize.activations_in_loop")                                                            \
    ROW("optimize.batch")                                                                          \
    ROW("optimize.epochs")                                                                         \
    ROW("postprocess.bias")                                                                        \
    ROW("postprocess.epochs")                                                                      \
    ROW("report.sensitivity")

/* Swept rows are choices of the variant, the others in the specification. The array ends with a
 * null, so that every row may have its comma. */
#define OF_RUN(name)                                                                               \
    "coalesce(json_extract(choices, '$.\"" name "\"'), json_extract(spec, '$.pipeline." name "'))" \
    ","
#define OF_CHOICES(name) "json_extract(?1, '$.\"" name "\"'),"

static void read_times(struct statement *statement, struct arena *arena, void *out_row)
{
    struct run_times *times = out_row;
    times->method = statement_text(statement, 0, arena);
    times->runs = statement_integer(statement, 1);
    times->seconds = statement_real(statement, 2);
}

bool run_times_list(struct database *database, const struct store_viewer *viewer, const char *model,
                    struct arena *arena, struct run_times **out_times, size_t *out_count,
                    struct error *err)
{
    enum { RUNS_MAX = 200 };
    struct statement statement;
    void *rows;
    statement_open(&statement, database,
                   "SELECT method, count(*), avg(seconds) FROM ("
                   " SELECT json_array(" METHOD_ROWS(
                       OF_RUN) "NULL) AS method, seconds"
                               "   FROM job CROSS JOIN run ON run.job = job.number"
                               "            JOIN variant ON variant.job = job.number"
                               "                        AND variant.variant = run.variant"
                               "  WHERE job.model = ?1 AND job.succeeded > 0"
                               "    AND (?2 IS NULL OR job.owner = ?2)"
                               "    AND run.state = 'succeeded' AND seconds IS NOT NULL"
                               "  ORDER BY job.number DESC LIMIT ?3)"
                               " GROUP BY method",
                   err);
    statement_bind_text(&statement, 1, model);
    statement_bind_text(&statement, 2, viewer->own_only ? viewer->owner : NULL);
    statement_bind_integer(&statement, 3, RUNS_MAX);
    if (!statement_list(&statement, RUNS_MAX, sizeof(struct run_times), read_times, arena, &rows,
                        out_count, NULL))
        return false;
    *out_times = rows;
    return true;
}

bool run_times_method(struct database *database, const char *choices, struct arena *arena,
                      const char **out_method, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT json_array(" METHOD_ROWS(OF_CHOICES) "NULL)", err);
    statement_bind_text(&statement, 1, choices);
    *out_method = statement_step(&statement) ? statement_text(&statement, 0, arena) : "";
    return statement_close(&statement);
}
