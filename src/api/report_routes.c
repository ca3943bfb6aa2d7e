/* /v1/jobs/{id}/report, as JSON, CSV or Markdown. */

#include "api_private.h"

#include "ptqd/api/report.h"

#include <string.h>

/* A page of a job's runs behind those that are there; `room` for all of them. */
static bool read_page_of_runs(struct database *database, const char *job, struct arena *arena,
                              struct report_run *runs, size_t *count, size_t room,
                              char cursor[static STORE_CURSOR_BYTES], struct error *err)
{
    const struct store_page page = {.limit = STORE_PAGE_MAX, .cursor = cursor};
    struct run_row *rows;
    size_t rows_count;
    char next[STORE_CURSOR_BYTES];
    if (!run_row_list(database, job, NULL, &page, arena, &rows, &rows_count, next, err))
        return false;
    for (size_t i = 0; i < rows_count && *count < room; i++)
        runs[(*count)++] = (struct report_run){
            .id = rows[i].id,
            .variant = rows[i].variant,
            .choices = rows[i].choices,
            .result = rows[i].state == RUN_SUCCEEDED ? rows[i].summary : NULL,
            .failed = rows[i].state == RUN_FAILED,
        };
    memcpy(cursor, next, sizeof(next));
    return true;
}

/* All runs of a job; a job never gets more than it was submitted with. */
static bool read_runs(struct database *database, const char *job, struct arena *arena,
                      struct report_run **out_runs, size_t *out_count, struct error *err)
{
    struct job_row row;
    if (!job_row_find(database, job, arena, &row, err))
        return false;
    size_t count = 0, room = (size_t)job_counts_all(&row.counts);
    struct report_run *runs = ARENA_ARRAY(arena, struct report_run, room, err);
    char cursor[STORE_CURSOR_BYTES] = "";
    if (runs == NULL)
        return false;
    do {
        if (!read_page_of_runs(database, job, arena, runs, &count, room, cursor, err))
            return false;
    } while (cursor[0] != '\0');
    *out_runs = runs;
    *out_count = count;
    return true;
}

static bool reply_report(struct http_request *request, const struct report *report,
                         bool (*print)(const struct report *report, struct text *text,
                                       struct error *err),
                         struct error *err)
{
    enum { REPORT_BYTES_MAX = 64 << 20 };
    struct text text;
    text_init(&text, REPORT_BYTES_MAX);
    bool ok = print(report, &text, err) && reply_text(request, &text, err);
    text_finish(&text);
    return ok;
}

static bool make_report(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    struct database *database;
    struct report_run *runs;
    size_t count;
    struct report report;
    int form; /* of the replies below */
    if (!http_negotiate(request, &form, err) || !store_reader(api->options.store, &database, err) ||
        !read_runs(database, http_param(request, "id"), arena, &runs, &count, err) ||
        !report_create(arena, http_param(request, "id"), runs, count, &report, err))
        return false;
    http_add_header(request, "Vary", "Accept");
    if (form == 0)
        return reply_json_tagged(request, report_json(&report, arena), err);
    return reply_report(request, &report, form == 1 ? report_csv : report_markdown, err);
}

static bool get(struct http_request *request, void *context, struct error *err)
{
    struct database *database;
    struct job_row row;
    if (!find_job(request, context, http_param(request, "id"), &database, &row, err))
        return false;
    return job_counts_all(&row.counts) > DIRECT_RUNS_MAX ? http_block(request, make_report, err)
                                                         : make_report(request, context, err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/jobs/{id}/report",
     .access = ACCESS_READ,
     .handle = get,
     .summary = "Accuracy over seeds and costs of each variant: JSON, CSV or Markdown by Accept",
     .replies = {{200, "The report", .schema = &report_schema, .headers = {"ETag"}},
                 {200, "One line per variant, for programs",
                  .type = "text/csv; charset=utf-8; header=present"},
                 {200, "A table for people", .type = TYPE_MARKDOWN},
                 {200, "The same table", .type = TYPE_PLAIN}}},
};
const struct http_table report_routes = {routes, sizeof(routes) / sizeof(routes[0])};
