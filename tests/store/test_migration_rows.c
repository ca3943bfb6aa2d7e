/* Migrations of databases with rows in them: for each earlier version one that older programs
 * could have left, one after the other: made by the migrations up to it, and filled from tests/data
 * at each version that has a file there. */

#include "database.h"
#include "schema.h"

#include "ptqd/base/file.h"
#include "ptqd/store/token_row.h"
#include "store_fixture.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct store_fixture fixture; /* directory and arena are made here, not by its init */
static struct error err;

static void setup(void)
{
    (void)support_make_directory(fixture.directory, sizeof(fixture.directory));
    fixture.arena = arena_create(0);
}

static void teardown(void)
{
    store_fixture_close(&fixture);
    arena_destroy(fixture.arena);
    support_remove_tree(fixture.directory);
}

static void make_blobs(void)
{
    static const char *const texts[] = {"a model", "calibration", "evaluation", "an artifact"};
    struct blobs *blobs;
    ck_assert_ok(blobs_open(fixture.directory, false, &blobs, &err), &err);
    for (size_t i = 0; i < 4; i++) {
        struct blob_writer *writer;
        char id[DIGEST_ID_BYTES];
        uint64_t size;
        ck_assert_ok(blob_create(blobs, 0, &writer, &err), &err);
        ck_assert_ok(blob_append(writer, texts[i], strlen(texts[i]), &err), &err);
        ck_assert_ok(blob_commit(writer, id, &size, &err), &err);
    }
    blobs_close(blobs);
}

/* Rows of this version; true when there is such a file. */
static bool fill(struct database *database, int version)
{
    char name[64], path[4096], *sql;
    size_t size;
    (void)snprintf(name, sizeof(name), "tests/data/rows_%04d.sql", version);
    if (access(support_source_path(name, path, sizeof(path)), R_OK) != 0)
        return false;
    ck_assert_ok(file_read(fixture.arena, path, 1 << 20, &sql, &size, &err), &err);
    ck_assert_ok(database_script(database, sql, &err), &err);
    return true;
}

static void make_old_database(int version)
{
    struct database *database;
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", fixture.directory);
    ck_assert_ok(database_open(path, DATABASE_WRITE, &database, &err), &err);
    int filled = 0;
    for (int v = 1; v <= version; v++) {
        ck_assert_ok(schema_migrate(database, v, &err), &err);
        filled += fill(database, v);
    }
    ck_assert_int_ge(filled, version == 1 ? 1 : 2);
    database_close(database);
    make_blobs();
}

static void check_objects(void)
{
    struct database *database = store_fixture_reader(&fixture);
    struct model_row *models;
    struct dataset_row *datasets;
    struct token_row *tokens;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    const struct store_page page = {.limit = 10};
    const struct store_viewer ada = {.owner = "ada", .own_only = true};
    ck_assert_ok(model_row_list(database, &ada, &page, fixture.arena, &models, &count, next, &err),
                 &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(models[0].name, "net 'quoted' ü");
    ck_assert_int_eq(models[0].created_ms, INT64_C(1700000000000));
    (void)snprintf(fixture.model, sizeof(fixture.model), "%s", models[0].id);
    ck_assert_ok(dataset_row_list(database, NULL, &page, fixture.arena, &datasets, &count, next,
                                  &err),
                 &err);
    ck_assert_uint_eq(count, 2); /* newest first */
    ck_assert_int_eq(datasets[0].samples, INT64_MAX);
    ck_assert_double_eq(datasets[1].scale, 0.00390625);
    (void)snprintf(fixture.evaluation, sizeof(fixture.evaluation), "%s", datasets[0].id);
    (void)snprintf(fixture.calibration, sizeof(fixture.calibration), "%s", datasets[1].id);
    ck_assert_ok(token_row_list(database, fixture.arena, &tokens, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(tokens[0].role, "admin");
    ck_assert_int_eq(tokens[0].quota.stored_bytes, 0); /* as the daemon's settings are */
}

static void check_jobs(void)
{
    static const struct {
        const char *id;
        enum job_state state;
        int64_t succeeded, failed, cancelled, queued;
    } jobs[] = {
        {"j1", JOB_SUCCEEDED, 2, 0, 0, 0},
        {"j2", JOB_QUEUED, 0, 0, 0, 1},
        {"j5", JOB_RUNNING, 1, 1, 1, 1},
        {"j6", JOB_FAILED, 0, 1, 0, 0},
    };
    struct database *database = store_fixture_reader(&fixture);
    for (size_t i = 0; i < 4; i++) {
        struct job_row row = store_fixture_find_job(&fixture, jobs[i].id);
        ck_assert_int_eq(row.state, jobs[i].state);
        ck_assert_int_eq(row.counts.succeeded, jobs[i].succeeded);
        ck_assert_int_eq(row.counts.failed, jobs[i].failed);
        ck_assert_int_eq(row.counts.cancelled, jobs[i].cancelled);
        ck_assert_int_eq(row.counts.queued, jobs[i].queued);
    }
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s7");
    ck_assert_double_eq(run.accuracy, 0.5);
    ck_assert_int_eq(run.finished_ms, INT64_C(1700000010000));
    struct artifact_row *artifacts;
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    ck_assert_ok(artifact_row_list(database, "j1-v000-s0", fixture.arena, &artifacts, &count, &err),
                 &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(artifacts[0].bytes, 11);

    int64_t by_state[JOB_STATE_COUNT];
    ck_assert_ok(job_row_count(database, by_state, &err), &err);
    ck_assert_int_eq(by_state[JOB_QUEUED] + by_state[JOB_RUNNING], 2);
    ck_assert_int_eq(by_state[JOB_SUCCEEDED] + by_state[JOB_FAILED], 2);
    const struct job_filter filter = {.label = "team=red"};
    const struct store_page page = {.limit = 10};
    ck_assert_ok(job_row_list(database, &filter, &page, fixture.arena, &rows, &count, next, &err),
                 &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(rows[0].id, "j1");
}

/* What was there can go on, and new things can be added. */
static void check_life(bool jobs)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert_str_eq(job, jobs ? "j7" : "j1"); /* no number is used twice */
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_str_eq(run.id, jobs ? "j5-v001-s1" : "j1-v000-s0"); /* priority 100 */
    if (!jobs)
        return;
    int64_t runs;
    ck_assert_ok(store_fixture_retry(&fixture, "j6", &runs, &err), &err);
    ck_assert_int_eq(runs, 1);
    ck_assert_ok(store_fixture_delete(&fixture, "j1", &err), &err);
}

/* Laws: whatever an older program left is there afterwards, sound, and lives on. */
START_TEST(rows_of_every_older_version_are_kept)
{
    int version = _i;
    make_old_database(version);
    store_fixture_open(&fixture);
    ck_assert_int_eq(store_schema(fixture.store).before, version);
    ck_assert_int_eq(store_schema(fixture.store).now, migration_count);
    store_fixture_check(&fixture);
    check_objects();
    if (version >= 2)
        check_jobs();
    check_life(version >= 2);
    store_fixture_check(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migration rows");
    TCase *cases = tcase_create("migration rows");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, rows_of_every_older_version_are_kept, 1, migration_count + 1);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
