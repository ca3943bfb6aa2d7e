/* Copies of a store, taken while it is being changed. */

#include "ptqd/store/store_backup.h"

#include "ptqd/base/file.h"
#include "ptqd/store/run_file.h"
#include "store_fixture.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_fixture fixture;
static char copies[256], to[300];
static struct error err;
static struct store_backup backup;

static void setup(void)
{
    store_fixture_init(&fixture);
    (void)support_make_directory(copies, sizeof(copies));
    (void)snprintf(to, sizeof(to), "%s/copy", copies);
}

static void teardown(void)
{
    support_remove_tree(copies);
    store_fixture_finish(&fixture);
}

/* Checks a copy as a store of its own. */
static struct store *open_copy(const char *directory)
{
    struct store *store;
    const struct store_options options = {.guest = false};
    const char *report;
    size_t findings;
    ck_assert_ok(store_open(directory, &options, &store, &err), &err);
    ck_assert_ok(store_check(store, fixture.arena, &report, &findings, &err), &err);
    ck_assert_msg(findings == 0, "%zu findings:\n%s", findings, report);
    return store;
}

/* Law: a copy has every row and every file, and what ran is queued and keeps its checkpoint. */
START_TEST(a_copy_is_a_whole_store)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(run_file_write(fixture.directory, run.id, "units", 5, &err), &err);

    ck_assert_ok(store_backup(fixture.directory, to, fixture.arena, &backup, &err), &err);
    ck_assert_uint_eq(backup.findings, 0);
    ck_assert_uint_eq(backup.files, 4);
    ck_assert_uint_eq(backup.bytes,
                      strlen("a model") + strlen("calibration") + strlen("evaluation") + 5);

    struct store *copy = open_copy(to);
    struct database *database;
    struct job_row row;
    const uint8_t *bytes;
    size_t size;
    ck_assert_ok(store_reader(copy, &database, &err), &err);
    ck_assert_ok(job_row_find(database, job, fixture.arena, &row, &err), &err);
    ck_assert_int_eq(row.counts.queued, 4);
    ck_assert_int_eq(row.counts.running, 0);
    ck_assert_ok(run_row_find(database, run.id, fixture.arena, &run, &err), &err);
    ck_assert_int_eq(run.crashes, 0);
    ck_assert_ok(run_file_read(fixture.arena, to, run.id, 100, &bytes, &size, &err), &err);
    ck_assert_uint_eq(size, 5);
    store_close(copy);

    /* The store itself is as it was. */
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).counts.running, 1);
    store_fixture_check(&fixture);
}
END_TEST

START_TEST(a_copy_of_a_copy_is_a_whole_store)
{
    char again[320];
    (void)snprintf(again, sizeof(again), "%s/again", copies);
    ck_assert_ok(store_backup(fixture.directory, to, fixture.arena, &backup, &err), &err);
    ck_assert_ok(store_backup(to, again, fixture.arena, &backup, &err), &err);
    ck_assert_uint_eq(backup.files, 3);
    store_close(open_copy(again));
}
END_TEST

START_TEST(a_directory_that_is_not_empty_is_refused)
{
    char file[400];
    ck_assert_ok(file_make_directory(to, &err), &err);
    (void)snprintf(file, sizeof(file), "%s/precious", to);
    ck_assert_ok(file_write(file, "x", 1, &err), &err);
    ck_assert_fails(store_backup(fixture.directory, to, fixture.arena, &backup, &err), &err,
                    E_CONFLICT, "is not empty");
    ck_assert_int_eq(access(file, F_OK), 0);
    (void)snprintf(file, sizeof(file), "%s/ptqd.db", to);
    ck_assert_int_ne(access(file, F_OK), 0);
}
END_TEST

START_TEST(a_directory_without_a_store_is_no_source)
{
    char nothing[300];
    (void)snprintf(nothing, sizeof(nothing), "%s/nothing", copies);
    ck_assert_fails(store_backup(nothing, to, fixture.arena, &backup, &err), &err, E_NOT_FOUND,
                    "ptqd.db");
    ck_assert_int_ne(access(to, F_OK), 0);
}
END_TEST

static const char *path_of(const char *id)
{
    const char *path;
    ck_assert_ok(blob_path(store_blobs(fixture.store), id, fixture.arena, &path, &err), &err);
    return path;
}

/* Law: what the source lacks is named; the rest is copied. */
START_TEST(missing_and_damaged_files_are_named)
{
    ck_assert_ok(file_write(path_of(fixture.model), "a mobel", 7, &err), &err);
    ck_assert_int_eq(unlink(path_of(fixture.calibration)), 0);
    ck_assert_ok(store_backup(fixture.directory, to, fixture.arena, &backup, &err), &err);
    ck_assert_uint_eq(backup.findings, 2);
    ck_assert_uint_eq(backup.files, 1);
    const char *wanted[] = {"file with other content: ", fixture.model,
                            "missing file: ", fixture.calibration};
    for (size_t i = 0; i < 4; i++)
        ck_assert_msg(support_contains(backup.report, wanted[i]), "%s", backup.report);
}
END_TEST

static struct error copied_err;

static void *copy_all(void *context)
{
    (void)context;
    bool ok = store_backup(fixture.directory, to, fixture.arena, &backup, &copied_err);
    return ok ? &backup : NULL;
}

/* Law: while a directory is being filled no daemon starts there. The copy waits for the content of
 * a file that is a pipe. */
START_TEST(a_copy_has_its_directory_for_itself)
{
    const struct store_options options = {.guest = false};
    const char *path = path_of(fixture.model);
    struct store *store = NULL;
    pthread_t thread;
    void *copied;
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, copy_all, NULL), 0);
    FILE *pipe = fopen(path, "w"); /* returns when the copy reads */
    ck_assert_ptr_nonnull(pipe);
    ck_assert_fails(store_open(to, &options, &store, &err), &err, E_CONFLICT,
                    "another ptqd is using the directory");
    ck_assert_int_gt(fputs("a model", pipe), 0);
    ck_assert_int_eq(fclose(pipe), 0);
    ck_assert_int_eq(pthread_join(thread, &copied), 0);
    ck_assert_ok(copied != NULL, &copied_err);
    ck_assert_uint_eq(backup.findings, 0);
    store_close(open_copy(to));
}
END_TEST

/* ---- under load ---- */

struct churn {
    pthread_t thread;
    unsigned index;
    atomic_bool *ends;
    unsigned rounds;
};

struct change {
    struct model_row row;
    bool deletes;
};

static bool apply_change(struct database *database, void *context, struct error *reason)
{
    const struct change *change = context;
    bool known;
    return change->deletes ? model_row_delete(database, change->row.id, NULL, reason)
                           : model_row_insert(database, &change->row, &known, reason);
}

/* Models come and go, so that every moment has other files. */
static void *churn(void *context)
{
    struct churn *own = context;
    while (!atomic_load(own->ends)) {
        char text[64], id[DIGEST_ID_BYTES];
        struct error reason = {.message = ""};
        (void)snprintf(text, sizeof(text), "model %u of thread %u", own->rounds++, own->index);
        store_fixture_blob(&fixture, text, id);
        struct change change = {
            .row = {.id = id, .name = "", .owner = "ada", .format = "onnx", .detail = "{}"}};
        ck_assert_ok(store_write_now(fixture.store, apply_change, &change, &reason), &reason);
        blob_unpin(store_blobs(fixture.store), id);
        change.deletes = true;
        ck_assert_ok(store_write_now(fixture.store, apply_change, &change, &reason), &reason);
    }
    return NULL;
}

/* Law: a copy taken in the middle of changes is sound, has what was there before, and each of its
 * rows has its file. */
START_TEST(a_copy_under_load_is_whole)
{
    enum { COPIES = 8, THREADS = 3 };
    struct churn threads[THREADS];
    atomic_bool ends = false;
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct churn){.index = i, .ends = &ends};
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, churn, &threads[i]), 0);
    }
    for (int i = 0; i < (support_short() ? 3 : COPIES); i++) {
        char job[JOB_ID_BYTES];
        struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
        store_fixture_submit(&fixture, &insert, job);
        (void)snprintf(to, sizeof(to), "%s/%d", copies, i);
        ck_assert_ok(store_backup(fixture.directory, to, fixture.arena, &backup, &err), &err);
        ck_assert_msg(backup.findings == 0, "%s", backup.report);
        struct store *copy = open_copy(to);
        struct database *database;
        struct job_row row;
        ck_assert_ok(store_reader(copy, &database, &err), &err);
        ck_assert_ok(job_row_find(database, job, fixture.arena, &row, &err), &err);
        store_close(copy);
    }
    atomic_store(&ends, true);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
        ck_assert_uint_gt(threads[i].rounds, 0);
    }
    store_fixture_check(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_backup");
    TCase *cases = tcase_create("store_backup");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_copy_is_a_whole_store);
    tcase_add_test(cases, a_copy_of_a_copy_is_a_whole_store);
    tcase_add_test(cases, a_directory_that_is_not_empty_is_refused);
    tcase_add_test(cases, a_directory_without_a_store_is_no_source);
    tcase_add_test(cases, missing_and_damaged_files_are_named);
    tcase_add_test(cases, a_copy_has_its_directory_for_itself);
    tcase_add_test(cases, a_copy_under_load_is_whole);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
