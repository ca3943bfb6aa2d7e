#include "ptqd/base/spill.h"

#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct error err;
static char directory[64];
static struct spill *spill;

static void setup(void)
{
    err = (struct error){.message = ""};
    ck_assert_ptr_nonnull(support_make_directory(directory, sizeof(directory)));
    ck_assert_ok(spill_create(directory, &spill, &err), &err);
}

static void teardown(void)
{
    spill_destroy(spill);
    ck_assert_int_eq(rmdir(directory), 0); /* empty: a spill file has no name */
}

/* Law: what was written is read, whatever the order and the gaps. */
START_TEST(bytes_come_back_from_where_they_were_put)
{
    char bytes[1000], back[sizeof(bytes)];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(7 * i);
    ck_assert_ok(spill_write(spill, 500, bytes + 500, 500, &err), &err);
    ck_assert_ok(spill_write(spill, 0, bytes, 500, &err), &err);
    ck_assert_ok(spill_read(spill, 0, back, sizeof(back), &err), &err);
    ck_assert_mem_eq(back, bytes, sizeof(back));
    ck_assert_ok(spill_write(spill, 1 << 20, bytes, 10, &err), &err);
    ck_assert_ok(spill_read(spill, (1 << 20) - 2, back, 4, &err), &err);
    ck_assert_mem_eq(back + 2, bytes, 2);
}
END_TEST

START_TEST(what_was_never_written_is_an_error)
{
    char bytes[8] = {0};
    ck_assert_ok(spill_write(spill, 0, bytes, 4, &err), &err);
    ck_assert_fails(spill_read(spill, 0, bytes, 8, &err), &err, E_IO, "no");
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_named)
{
    struct spill *other;
    ck_assert_fails(spill_create("/nowhere", &other, &err), &err, E_NOT_FOUND, "/nowhere");
}
END_TEST

/* Law: a full disk (here: a file at its largest) is an error, and what was written before stays. */
START_TEST(a_full_disk_is_named)
{
    char bytes[4096] = "here", back[4];
    struct rlimit limit, small = {.rlim_cur = 8192, .rlim_max = RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN); /* known for this signal */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small.rlim_max = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_ok(spill_write(spill, 0, bytes, sizeof(bytes), &err), &err);
    bool wrote = spill_write(spill, 4096, bytes, sizeof(bytes), &err) &&
                 spill_write(spill, 8192, bytes, sizeof(bytes), &err);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!wrote);
    ck_assert_int_eq(err.code, E_NO_SPACE);
    ck_assert(support_contains(err.message, directory));
    ck_assert_ok(spill_read(spill, 0, back, sizeof(back), &err), &err);
    ck_assert_mem_eq(back, "here", sizeof(back));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spill");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bytes_come_back_from_where_they_were_put);
    tcase_add_test(tcase, what_was_never_written_is_an_error);
    tcase_add_test(tcase, a_directory_that_is_not_there_is_named);
    tcase_add_test(tcase, a_full_disk_is_named);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
