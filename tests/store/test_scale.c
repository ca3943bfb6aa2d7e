/* Law: what a request costs does not depend on how many finished jobs there are. */

#include "database.h"
#include "store_fixture.h"

#include "support.h"

#include "ptqd/store/store_counts.h"

#include "ptqd/store/blob.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FEW = 100, MANY = 100 * 1000, MANY_SHORT = 5000 };

/* The bar: cost with many jobs over cost with few. */
#define RATIO_MAX       1.5
#define PAGES_RATIO_MAX 2.5 /* trees of more rows are higher */
enum { START_SECONDS_MAX = 1 };

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    fixture.limits = (struct store_limits){.queued_runs = 1000, .running_runs = 1000};
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

static bool run_script(struct database *database, void *context, struct error *error)
{
    return database_script(database, context, error);
}

/* Finished jobs up to number `count`. All are ada's, have succeeded and are labelled team=blue, but
 * the very first: what selects it goes past all the others unless an index leads there. */
static void make_jobs(int count)
{
    static const char sql[] =
        "WITH RECURSIVE n (i) AS (SELECT (SELECT coalesce(max(number), 0) + 1 FROM job)"
        "  UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        "INSERT INTO job (number, name, owner, priority, spec, model, calibration, created_ms,"
        "  started_ms, finished_ms, queued)"
        "  SELECT i, 'job ' || i, iif(i = 1, 'eve', 'ada'), 0, printf('%%.600c', '*'),"
        "    'sha256:0', 'sha256:1', i, i, i, 1 FROM n;"
        "INSERT INTO job_label SELECT number, 'team', iif(number = 1, 'red', 'blue'), owner, state"
        "  FROM job WHERE queued > 0;"
        "INSERT INTO job_label SELECT 1, 'rare', 'yes', 'eve', 'queued' WHERE NOT EXISTS"
        "  (SELECT 1 FROM job_label WHERE key = 'rare');"
        "INSERT INTO variant SELECT number, 0, '{}' FROM job WHERE queued > 0;"
        "INSERT INTO run (job, variant, seed, created_ms, started_ms, finished_ms, accuracy)"
        "  SELECT number, 0, 0, number, number, number, 0.5 FROM job WHERE queued > 0;"
        "INSERT INTO artifact SELECT run.number, name.value, '', (SELECT id FROM model), 10"
        "  FROM run CROSS JOIN json_each('[\"a\",\"b\"]') AS name WHERE state = 'queued';"
        "UPDATE run SET state = iif(job = 1, 'failed', 'succeeded') WHERE state = 'queued';";
    char script[sizeof(sql) + 32];
    (void)snprintf(script, sizeof(script), sql, count);
    ck_assert_ok(store_write_now(fixture.store, run_script, script, &err), &err);
}

/* ---- requests ---- */

static const enum job_state succeeded = JOB_SUCCEEDED, failed = JOB_FAILED, queued = JOB_QUEUED;

static const struct job_filter filters[] = {
    {.owner = NULL},
    {.owner = "ada"},
    {.owner = "eve"},
    {.owner = "nobody"},
    {.state = &succeeded},
    {.state = &failed},
    {.state = &queued},
    {.owner = "ada", .state = &succeeded},
    {.owner = "ada", .state = &failed},
    {.owner = "eve", .state = &failed},
    {.label = "team"},
    {.label = "team=blue"},
    {.label = "team=red"},
    {.label = "rare"},
    {.label = "rare=yes"},
    {.owner = "ada", .label = "rare"},
    {.owner = "ada", .label = "team"},
    {.owner = "eve", .label = "team"},
    {.owner = "ada", .label = "team=red"},
    {.owner = "eve", .label = "team=red"},
    {.state = &failed, .label = "team"},
    {.state = &queued, .label = "team"},
    {.state = &failed, .label = "team=blue"},
    {.state = &failed, .label = "team=red"},
    {.owner = "ada", .state = &failed, .label = "team"},
    {.owner = "eve", .state = &failed, .label = "team"},
    {.owner = "ada", .state = &failed, .label = "team=blue"},
    {.owner = "eve", .state = &failed, .label = "team=red"},
};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

static void list_jobs(struct database *database, size_t filter)
{
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    ck_assert_ok(job_row_list(database, &filters[filter], NULL, fixture.arena, &rows, &count, next,
                              &err),
                 &err);
}

static void find_job(struct database *database, size_t unused)
{
    struct job_row row;
    (void)unused;
    ck_assert_ok(job_row_find(database, "j50", fixture.arena, &row, &err), &err);
}

static void list_runs(struct database *database, size_t unused)
{
    struct run_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    (void)unused;
    ck_assert_ok(
        run_row_list(database, "j50", NULL, NULL, fixture.arena, &rows, &count, next, &err), &err);
    ck_assert_uint_eq(count, 1);
}

static void count_all(struct database *database, size_t unused)
{
    int64_t jobs[JOB_STATE_COUNT], runs[RUN_STATE_COUNT];
    (void)unused;
    ck_assert_ok(job_row_count(database, jobs, &err), &err);
    ck_assert_ok(run_row_count(database, runs, &err), &err);
}

static void count_stored(struct database *database, size_t unused)
{
    struct store_counts counts;
    (void)unused;
    ck_assert_ok(store_count(database, &counts, &err), &err);
    ck_assert_int_eq(counts.models, 1);
    ck_assert_int_eq(counts.artifact_bytes, 10 * counts.artifacts);
}

static void find_best(struct database *database, size_t unused)
{
    double best;
    (void)unused;
    ck_assert_ok(run_row_best(database, "j50", &best, &err), &err);
    ck_assert_double_eq(best, 0.5);
}

/* In a write: one job from submission to its end, and away with it. */
static void pass_one_job(struct database *database, size_t unused)
{
    static const struct job_label label = {"team", "green"};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    struct job_inserted inserted;
    bool flag;
    struct run_row run;
    struct job_row job;
    const struct error problem = {.code = E_UNSUPPORTED, .message = "no"};
    (void)unused;
    insert.labels = &label;
    insert.label_count = 1;
    ck_assert_ok(job_row_insert(database, &insert, &inserted, &err), &err);
    ck_assert_ok(run_row_claim(database, "w", fixture.arena, &run, &job, &flag, &err), &err);
    ck_assert(flag);
    ck_assert_ok(run_row_fail(database, run.id, &problem, &err), &err);
    ck_assert_ok(job_row_delete(database, inserted.id, &err), &err);
}

/* ---- costs ---- */

/* Counts, which no load of the machine changes. */
struct cost {
    int64_t steps; /* of SQLite's virtual machine */
    int64_t pages; /* looked at, in the cache or not */
};

static int64_t take_status(struct database *database, int what)
{
    int count, highest;
    ck_assert_int_eq(sqlite3_db_status(database->handle, what, &count, &highest, true), SQLITE_OK);
    return count;
}

/* Of all statements of the connection since the last call. */
static struct cost take_cost(struct database *database)
{
    struct cost cost = {.pages = take_status(database, SQLITE_DBSTATUS_CACHE_HIT) +
                                 take_status(database, SQLITE_DBSTATUS_CACHE_MISS)};
    for (size_t i = 0; i < database->statement_count; i++)
        cost.steps +=
            sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_VM_STEP, true);
    return cost;
}

/* Of the second time; the first one prepares statements. */
static struct cost cost_of(struct database *database,
                           void (*request)(struct database *database, size_t which), size_t which)
{
    for (int round = 0; round < 2; round++) {
        struct arena_mark mark = arena_mark(fixture.arena);
        (void)take_cost(database);
        request(database, which);
        arena_reset(fixture.arena, mark);
    }
    return take_cost(database);
}

enum { COST_JOB = FILTERS, COST_RUNS, COST_COUNTS, COST_STORED, COST_BEST, COST_CHANGE, COSTS };

static bool measure_change(struct database *database, void *context, struct error *error)
{
    struct cost *cost = context;
    (void)error;
    *cost = cost_of(database, pass_one_job, 0);
    return true;
}

static void measure(struct cost costs[static COSTS])
{
    struct database *database = store_fixture_reader(&fixture);
    for (size_t i = 0; i < FILTERS; i++)
        costs[i] = cost_of(database, list_jobs, i);
    costs[COST_JOB] = cost_of(database, find_job, 0);
    costs[COST_RUNS] = cost_of(database, list_runs, 0);
    costs[COST_COUNTS] = cost_of(database, count_all, 0);
    costs[COST_STORED] = cost_of(database, count_stored, 0);
    costs[COST_BEST] = cost_of(database, find_best, 0);
    ck_assert_ok(store_write_now(fixture.store, measure_change, &costs[COST_CHANGE], &err), &err);
}

START_TEST(requests_cost_the_same_with_many_finished_jobs)
{
    struct cost few[COSTS], many[COSTS];
    make_jobs(FEW);
    measure(few);
    make_jobs(support_short() ? MANY_SHORT : MANY);
    measure(many);
    for (size_t i = 0; i < COSTS; i++) {
        ck_assert_int_gt(few[i].steps, 0);
        ck_assert_msg((double)many[i].steps <= RATIO_MAX * (double)few[i].steps,
                      "request %zu takes %" PRId64 " steps with few jobs, %" PRId64 " with many", i,
                      few[i].steps, many[i].steps);
        ck_assert_int_gt(few[i].pages, 0);
        ck_assert_msg((double)many[i].pages <= PAGES_RATIO_MAX * (double)few[i].pages,
                      "request %zu looks at %" PRId64 " pages with few jobs, %" PRId64 " with many",
                      i, few[i].pages, many[i].pages);
    }
    store_fixture_check(&fixture);
}
END_TEST

/* ---- the start ---- */

/* Files number `first` to `last` under blobs/, empty, with the number as their digest. */
static void make_files(int first, int last)
{
    char path[400];
    for (int i = first; i <= last; i++) {
        (void)snprintf(path, sizeof(path), "%s/blobs/%02x", fixture.directory, i % 256);
        (void)mkdir(path, 0700); /* it may be there */
        (void)snprintf(path, sizeof(path), "%s/blobs/%02x/%02x%062d", fixture.directory, i % 256,
                       i % 256, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        (void)close(fd); /* empty */
    }
}

/* Lets artifacts name the files up to number `last`, one each; the others lose their rows. */
static void name_files(int last)
{
    static const char sql[] =
        "DELETE FROM artifact;"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        "INSERT INTO artifact SELECT 1 + i %% 50, 'a' || i, '',"
        "  printf('sha256:%%02x%%062d', i %% 256, i), 0 FROM n;";
    char script[sizeof(sql) + 32];
    (void)snprintf(script, sizeof(script), sql, last);
    ck_assert_ok(store_write_now(fixture.store, run_script, script, &err), &err);
}

static bool is_there(int file)
{
    char id[DIGEST_ID_BYTES];
    int fd;
    uint64_t size;
    (void)snprintf(id, sizeof(id), "sha256:%02x%062d", file % 256, file);
    if (!blob_open(store_blobs(fixture.store), id, &fd, &size, &err))
        return false;
    (void)close(fd); /* it was only looked at */
    return true;
}

static double wall_seconds(void)
{
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What this thread does to open the store, the least of several times. */
static double start_seconds(void)
{
    double least = INFINITY, least_wall = INFINITY;
    for (int round = 0; round < 5; round++) {
        store_fixture_close(&fixture);
        double start = support_cpu_seconds(), wall_start = wall_seconds();
        store_fixture_open(&fixture);
        least = fmin(least, support_cpu_seconds() - start);
        least_wall = fmin(least_wall, wall_seconds() - wall_start);
    }
    ck_assert_double_lt(least_wall, START_SECONDS_MAX);
    return least;
}

/* Law: a start takes as long with many files and rows as with few, and less than a second; what
 * nothing names goes afterwards, what is named or just being written stays. */
START_TEST(a_start_does_not_look_at_every_file)
{
    enum { FEW_FILES = 100, MANY_FILES = 20 * 1000, NAMED = 200 * 1000, SLACK_US = 5000 };
    int many = support_short() ? MANY_SHORT : MANY_FILES;
    make_jobs(FEW);
    name_files(FEW_FILES); /* first: the search behind the start may still be under way */
    make_files(1, FEW_FILES);
    double few_seconds = start_seconds();

    make_jobs(support_short() ? MANY_SHORT : MANY);
    name_files(support_short() ? MANY_SHORT : NAMED);
    make_files(FEW_FILES + 1, many);
    double many_seconds = start_seconds();
    printf("# a start takes %.1f ms with few files, %.1f ms with many\n", 1e3 * few_seconds,
           1e3 * many_seconds);
    ck_assert_double_le(many_seconds, RATIO_MAX * few_seconds + 1e-6 * SLACK_US);

    name_files(many / 2);
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    char pinned[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "its row is still to come", pinned);
    store_fixture_search(&fixture);
    int fd;
    uint64_t size;
    ck_assert_ok(blob_open(store_blobs(fixture.store), pinned, &fd, &size, &err), &err);
    (void)close(fd); /* it was only looked at */
    for (int i = 1; i <= many; i++)
        ck_assert_msg(is_there(i) == (i <= many / 2), "file %d of %d", i, many);
}
END_TEST

/* Law: whatever the filters, a list has the rows that a look at every job selects. */
START_TEST(every_combination_of_filters_finds_what_it_names)
{
    char id[JOB_ID_BYTES];
    make_jobs(7);
    for (int i = 0; i < 4; i++) {
        static const struct job_label labels[] = {{"team", "red"}, {"rare", "no"}};
        struct job_insert insert = store_fixture_job(&fixture, i % 2 == 0 ? "eve" : "bob", 1, 1);
        insert.labels = labels + i / 2;
        insert.label_count = 1;
        store_fixture_submit(&fixture, &insert, id);
    }
    struct run_row run;
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);

    static const char count_sql[] =
        "SELECT count(*) FROM job WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR state = ?2)"
        " AND (?3 IS NULL OR EXISTS (SELECT 1 FROM job_label WHERE job = number"
        "      AND ?3 IN (key, key || '=' || value)))";
    struct database *database = store_fixture_reader(&fixture);
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle, count_sql, -1, &statement, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < FILTERS; i++) {
        const struct job_filter *filter = &filters[i];
        const char *state = filter->state != NULL ? job_state_name(*filter->state) : NULL;
        struct job_row *rows;
        size_t count;
        char next[STORE_CURSOR_BYTES];
        (void)sqlite3_bind_text(statement, 1, filter->owner, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 2, state, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 3, filter->label, -1, SQLITE_STATIC);
        ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
        ck_assert_ok(job_row_list(database, filter, NULL, fixture.arena, &rows, &count, next, &err),
                     &err);
        ck_assert_int_eq((int64_t)count, sqlite3_column_int64(statement, 0));
        for (size_t j = 0; j < count; j++) {
            ck_assert(filter->owner == NULL || strcmp(rows[j].owner, filter->owner) == 0);
            ck_assert(filter->state == NULL || rows[j].state == *filter->state);
        }
        (void)sqlite3_reset(statement);
    }
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
    store_fixture_check(&fixture);
}
END_TEST

/* Law: lists of runs take no memory for their layers, which are there nevertheless. */
START_TEST(lists_of_runs_leave_the_layers_out)
{
    enum { RUNS = 32, LAYERS_BYTES = 200 * 1000, LIST_BYTES = 256 << 10 };
    static char result[LAYERS_BYTES + 100];
    char id[JOB_ID_BYTES];
    (void)snprintf(result, sizeof(result),
                   "{\"accuracy\":0.25,\"layers\":[\"%*s\"],\"cost\":{\"macs\":7},"
                   "\"sensitivity\":{}}",
                   (int)LAYERS_BYTES, "x");
    const struct run_outcome outcome = {.accuracy = 0.25, .result = result};
    const struct job_insert insert = store_fixture_job(&fixture, "ada", 4, 8);
    store_fixture_submit(&fixture, &insert, id);
    for (int i = 0; i < RUNS; i++) {
        struct run_row run;
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);
    }

    struct arena *small = arena_create(LIST_BYTES);
    struct run_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    const char *whole;
    ck_assert_ok(run_row_list(store_fixture_reader(&fixture), id, NULL, NULL, small, &rows, &count,
                              next, &err),
                 &err);
    ck_assert_uint_eq(count, RUNS);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(rows[i].summary, "{\"accuracy\":0.25,\"cost\":{\"macs\":7}}");
    ck_assert_ok(run_row_result(store_fixture_reader(&fixture), rows[0].id, fixture.arena, &whole,
                                &err),
                 &err);
    ck_assert_str_eq(whole, result);
    ck_assert_ok(store_fixture_delete(&fixture, id, &err), &err);
    ck_assert_fails(run_row_result(store_fixture_reader(&fixture), rows[0].id, fixture.arena,
                                   &whole, &err),
                    &err, E_NOT_FOUND, "there is no result of run");
    arena_destroy(small);
    store_fixture_check(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale");
    TCase *cases = tcase_create("scale");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, requests_cost_the_same_with_many_finished_jobs);
    tcase_add_test(cases, a_start_does_not_look_at_every_file);
    tcase_add_test(cases, every_combination_of_filters_finds_what_it_names);
    tcase_add_test(cases, lists_of_runs_leave_the_layers_out);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
