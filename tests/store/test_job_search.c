/* Lists of jobs by a text: what is found, and what that costs. */

#include "database.h"
#include "store_fixture.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bar: cost of a page with many jobs over that with few. */
#define RATIO_MAX 1.5

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

/* The numbers of the jobs of all pages, as "3 1 "; `out_pages`: how many that took. */
static const char *find(const struct job_filter *filter, int64_t limit, int *out_pages)
{
    const char *found = "";
    char next[STORE_CURSOR_BYTES] = "";
    *out_pages = 0;
    do {
        const struct store_page page = {.limit = limit, .cursor = next};
        struct job_row *rows;
        size_t count;
        ck_assert_ok(job_row_list(store_fixture_reader(&fixture), filter, &page, fixture.arena,
                                  &rows, &count, next, &err),
                     &err);
        ck_assert_int_le((int64_t)count, limit);
        for (size_t i = 0; i < count; i++)
            found = arena_printf(fixture.arena, NULL, "%s%s ", found, rows[i].id + 1);
        (*out_pages)++;
    } while (next[0] != '\0');
    return found;
}

static void submit(const char *owner, const char *name, const char *key, const char *value)
{
    char id[JOB_ID_BYTES];
    const struct job_label label = {key, value};
    struct job_insert insert = store_fixture_job(&fixture, owner, 1, 1);
    insert.row.name = name;
    insert.labels = &label;
    insert.label_count = 1;
    store_fixture_submit(&fixture, &insert, id);
}

struct call {
    const char *owner, *name;
};

static bool hold(struct database *database, void *context, struct error *error)
{
    const struct call *call = context;
    bool known;
    const struct model_row row = {.id = fixture.model,
                                  .owner = call->owner,
                                  .name = call->name,
                                  .format = "onnx",
                                  .detail = "{}",
                                  .bytes = 7};
    return model_row_insert(database, &row, &known, error);
}

START_TEST(a_text_is_found_wherever_it_may_be)
{
    static const enum job_state running = JOB_RUNNING, queued = JOB_QUEUED;
    const struct {
        struct job_filter filter;
        const char *found;
    } rows[] = {
        {{.text = "SWEEP"}, "2 "},
        {{.text = "j2"}, "2 "},
        {{.text = "2"}, "2 "},
        {{.text = "ad"}, "3 1 "},
        {{.text = "Colour"}, "2 1 "},
        {{.text = "colour=bl"}, "2 "},
        {{.text = "RED"}, "1 "},
        {{.text = "%"}, "3 "},
        {{.text = "_"}, ""},
        {{.text = "net"}, "3 2 1 "},
        {{.text = "his NET"}, "3 2 1 "},
        {{.text = "his net", .own_only = "ada"}, ""},
        {{.text = "his net", .own_only = "bob"}, "2 "},
        {{.text = "net", .owner = "ada"}, "3 1 "},
        {{.text = "net", .state = &running}, ""},
        {{.text = "net", .state = &queued, .label = "colour"}, "2 1 "},
        {{.text = "nothing"}, ""},
        {{.text = ""}, "3 2 1 "},
    };
    struct call bob = {"bob", "His net"};
    ck_assert_ok(store_write_now(fixture.store, hold, &bob, &err), &err);
    submit("ada", "first", "colour", "Red");
    submit("bob", "Wide sweep", "colour", "blue");
    submit("ada", "50 % done", "x", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int64_t limit = 1; limit <= 4; limit++) {
            int pages;
            const char *found = find(&rows[i].filter, limit, &pages);
            ck_assert_msg(strcmp(found, rows[i].found) == 0, "'%s' (row %zu) finds %s",
                          rows[i].filter.text, i, found);
        }
    }
}
END_TEST

static bool run_script(struct database *database, void *context, struct error *error)
{
    return database_script(database, context, error);
}

/* Jobs up to number `count`; only the first one is named "needle". */
static void make_jobs(int count)
{
    static const char sql[] =
        "WITH RECURSIVE n (i) AS (SELECT (SELECT coalesce(max(number), 0) + 1 FROM job)"
        "  UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        "INSERT INTO job (number, name, owner, priority, spec, model, calibration, created_ms,"
        "  queued) SELECT i, iif(i = 1, 'a needle', 'hay'), 'ada', 0, printf('%%.600c', '*'),"
        "    'sha256:0', 'sha256:1', i, 1 FROM n;"
        "INSERT INTO job_label SELECT number, 'team', 'blue', owner, state FROM job"
        "  WHERE number NOT IN (SELECT job FROM job_label);";
    char script[sizeof(sql) + 32];
    (void)snprintf(script, sizeof(script), sql, count);
    ck_assert_ok(store_write_now(fixture.store, run_script, script, &err), &err);
}

/* Steps of SQLite's virtual machine for a first page in which nothing is found. */
static double cost_of_page(void)
{
    struct database *database = store_fixture_reader(&fixture);
    const struct job_filter filter = {.text = "needle"};
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    double steps = 0;
    for (int round = 0; round < 2; round++) { /* the first one prepares the statements */
        steps = 0;
        for (size_t i = 0; i < database->statement_count; i++)
            (void)sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_VM_STEP, 1);
        ck_assert_ok(
            job_row_list(database, &filter, NULL, fixture.arena, &rows, &count, next, &err), &err);
        for (size_t i = 0; i < database->statement_count; i++)
            steps +=
                sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_VM_STEP, 1);
    }
    ck_assert_uint_eq(count, 0);
    ck_assert_str_ne(next, "");
    return steps;
}

/* Laws: a page looks at so many jobs and no more, however many there are; the pages together find
 * what is there. */
START_TEST(a_page_costs_what_so_many_jobs_cost)
{
    enum { FEW = 2 * JOB_TEXT_LOOKS_MAX, MANY = 20 * JOB_TEXT_LOOKS_MAX };
    const struct job_filter filter = {.text = "needle"}, all = {.text = "HAY"};
    int pages;
    make_jobs(FEW);
    double few = cost_of_page();
    ck_assert_str_eq(find(&filter, 100, &pages), "1 ");
    ck_assert_int_eq(pages, 2);
    (void)find(&all, 500, &pages);
    ck_assert_int_eq(pages, (FEW + 499) / 500);
    make_jobs(support_short() ? FEW + 1 : MANY);
    double many = cost_of_page();
    ck_assert_msg(many <= RATIO_MAX * few, "%.0f steps with few jobs, %.0f with many", few, many);
    ck_assert_str_eq(find(&filter, 100, &pages), "1 ");
    ck_assert_int_eq(pages, support_short() ? 3 : MANY / JOB_TEXT_LOOKS_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job search");
    TCase *cases = tcase_create("job search");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_text_is_found_wherever_it_may_be);
    tcase_add_test(cases, a_page_costs_what_so_many_jobs_cost);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
