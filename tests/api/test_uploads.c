/* What uploads leave, and what they take. */

#include "service.h"

#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;

static void teardown(void)
{
    service_stop(&service);
}

static int files;

static int count_file(const char *path, const struct stat *status, int type)
{
    (void)path;
    (void)status;
    files += type == FTW_F;
    return 0;
}

/* Files under a directory of the store. */
static int count_files(const char *name)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", service.directory, name);
    files = 0;
    ck_assert_int_eq(ftw(path, count_file, 8), 0);
    return files;
}

/* Waits until so many files are there. */
static void wait_for_files(int expected)
{
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    while (count_files("blobs") != expected) {
        ck_assert_msg(client_now_ms() < end, "%d files, not %d", files, expected);
        usleep(1000);
    }
}

static void setup_small(void)
{
    const struct service_options options = {.limits = {.stored_bytes = 300}};
    service_start_with(&service, &options);
}

/* Law: what is refused leaves no file. */
START_TEST(an_upload_above_the_quota_leaves_no_file)
{
    const struct sample_file *model = &service.files.model;
    ck_assert_uint_gt(model->size, 300);
    const struct json *problem =
        service_call(&service, "POST", "/v1/models", NULL, model->bytes, model->size, 429);
    ck_assert(support_contains(service_text(problem, "detail"), "above the limit of 300"));
    wait_for_files(0);
    ck_assert_int_eq(count_files("tmp"), 0);
    /* There is room for the labels: the service goes on. */
    (void)service_upload(&service, "/v1/datasets", &service.files.labels);
    wait_for_files(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uploads");
    TCase *small = tcase_create("small quota");
    tcase_set_timeout(small, 60);
    tcase_add_checked_fixture(small, setup_small, teardown);
    tcase_add_test(small, an_upload_above_the_quota_leaves_no_file);
    suite_add_tcase(suite, small);
    return support_run(suite);
}
