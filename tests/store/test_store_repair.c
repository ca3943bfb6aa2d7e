/* What store_check finds and store_repair repairs: one kind of damage after the other, and all. */

#include "ptqd/store/store_repair.h"

#include "statement.h"

#include "ptqd/base/file.h"
#include "store_fixture.h"
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_fixture fixture;
static struct error err;
static char job[JOB_ID_BYTES], artifact[DIGEST_ID_BYTES];
static struct run_row run;

/* A job that succeeded and left an artifact. The search behind the start is over: it would remove
 * orphans that a test makes. */
static void setup(void)
{
    store_fixture_init(&fixture);
    store_fixture_search(&fixture);
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    store_fixture_blob(&fixture, "an artifact", artifact);
    const struct artifact_row row = {
        .name = "model.onnx", .media_type = "x/y", .blob = artifact, .bytes = 11};
    const struct run_outcome outcome = {.accuracy = 1,
                                        .loss = (double)NAN,
                                        .agreement = 1,
                                        .result = "{}",
                                        .artifacts = &row,
                                        .artifact_count = 1};
    ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);
    blob_unpin(store_blobs(fixture.store), artifact);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

static const char *path_of(const char *id)
{
    const char *path;
    ck_assert_ok(blob_path(store_blobs(fixture.store), id, fixture.arena, &path, &err), &err);
    return path;
}

static void change_rows(const char *sql)
{
    struct database *database;
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", fixture.directory);
    ck_assert_ok(database_open(path, DATABASE_WRITE, &database, &err), &err);
    ck_assert_ok(database_script(database, "PRAGMA foreign_keys = OFF", &err), &err);
    ck_assert_ok(database_script(database, sql, &err), &err);
    database_close(database);
}

/* As a crash leaves it: a file that was in place before its row was. */
static void make_orphan(const char *text, char out_id[static DIGEST_ID_BYTES])
{
    char hex[DIGEST_HEX_BYTES], folder[300], path[400];
    ck_assert_ok(digest_bytes(text, strlen(text), hex, &err), &err);
    (void)snprintf(folder, sizeof(folder), "%s/blobs/%.2s", fixture.directory, hex);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, hex);
    ck_assert_ok(file_make_directory(folder, &err), &err);
    ck_assert_ok(file_write(path, text, strlen(text), &err), &err);
    (void)snprintf(out_id, DIGEST_ID_BYTES, "sha256:%s", hex);
}

static void orphan(void)
{
    char id[DIGEST_ID_BYTES];
    make_orphan("nobody's", id);
}

static void missing_model(void)
{
    ck_assert_int_eq(unlink(path_of(fixture.model)), 0);
}

static void damaged_dataset(void)
{
    ck_assert_ok(file_write(path_of(fixture.evaluation), "evaluatiom", 10, &err), &err);
}

static void missing_artifact(void)
{
    ck_assert_int_eq(unlink(path_of(artifact)), 0);
}

static void miscounted(void)
{
    change_rows("UPDATE job SET queued = 3, succeeded = 0");
}

static void no_parent(void)
{
    change_rows("INSERT INTO job_label (job, key, value) VALUES (99, 'team', 'red')");
}

static void unsummed(void)
{
    change_rows("UPDATE stored SET artifact_bytes = 7");
}

static void uncounted(void)
{
    change_rows("UPDATE tally SET jobs_failed = 7");
}

static void mislabelled(void)
{
    change_rows("INSERT INTO job_label VALUES (1, 'team', 'red', 'eve', 'failed')");
}

static const struct damage {
    void (*make)(void);
    const char *found, *done;
} damages[] = {
    {orphan, "file that nothing names: sha256:", "removed: sha256:"},
    {missing_model, "missing file: sha256:", "forgotten: model 'net' of ada"},
    {damaged_dataset, "file with other content: sha256:", "forgotten: data set 'data' of ada"},
    {missing_artifact,
     "missing file: sha256:", "forgotten: artifact model.onnx of job j1, variant 0, seed 0"},
    {miscounted, "counts that differ from the runs, of job: j1", "counted again: j1"},
    {unsummed, "counts that differ from the rows, in table: stored", "counted again: stored"},
    {uncounted, "counts that differ from the rows, in table: tally", "counted again: tally"},
    {mislabelled, "label with another owner or state than its job: j1",
     "marked again: the labels of j1"},
    {no_parent, "row without its parent, in table: job_label",
     "removed: 1 rows without their parent"},
};
enum { DAMAGES = sizeof(damages) / sizeof(damages[0]) };

static const char *check(size_t wanted)
{
    const char *report;
    size_t findings;
    ck_assert_ok(store_check(fixture.store, fixture.arena, &report, &findings, &err), &err);
    ck_assert_msg(findings == wanted, "%zu findings, not %zu:\n%s", findings, wanted, report);
    return report;
}

static const char *repair(size_t wanted)
{
    const char *report;
    size_t left;
    ck_assert_ok(store_repair(fixture.store, fixture.arena, &report, &left, &err), &err);
    ck_assert_msg(left == wanted, "%zu findings are left, not %zu:\n%s", left, wanted, report);
    return report;
}

/* Laws: a damage is found as what it is, repaired, told, and a second repair finds nothing. */
START_TEST(each_damage_is_found_and_repaired)
{
    const struct damage *damage = &damages[_i];
    ck_assert_str_eq(check(0), "");
    damage->make();
    ck_assert_msg(support_contains(check(1), damage->found), "%s", check(1));
    const char *report = repair(0);
    ck_assert_msg(support_contains(report, damage->done), "%s", report);
    ck_assert_str_eq(repair(0), "");
    store_fixture_check(&fixture);
}
END_TEST

START_TEST(all_damages_at_once_are_repaired)
{
    for (size_t i = 0; i < DAMAGES; i++)
        damages[i].make();
    check(DAMAGES);
    const char *report = repair(0);
    for (size_t i = 0; i < DAMAGES; i++)
        ck_assert_msg(support_contains(report, damages[i].done), "%s", report);
    /* The job is there, and so is what was not damaged. */
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).counts.succeeded, 1);
    (void)path_of(fixture.calibration);
}
END_TEST

/* Of all tables whose rows have a parent: how many are empty. */
static int64_t count_empty(void)
{
    struct database *database = store_fixture_reader(&fixture);
    struct statement statement;
    const char *names[32];
    size_t count = 0;
    int64_t empty = 0;
    statement_open(&statement, database,
                   "SELECT DISTINCT t.name FROM sqlite_schema AS t, pragma_foreign_key_list(t.name)"
                   " WHERE t.type = 'table'",
                   &err);
    while (statement_step(&statement))
        names[count++] = statement_text(&statement, 0, fixture.arena);
    ck_assert_ok(statement_close(&statement), &err);
    for (size_t i = 0; i < count; i++) {
        int64_t rows;
        const char *sql = arena_printf(fixture.arena, NULL, "SELECT count(*) FROM %s", names[i]);
        ck_assert_ok(database_number(database, sql, &rows, &err), &err);
        empty += rows == 0;
    }
    return empty;
}

/* Law: there is no table whose rows can stay behind. */
START_TEST(rows_of_any_table_go_when_their_parents_have_gone)
{
    const char *report;
    size_t findings;
    change_rows("INSERT INTO job_label (job, key, value) VALUES (1, 'team', 'red');"
                "INSERT INTO idempotency_key VALUES ('ada', 'k', '00', 1);"
                "INSERT INTO run_detail SELECT number, 'memory', '{}' FROM run;"
                "INSERT INTO run_log SELECT number, 1, '[]' FROM run;");
    ck_assert_int_eq(count_empty(), 0);
    change_rows("DELETE FROM job; DELETE FROM variant; DELETE FROM run; DELETE FROM model;"
                "DELETE FROM dataset;");
    ck_assert_ok(store_check(fixture.store, fixture.arena, &report, &findings, &err), &err);
    ck_assert_msg(support_contains(report, "row without its parent"), "%s", report);
    repair(0);
    ck_assert_int_eq(count_empty(), 10);
}
END_TEST

START_TEST(a_damaged_file_is_kept_under_lost)
{
    char path[400], *bytes;
    size_t size;
    damaged_dataset();
    repair(0);
    (void)snprintf(path, sizeof(path), "%s/lost/%s", fixture.directory,
                   fixture.evaluation + strlen("sha256:"));
    ck_assert_ok(file_read(fixture.arena, path, 100, &bytes, &size, &err), &err);
    ck_assert_str_eq(bytes, "evaluatiom");
}
END_TEST

/* Root reads everything: a directory in the place of a file can't be read by anybody. */
START_TEST(what_can_not_be_read_stays)
{
    const char *path = path_of(fixture.model);
    struct model_row row;
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    const char *report = repair(1);
    ck_assert_msg(support_contains(report, "unreadable file: sha256:"), "%s", report);
    ck_assert_ok(model_row_find(store_fixture_reader(&fixture), NULL, fixture.model, fixture.arena,
                                &row, &err),
                 &err);
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(a_damaged_index_is_made_anew)
{
    /* The index is told of a column that it was not filled from. */
    change_rows("PRAGMA writable_schema = ON;"
                "UPDATE sqlite_schema SET sql ="
                " 'CREATE INDEX model_holder_owner ON model_holder (name, number)'"
                " WHERE name = 'model_holder_owner';");
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    const char *report;
    size_t findings;
    ck_assert_ok(store_check(fixture.store, fixture.arena, &report, &findings, &err), &err);
    ck_assert_uint_gt(findings, 0);
    ck_assert_msg(support_contains(report, "damaged database: "), "%s", report);
    report = repair(0);
    ck_assert_msg(support_contains(report, "made anew: all indexes"), "%s", report);
}
END_TEST

/* Law: beside an owner only files older than an upload takes are orphans. */
START_TEST(a_guest_leaves_uploads_under_way_alone)
{
    char id[DIGEST_ID_BYTES];
    struct store *guest;
    const struct store_options options = {.guest = true};
    const char *report;
    size_t findings;
    make_orphan("not inserted yet", id);
    ck_assert_ok(store_open(fixture.directory, &options, &guest, &err), &err);
    ck_assert(!store_is_alone(guest));
    ck_assert_ok(store_check(guest, fixture.arena, &report, &findings, &err), &err);
    ck_assert_msg(findings == 0, "%s", report);

    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path_of(id), old, 0), 0);
    ck_assert_ok(store_check(guest, fixture.arena, &report, &findings, &err), &err);
    ck_assert_msg(findings == 1 && support_contains(report, id), "%s", report);
    store_close(guest);
}
END_TEST

/* Law: an owner that keeps orphans removes none when it opens; any other removes them. */
START_TEST(opening_for_repair_removes_nothing)
{
    const struct store_options options = {.keep_orphans = true};
    orphan();
    store_fixture_close(&fixture);
    ck_assert_ok(store_open(fixture.directory, &options, &fixture.store, &err), &err);
    check(1);
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    store_fixture_search(&fixture);
    check(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_repair");
    TCase *cases = tcase_create("store_repair");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, each_damage_is_found_and_repaired, 0, DAMAGES);
    tcase_add_test(cases, all_damages_at_once_are_repaired);
    tcase_add_test(cases, rows_of_any_table_go_when_their_parents_have_gone);
    tcase_add_test(cases, a_damaged_file_is_kept_under_lost);
    tcase_add_test(cases, what_can_not_be_read_stays);
    tcase_add_test(cases, a_damaged_index_is_made_anew);
    tcase_add_test(cases, a_guest_leaves_uploads_under_way_alone);
    tcase_add_test(cases, opening_for_repair_removes_nothing);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
