#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool support_contains(const char *text, const char *fragment)
{
    return strstr(text, fragment) != NULL;
}

int support_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? 1 : 0;
}

void support_require(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "[%s] %s\n", error_code_name(err->code), err->message);
    exit(1);
}

/* Not a check of libcheck: programs without a suite find their data through it as well. */
static void join(char *buffer, size_t size, const char *directory, const char *file)
{
    int length = snprintf(buffer, size, "%s/%s", directory, file);
    if (length >= 0 && (size_t)length < size)
        return;
    fprintf(stderr, "the path %s/%s is too long\n", directory, file);
    abort();
}

const char *support_data_path(const char *case_file, char *buffer, size_t size)
{
    const char *directory = getenv("PTQD_TEST_DATA");
    join(buffer, size, directory != NULL ? directory : PTQD_SOURCE_ROOT "/../shared/data",
         case_file);
    return access(buffer, R_OK) == 0 ? buffer : NULL;
}

const char *support_source_path(const char *file, char *buffer, size_t size)
{
    join(buffer, size, PTQD_SOURCE_ROOT, file);
    return buffer;
}

bool support_short(void)
{
    return getenv("PTQD_TEST_SHORT") != NULL;
}

double support_cpu_seconds(void)
{
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *support_make_directory(char *buffer, size_t size)
{
    const char *parent = getenv("TMPDIR");
    join(buffer, size, parent != NULL ? parent : "/tmp", "ptqd-test-XXXXXX");
    struct error err = {.message = ""};
    support_require(mkdtemp(buffer) != NULL || FAIL(&err, E_IO, "can't make %s", buffer), &err);
    return buffer;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void support_remove_tree(const char *path)
{
    enum { OPEN_DIRECTORIES = 16 };
    ck_assert_msg(nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) == 0,
                  "can't remove %s", path);
}

size_t support_fail_each_allocation(bool (*body)(struct arena *arena, void *context,
                                                 struct error *err),
                                    void *context)
{
    for (size_t failures = 0;; failures++) {
        struct error err = {.message = ""};
        struct arena *arena = arena_create(0);
        ck_assert_ptr_nonnull(arena);
        arena_fail_at(arena, failures + 1);
        bool ok = body(arena, context, &err);
        arena_destroy(arena);
        if (ok)
            return failures;
        ck_assert_msg(err.code == E_MEMORY, "allocation %zu: [%s] %s", failures + 1,
                      error_code_name(err.code), err.message);
    }
}
