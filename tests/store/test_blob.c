#include "ptqd/base/file.h"
#include "ptqd/store/blob.h"
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* printf abc | sha256sum */
static const char abc_id[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static char directory[256];
static struct arena *arena;
static struct blobs *blobs;

static void setup(void)
{
    struct error err = {.message = ""};
    (void)support_make_directory(directory, sizeof(directory));
    arena = arena_create(0);
    ck_assert_ok(blobs_open(directory, true, &blobs, &err), &err);
}

static void teardown(void)
{
    blobs_close(blobs);
    arena_destroy(arena);
    support_remove_tree(directory);
}

static size_t files_in_tmp(void)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/tmp", directory);
    DIR *tmp = opendir(path);
    ck_assert_ptr_nonnull(tmp);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(tmp)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(tmp); /* it was only read */
    return count;
}

static void put(const char *const *parts, char out_id[static DIGEST_ID_BYTES])
{
    struct error err = {.message = ""};
    struct blob_writer *writer;
    uint64_t size, expected = 0;
    ck_assert_ok(blob_create(blobs, 0, &writer, &err), &err);
    for (; *parts != NULL; parts++) {
        ck_assert_ok(blob_append(writer, *parts, strlen(*parts), &err), &err);
        expected += strlen(*parts);
    }
    ck_assert_ok(blob_commit(writer, out_id, &size, &err), &err);
    ck_assert_uint_eq(size, expected);
}

START_TEST(a_blob_is_named_by_the_sha256_of_its_bytes)
{
    struct error err = {.message = ""};
    char id[DIGEST_ID_BYTES], *bytes;
    const char *path;
    size_t size;
    put((const char *const[]){"a", "", "bc", NULL}, id);
    ck_assert_str_eq(id, abc_id);
    ck_assert_ok(blob_path(blobs, id, arena, &path, &err), &err);
    ck_assert_ptr_nonnull(strstr(path, "/blobs/ba/ba7816bf"));
    ck_assert_ok(file_read(arena, path, 100, &bytes, &size, &err), &err);
    ck_assert_str_eq(bytes, "abc");
    ck_assert_uint_eq(files_in_tmp(), 0);
}
END_TEST

START_TEST(an_empty_blob_is_a_blob)
{
    struct error err = {.message = ""};
    char id[DIGEST_ID_BYTES];
    int fd;
    uint64_t size;
    put((const char *const[]){NULL}, id);
    ck_assert_ok(blob_open(blobs, id, &fd, &size, &err), &err);
    ck_assert_uint_eq(size, 0);
    (void)close(fd); /* opened for reading */
}
END_TEST

START_TEST(the_same_bytes_twice_are_one_file)
{
    char first[DIGEST_ID_BYTES], second[DIGEST_ID_BYTES];
    put((const char *const[]){"abc", NULL}, first);
    put((const char *const[]){"ab", "c", NULL}, second);
    ck_assert_str_eq(first, second);
}
END_TEST

START_TEST(an_id_may_be_in_upper_case)
{
    struct error err = {.message = ""};
    char id[DIGEST_ID_BYTES], upper[DIGEST_ID_BYTES];
    const char *path;
    put((const char *const[]){"abc", NULL}, id);
    (void)snprintf(upper, sizeof(upper), "sha256:BA%s", id + strlen("sha256:ba"));
    ck_assert_ok(blob_path(blobs, upper, arena, &path, &err), &err);
}
END_TEST

START_TEST(a_name_that_could_leave_the_directory_is_no_id)
{
    static const char *const names[] = {"../lock", "sha256:../../lock", "sha256:", "", "abc"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct error err = {.message = ""};
        const char *path;
        ck_assert_fails(blob_path(blobs, names[i], arena, &path, &err), &err, E_INVALID,
                        "is not an id");
    }
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    struct error err = {.message = ""};
    int fd;
    uint64_t size;
    const char *path;
    ck_assert_fails(blob_open(blobs, abc_id, &fd, &size, &err), &err, E_NOT_FOUND, abc_id);
    ck_assert_fails(blob_path(blobs, abc_id, arena, &path, &err), &err, E_NOT_FOUND, abc_id);
    ck_assert_fails(blob_remove(blobs, abc_id, &err), &err, E_NOT_FOUND, abc_id);
}
END_TEST

START_TEST(a_reader_keeps_a_blob_that_is_removed)
{
    struct error err = {.message = ""};
    char id[DIGEST_ID_BYTES], bytes[4] = "";
    int fd;
    uint64_t size;
    put((const char *const[]){"abc", NULL}, id);
    blob_unpin(blobs, id);
    ck_assert_ok(blob_open(blobs, id, &fd, &size, &err), &err);
    ck_assert_ok(blob_remove(blobs, id, &err), &err);
    ck_assert_int_eq(read(fd, bytes, 3), 3);
    ck_assert_str_eq(bytes, "abc");
    (void)close(fd); /* opened for reading */
}
END_TEST

/* Law: a blob stays until it was unpinned as often as it was committed. */
START_TEST(a_pinned_blob_is_not_removed)
{
    struct error err = {.message = ""};
    char id[DIGEST_ID_BYTES];
    const char *path;
    put((const char *const[]){"abc", NULL}, id);
    put((const char *const[]){"abc", NULL}, id);
    for (int pins = 2; pins > 0; pins--) {
        ck_assert_ok(blob_remove(blobs, id, &err), &err);
        ck_assert_ok(blob_path(blobs, id, arena, &path, &err), &err);
        blob_unpin(blobs, id);
    }
    blob_unpin(blobs, id); /* once too often is harmless */
    ck_assert_ok(blob_remove(blobs, id, &err), &err);
    ck_assert_fails(blob_path(blobs, id, arena, &path, &err), &err, E_NOT_FOUND, id);
}
END_TEST

START_TEST(an_abandoned_blob_leaves_nothing)
{
    struct error err = {.message = ""};
    struct blob_writer *writer;
    const char *path;
    ck_assert_ok(blob_create(blobs, 0, &writer, &err), &err);
    ck_assert_ok(blob_append(writer, "abc", 3, &err), &err);
    ck_assert_uint_eq(files_in_tmp(), 1);
    blob_abandon(writer);
    blob_abandon(NULL);
    ck_assert_uint_eq(files_in_tmp(), 0);
    ck_assert_fails(blob_path(blobs, abc_id, arena, &path, &err), &err, E_NOT_FOUND, abc_id);
}
END_TEST

/* Law: a blob of exactly the limit is taken, one byte more is not. */
START_TEST(a_blob_above_its_limit_is_refused)
{
    struct error err = {.message = ""};
    struct blob_writer *writer;
    char id[DIGEST_ID_BYTES];
    uint64_t size;
    ck_assert_ok(blob_create(blobs, 3, &writer, &err), &err);
    ck_assert_ok(blob_append(writer, "abc", 3, &err), &err);
    ck_assert_ok(blob_commit(writer, id, &size, &err), &err);

    ck_assert_ok(blob_create(blobs, 3, &writer, &err), &err);
    ck_assert_ok(blob_append(writer, "ab", 2, &err), &err);
    ck_assert_fails(blob_append(writer, "cd", 2, &err), &err, E_TOO_LARGE, "3 bytes");
    ck_assert_fails(blob_commit(writer, id, &size, &err), &err, E_IO, "incomplete");
    ck_assert_uint_eq(files_in_tmp(), 0);
}
END_TEST

/* Law: on a full disk the blob is refused as such, nothing stays of it, and the next one works. A
 * limit of the file size stands for the full disk: the system calls fail alike. */
START_TEST(a_full_disk_is_an_error_and_passes)
{
    struct error err = {.message = ""};
    struct blob_writer *writer;
    char id[DIGEST_ID_BYTES];
    static const char bytes[8192];
    struct rlimit limit, whole;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
    limit = (struct rlimit){.rlim_cur = 4096, .rlim_max = whole.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN); /* a valid signal */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_ok(blob_create(blobs, 0, &writer, &err), &err);
    bool ok = blob_append(writer, bytes, sizeof(bytes), &err);
    blob_abandon(writer);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &whole), 0);

    ck_assert(!ok);
    ck_assert_int_eq(err.code, E_NO_SPACE);
    ck_assert_uint_eq(files_in_tmp(), 0);
    put((const char *const[]){"abc", NULL}, id);
}
END_TEST

START_TEST(a_directory_whose_name_is_too_long_is_an_error)
{
    struct error err = {.message = ""};
    struct blobs *others;
    char name[5000];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_fails(blobs_open(name, false, &others, &err), &err, E_IO,
                    "can't keep blobs in 'aaaa");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blob");
    TCase *cases = tcase_create("blob");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_blob_is_named_by_the_sha256_of_its_bytes);
    tcase_add_test(cases, an_empty_blob_is_a_blob);
    tcase_add_test(cases, the_same_bytes_twice_are_one_file);
    tcase_add_test(cases, an_id_may_be_in_upper_case);
    tcase_add_test(cases, a_name_that_could_leave_the_directory_is_no_id);
    tcase_add_test(cases, what_is_not_there_is_not_found);
    tcase_add_test(cases, a_reader_keeps_a_blob_that_is_removed);
    tcase_add_test(cases, a_pinned_blob_is_not_removed);
    tcase_add_test(cases, an_abandoned_blob_leaves_nothing);
    tcase_add_test(cases, a_blob_above_its_limit_is_refused);
    tcase_add_test(cases, a_full_disk_is_an_error_and_passes);
    tcase_add_test(cases, a_directory_whose_name_is_too_long_is_an_error);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
