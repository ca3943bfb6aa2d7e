/* Opening and closing: who may, what they find, what they leave. */

#include "database.h"
#include "directory_lock.h"

#include "ptqd/base/file.h"
#include "store_fixture.h"
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_fixture fixture;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

START_TEST(a_new_store_has_the_newest_schema)
{
    struct store_schema schema = store_schema(fixture.store);
    ck_assert_int_eq(schema.before, 0);
    ck_assert_int_gt(schema.now, 0);

    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    ck_assert_int_eq(store_schema(fixture.store).before, schema.now);
}
END_TEST

static void check_mode(const char *name)
{
    char path[300];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.directory, name);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_msg((status.st_mode & 07) == 0, "%s: %o", name, status.st_mode & 0777);
}

/* Law: who else works on the machine reads neither jobs nor files, wherever the directory is. */
START_TEST(others_can_not_read_the_state)
{
    static const char *const names[] = {"ptqd.db", "ptqd.db-wal", "ptqd.db-shm",
                                        "lock",    "blobs",       "tmp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_mode(names[i]);
}
END_TEST

START_TEST(a_second_owner_is_refused)
{
    struct error err = {.message = ""};
    struct store_options options = {.guest = false};
    struct store *second;
    ck_assert_fails(store_open(fixture.directory, &options, &second, &err), &err, E_CONFLICT,
                    "another ptqd is using the directory");
}
END_TEST

/* Opens the store as the owner of a directory whose lock somebody has. */
static void *open_store(void *context)
{
    struct store **out_store = context;
    struct error err = {.message = ""};
    const struct store_options options = {.guest = false};
    return store_open(fixture.directory, &options, out_store, &err) ? context : NULL;
}

/* Law: a command that just opens the store does not keep the daemon from starting. */
START_TEST(an_owner_waits_for_a_guest_that_comes_in)
{
    enum { ENTRY_MS = 50 };
    struct error err = {.message = ""};
    struct store *store = NULL;
    pthread_t thread;
    void *opened;
    int guest = -1;
    store_fixture_close(&fixture);
    ck_assert_ok(directory_lock(fixture.directory, 0, &guest, &err), &err);
    ck_assert_int_ge(guest, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, open_store, &store), 0);
    usleep(ENTRY_MS * 1000);
    directory_unlock(guest);
    ck_assert_int_eq(pthread_join(thread, &opened), 0);
    ck_assert_ptr_nonnull(opened);
    store_close(store);
    store_fixture_open(&fixture);
}
END_TEST

/* Law: a guest sees what the owner has written, and keeps out neither guests nor a later owner. */
START_TEST(guests_are_welcome_beside_an_owner)
{
    struct error err = {.message = ""};
    struct store_options options = {.guest = true};
    struct store *guest;
    struct database *database;
    struct model_row row;
    ck_assert_ok(store_open(fixture.directory, &options, &guest, &err), &err);
    ck_assert_ok(store_reader(guest, &database, &err), &err);
    ck_assert_ok(model_row_find(database, NULL, fixture.model, fixture.arena, &row, &err), &err);
    store_close(guest);

    store_fixture_close(&fixture);
    ck_assert_ok(store_open(fixture.directory, &options, &guest, &err), &err);
    store_fixture_open(&fixture);
    store_close(guest);
}
END_TEST

START_TEST(a_directory_that_is_a_file_is_an_error)
{
    struct error err = {.message = ""};
    struct store_options options = {.guest = false};
    struct store *store;
    ck_assert_fails(store_open("/dev/null", &options, &store, &err), &err, E_NOT_FOUND,
                    "/dev/null");
}
END_TEST

START_TEST(a_file_that_is_no_database_is_an_error)
{
    struct error err = {.message = ""};
    struct store_options options = {.guest = false};
    struct store *store;
    char directory[256], path[300];
    static const char text[] = "once upon a time there was a file that was no database at all; "
                               "it was long enough to have a header, but it had none";
    (void)support_make_directory(directory, sizeof(directory));
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", directory);
    ck_assert_ok(file_write(path, text, strlen(text), &err), &err);
    ck_assert_fails(store_open(directory, &options, &store, &err), &err, E_IO, path);
    support_remove_tree(directory);
}
END_TEST

/* Law: what is closed in good order is one file, whoever has read meanwhile. */
START_TEST(a_closed_database_is_one_file)
{
    struct error err = {.message = ""};
    char path[300];
    int64_t models;
    ck_assert_ok(database_number(store_fixture_reader(&fixture), "SELECT count(*) FROM model",
                                 &models, &err),
                 &err);
    store_fixture_close(&fixture);
    (void)snprintf(path, sizeof(path), "%s/ptqd.db-wal", fixture.directory);
    ck_assert_int_ne(access(path, F_OK), 0);
    store_fixture_open(&fixture);
    store_fixture_check(&fixture);
}
END_TEST

/* Law: files whose database is lost are not taken for what nothing names. */
START_TEST(files_without_a_database_stay)
{
    struct error err = {.message = ""};
    const struct store_options options = {.guest = false};
    struct store *store;
    char path[300], moved[300];
    const char *blob;
    ck_assert_ok(blob_path(store_blobs(fixture.store), fixture.model, fixture.arena, &blob, &err),
                 &err);
    store_fixture_close(&fixture);
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", fixture.directory);
    (void)snprintf(moved, sizeof(moved), "%s/moved.db", fixture.directory);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_fails(store_open(fixture.directory, &options, &store, &err), &err, E_CONFLICT,
                    "is missing or empty, but files that it named are there");
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_ok(file_write(path, "", 0, &err), &err);
    ck_assert_fails(store_open(fixture.directory, &options, &store, &err), &err, E_CONFLICT,
                    "is missing or empty, but files that it named are there");
    struct database *empty; /* as it is without its log */
    ck_assert_ok(database_open(path, DATABASE_WRITE, &empty, &err), &err);
    ck_assert_ok(database_script(empty, "VACUUM", &err), &err);
    database_close(empty);
    ck_assert_fails(store_open(fixture.directory, &options, &store, &err), &err, E_CONFLICT,
                    "is missing or empty, but files that it named are there");
    ck_assert_int_eq(access(blob, F_OK), 0);
    ck_assert_int_eq(rename(moved, path), 0);
    store_fixture_open(&fixture);
    store_fixture_check(&fixture);
}
END_TEST

START_TEST(a_reader_can_not_write)
{
    struct error err = {.message = ""};
    int64_t runs;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    char id[JOB_ID_BYTES];
    store_fixture_submit(&fixture, &insert, id);
    ck_assert_fails(job_row_cancel(store_fixture_reader(&fixture), id, &runs, &err), &err,
                    E_INTERNAL, "readonly");
    ck_assert_int_eq(store_fixture_find_job(&fixture, id).state, JOB_QUEUED);
}
END_TEST

/* Law: what a crash left between a file and its row is gone after the next start; what a row names
 * stays. */
START_TEST(an_owner_clears_away_what_nothing_names)
{
    struct error err = {.message = ""};
    char orphan[DIGEST_ID_BYTES], leftover[300];
    store_fixture_blob(&fixture, "nobody's", orphan);
    (void)snprintf(leftover, sizeof(leftover), "%s/tmp/1-1", fixture.directory);
    int fd = open(leftover, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    (void)close(fd); /* empty */

    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    store_fixture_search(&fixture);
    uint64_t size;
    ck_assert_fails(blob_open(store_blobs(fixture.store), orphan, &fd, &size, &err), &err,
                    E_NOT_FOUND, orphan);
    ck_assert_int_ne(access(leftover, F_OK), 0);
    store_fixture_check(&fixture);
}
END_TEST

START_TEST(a_check_finds_damaged_and_missing_blobs)
{
    struct error err = {.message = ""};
    const char *path, *report;
    size_t findings;
    struct blobs *blobs = store_blobs(fixture.store);
    ck_assert_ok(blob_path(blobs, fixture.model, fixture.arena, &path, &err), &err);
    ck_assert_ok(file_write(path, "another", 7, &err), &err);
    ck_assert_ok(blob_remove(blobs, fixture.calibration, &err), &err);
    ck_assert_ok(store_check(fixture.store, fixture.arena, &report, &findings, &err), &err);
    ck_assert_uint_eq(findings, 2);
    ck_assert_ptr_nonnull(strstr(report, "file with other content: sha256:"));
    ck_assert_ptr_nonnull(strstr(report, "missing file: sha256:"));
}
END_TEST

static void *check(void *context)
{
    const char *report;
    size_t findings = 0;
    struct arena *arena = arena_create(0);
    bool ok = store_check(fixture.store, arena, &report, &findings, context);
    arena_destroy(arena);
    return ok && findings == 1 ? fixture.store : NULL; /* the pipe's content is not the model's */
}

static bool insert_large(struct database *database, void *context, struct error *err)
{
    struct model_row row = {.id = fixture.calibration, /* its file is there */
                            .name = "",
                            .owner = "ada",
                            .format = "onnx",
                            .detail = context};
    bool known;
    return model_row_insert(database, &row, &known, err) &&
           model_row_delete(database, row.id, row.owner, err);
}

/* Law: however long a check takes, the write-ahead log begins anew meanwhile. It waits for the
 * content of a file that is a pipe. */
START_TEST(a_check_lets_the_log_begin_anew)
{
    enum { LARGE_BYTES = 1 << 20, WRITES = 64 };
    struct error err = {.message = ""}, checked = {.message = ""};
    struct store_stats stats;
    const char *path;
    pthread_t thread;
    void *found;
    ck_assert_ok(blob_path(store_blobs(fixture.store), fixture.model, fixture.arena, &path, &err),
                 &err);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, check, &checked), 0);
    int pipe = open(path, O_WRONLY); /* returns when the check reads */
    ck_assert_int_ge(pipe, 0);
    ck_assert_int_eq(unlink(path), 0); /* it is opened once */
    char *detail = arena_alloc(fixture.arena, LARGE_BYTES, &err);
    memset(detail, ' ', LARGE_BYTES - 1);
    for (int i = 0; i < WRITES; i++)
        ck_assert_ok(store_write_now(fixture.store, insert_large, detail, &err), &err);
    store_read_stats(fixture.store, &stats);
    ck_assert_int_eq(close(pipe), 0);
    ck_assert_int_eq(pthread_join(thread, &found), 0);
    ck_assert_ok(found != NULL, &checked);
    ck_assert_uint_lt(stats.wal_bytes, (uint64_t)LARGE_BYTES * WRITES / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *open = tcase_create("open");
    tcase_add_checked_fixture(open, setup, teardown);
    tcase_add_test(open, a_new_store_has_the_newest_schema);
    tcase_add_test(open, others_can_not_read_the_state);
    tcase_add_test(open, a_second_owner_is_refused);
    tcase_add_test(open, an_owner_waits_for_a_guest_that_comes_in);
    tcase_add_test(open, guests_are_welcome_beside_an_owner);
    tcase_add_test(open, a_directory_that_is_a_file_is_an_error);
    tcase_add_test(open, a_file_that_is_no_database_is_an_error);
    tcase_add_test(open, a_closed_database_is_one_file);
    tcase_add_test(open, files_without_a_database_stay);
    tcase_add_test(open, a_reader_can_not_write);
    tcase_add_test(open, an_owner_clears_away_what_nothing_names);
    tcase_add_test(open, a_check_finds_damaged_and_missing_blobs);
    tcase_add_test(open, a_check_lets_the_log_begin_anew);
    suite_add_tcase(suite, open);
    return support_run(suite);
}
