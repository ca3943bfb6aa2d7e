#include "ptqd/base/file.h"

#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error err;
static struct arena *arena;
static char directory[PATH_MAX];

static void setup(void)
{
    arena = arena_create(0);
    support_make_directory(directory, sizeof(directory));
}

static void teardown(void)
{
    support_remove_tree(directory);
    arena_destroy(arena);
}

static const char *path_of(const char *name)
{
    return file_join(arena, directory, name, &err);
}

static int count_entries(void)
{
    DIR *stream = opendir(directory);
    ck_assert_ptr_nonnull(stream);
    int count = 0;
    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count - 2; /* . and .. */
}

static void assert_content(const char *path, const char *expected, size_t size)
{
    char *bytes;
    size_t got;
    ck_assert_ok(file_read(arena, path, 1 << 20, &bytes, &got, &err), &err);
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(bytes, expected, size);
    ck_assert_int_eq(bytes[size], '\0');
}

/* Law: what is written reads back, NUL bytes included; nothing else stays in the directory. */
START_TEST(files_read_back)
{
    static const char bytes[] = "a\0b\n\xff";
    for (size_t size = 0; size < sizeof(bytes); size++) {
        ck_assert_ok(file_write(path_of("file"), bytes, size, &err), &err);
        assert_content(path_of("file"), bytes, size);
        ck_assert_int_eq(count_entries(), 1);
    }
}
END_TEST

START_TEST(a_relative_path_works_too)
{
    ck_assert_int_eq(chdir(directory), 0);
    ck_assert_ok(file_write("plain", "x", 1, &err), &err);
    assert_content("plain", "x", 1);
    ck_assert_ok(file_make_directory("a/b", &err), &err);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_file_is_removed_once)
{
    ck_assert_ok(file_write(path_of("file"), "x", 1, &err), &err);
    ck_assert_ok(file_remove(path_of("file"), &err), &err);
    ck_assert_int_ne(access(path_of("file"), F_OK), 0);
    ck_assert_ok(file_remove(path_of("file"), &err), &err);
    ck_assert_fails(file_remove(directory, &err), &err, E_IO, "remove");
}
END_TEST

START_TEST(the_limit_holds_to_the_byte)
{
    char *bytes = NULL;
    size_t size = 99;
    ck_assert_ok(file_write(path_of("file"), "12345", 5, &err), &err);
    ck_assert_ok(file_read(arena, path_of("file"), 5, &bytes, &size, &err), &err);
    bytes = NULL;
    size = 99;
    ck_assert_fails(file_read(arena, path_of("file"), 4, &bytes, &size, &err), &err, E_TOO_LARGE,
                    "has 5 bytes; at most 4");
    ck_assert_ptr_null(bytes);
    ck_assert_uint_eq(size, 99);
}
END_TEST

START_TEST(what_can_not_be_read_is_named)
{
    char *bytes;
    size_t size;
    ck_assert_fails(file_read(arena, path_of("none"), 9, &bytes, &size, &err), &err, E_NOT_FOUND,
                    path_of("none"));
    ck_assert_fails(file_read(arena, directory, 9, &bytes, &size, &err), &err, E_IO,
                    "not a regular file");
    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    ck_assert_fails(file_read(arena, path_of("fifo"), 9, &bytes, &size, &err), &err, E_IO,
                    "not a regular file");
}
END_TEST

START_TEST(what_can_not_be_written_is_named)
{
    ck_assert_fails(file_write(path_of("no/such/file"), "x", 1, &err), &err, E_NOT_FOUND,
                    path_of("no/such/file"));
    ck_assert_ok(file_make_directory(path_of("taken/inside"), &err), &err);
    ck_assert_fails(file_write(path_of("taken"), "x", 1, &err), &err, E_IO, path_of("taken"));
    ck_assert_int_eq(count_entries(), 1);
}
END_TEST

/* Law: a write that fails half-way leaves the old file whole and no other file behind. The
 * file-size limit stands for the full disk: it fails a write in the middle, without privileges. */
START_TEST(a_failed_write_changes_nothing)
{
    ck_assert_ok(file_write(path_of("file"), "old", 3, &err), &err);
    static const char big[100000];
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < sizeof(big); limit += 20000) {
        struct rlimit small = {.rlim_cur = limit, .rlim_max = before.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        bool ok = file_write(path_of("file"), big, sizeof(big), &err);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
        ck_assert_fails(ok, &err, E_NO_SPACE, path_of("file"));
        ck_assert_int_eq(count_entries(), 1);
        assert_content(path_of("file"), "old", 3);
    }
}
END_TEST

START_TEST(a_full_device_is_no_space)
{
    int fd = open("/dev/full", O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_fails(file_write_all(fd, "x", 1, "the device", &err), &err, E_NO_SPACE,
                    "'the device'");
    close(fd);
}
END_TEST

START_TEST(system_errors_have_codes)
{
    static const struct {
        int number;
        enum error_code code;
    } numbers[] = {{ENOENT, E_NOT_FOUND}, {ENOTDIR, E_NOT_FOUND},
                   {ENOSPC, E_NO_SPACE},  {EDQUOT, E_NO_SPACE},
                   {EFBIG, E_NO_SPACE},   {ENOMEM, E_MEMORY},
                   {EACCES, E_IO},        {EIO, E_IO}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        ck_assert_fails(file_fail(&err, numbers[i].number, "do", "it"), &err, numbers[i].code,
                        "can't do 'it': ");
}
END_TEST

START_TEST(directories_are_made_with_their_parents)
{
    struct stat status;
    ck_assert_ok(file_make_directory(path_of("a/b/c"), &err), &err);
    ck_assert_ok(file_make_directory(path_of("a/b/c"), &err), &err);
    ck_assert_ok(file_make_directory(path_of("a//b/c/d/"), &err), &err);
    ck_assert_int_eq(stat(path_of("a/b/c/d"), &status), 0);
    ck_assert(S_ISDIR(status.st_mode));
    ck_assert_ok(file_write(path_of("a/file"), "x", 1, &err), &err);
    ck_assert_fails(file_make_directory(path_of("a/file"), &err), &err, E_NOT_FOUND, "a/file");
    ck_assert_fails(file_make_directory(path_of("a/file/b"), &err), &err, E_NOT_FOUND, "a/file");
    ck_assert(!file_make_directory("", &err));
}
END_TEST

START_TEST(paths_join)
{
    ck_assert_str_eq(file_join(arena, "a", "b", &err), "a/b");
    ck_assert_str_eq(file_join(arena, "a/", "b", &err), "a/b");
    ck_assert_str_eq(file_join(arena, "/", "b", &err), "/b");
    ck_assert_str_eq(file_join(arena, "", "b", &err), "b");
    ck_assert_str_eq(file_join(arena, "a", "/b", &err), "/b");
}
END_TEST

START_TEST(paths_that_are_too_long_are_refused)
{
    char *name = arena_alloc(arena, PATH_MAX + 10, &err);
    memset(name, 'x', PATH_MAX + 9);
    ck_assert(!file_write(name, "x", 1, &err));
    ck_assert(!file_make_directory(name, &err));
    name[PATH_MAX + 2] = '/';
    ck_assert(!file_sync_parent(name, &err));
}
END_TEST

static bool read_and_join(struct arena *failing, void *context, struct error *error)
{
    char *bytes;
    size_t size;
    char *path = file_join(failing, context, "file", error);
    return path != NULL && file_read(failing, path, 100, &bytes, &size, error);
}

START_TEST(every_allocation_can_fail_cleanly)
{
    ck_assert_ok(file_write(path_of("file"), "x", 1, &err), &err);
    ck_assert_uint_eq(support_fail_each_allocation(read_and_join, directory), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *cases = tcase_create("file");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, files_read_back);
    tcase_add_test(cases, a_relative_path_works_too);
    tcase_add_test(cases, a_file_is_removed_once);
    tcase_add_test(cases, the_limit_holds_to_the_byte);
    tcase_add_test(cases, what_can_not_be_read_is_named);
    tcase_add_test(cases, what_can_not_be_written_is_named);
    tcase_add_test(cases, a_failed_write_changes_nothing);
    tcase_add_test(cases, a_full_device_is_no_space);
    tcase_add_test(cases, system_errors_have_codes);
    tcase_add_test(cases, directories_are_made_with_their_parents);
    tcase_add_test(cases, paths_join);
    tcase_add_test(cases, paths_that_are_too_long_are_refused);
    tcase_add_test(cases, every_allocation_can_fail_cleanly);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
