/* What uploads leave, and what they take. */

#include "api_private.h"
#include "service.h"

#include "support.h"

#include "ptqd/base/clock.h"
#include "ptqd/store/retention.h"
#include "ptqd/store/token_row.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
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

/* Sends the header alone of an upload, and expects the answer. */
static void ask_before_body(const char *target, const char *headers, int size, int status)
{
    int fd = client_connect(service.port);
    client_send_text(fd, arena_printf(service.arena, NULL,
                                      "POST %s HTTP/1.1\r\nHost: localhost\r\n%s"
                                      "Content-Length: %d\r\n\r\n",
                                      target, headers, size));
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == status, "%s: %d %s", target, reply.status, reply.body);
    ck_assert_msg(status != 429 || support_contains(reply.body, "above the limit of 300"), "%s",
                  reply.body);
    reply_free(&reply);
    close(fd);
}

static const char expects[] = "Expect: 100-continue\r\n";
enum { GIGABYTE = 1000 * 1000 * 1000 };

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
    /* In chunks: how much it is is known at its end. */
    int fd = client_connect(service.port);
    client_send_text(fd, arena_printf(service.arena, NULL,
                                      "POST /v1/models HTTP/1.1\r\nHost: localhost\r\n"
                                      "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                                      model->size));
    ck_assert(client_send(fd, model->bytes, model->size));
    client_send_text(fd, "\r\n0\r\n\r\n");
    struct reply reply = client_receive(fd, false);
    ck_assert_int_eq(reply.status, 429);
    ck_assert_msg(support_contains(reply.body, "above the limit of 300"), "%s", reply.body);
    reply_free(&reply);
    close(fd);
    wait_for_files(0);
    ck_assert_int_eq(count_files("tmp"), 0);
    /* There is room for the labels: the service goes on. */
    (void)service_upload(&service, "/v1/datasets", &service.files.labels);
    wait_for_files(1);
}
END_TEST

/* Law: for what does not fit nobody sends a byte, whether the client waits for leave or the body is
 * too large to be dropped. */
START_TEST(what_does_not_fit_is_refused_before_it_is_sent)
{
    static const char form[] = "Content-Type: multipart/form-data; boundary=x\r\n";
    ask_before_body("/v1/models", expects, 301, 429);
    ask_before_body("/v1/datasets?scale=2", expects, 301, 429);
    ask_before_body("/v1/models", "", GIGABYTE, 429);
    ask_before_body("/v1/jobs", form, GIGABYTE, 429);
    ask_before_body("/v1/jobs",
                    "Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=x\r\n",
                    4 << 20, 429);
    ck_assert_int_eq(count_files("blobs"), 0);
}
END_TEST

/* Law: what is no file is not taken for one. */
START_TEST(a_form_is_not_taken_for_the_file_in_it)
{
    const char body[] =
        "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nONNX\r\n--x--\r\n";
    const char *const collections[] = {"/v1/models", "/v1/datasets"};
    for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
        const struct json *problem =
            service_call(&service, "POST", collections[i],
                         "Content-Type: multipart/form-data; boundary=x\r\n", body, strlen(body),
                         422);
        ck_assert_str_eq(service_text(problem, "detail"),
                         "the body is a form; it is to be the file itself, which curl "
                         "--data-binary @FILE sends");
    }
}
END_TEST

static void setup(void)
{
    service_start(&service, false);
}

/* Law: who names a file that is there is answered without sending it, and what comes must be what
 * was named. */
START_TEST(a_file_that_is_known_need_not_be_sent)
{
    const struct {
        const char *collection;
        const struct sample_file *file, *other;
    } cases[] = {{"models", &service.files.model, &service.files.labels},
                 {"datasets", &service.files.calibration, &service.files.evaluation}};
    for (size_t i = 0; i < 2; i++) {
        const struct sample_file *file = cases[i].file, *other = cases[i].other;
        const char *plain = arena_printf(service.arena, NULL, "/v1/%s", cases[i].collection);
        const char *id =
            service_text(service_call(&service, "POST", plain, NULL, file->bytes, file->size, 201),
                         "id");
        const char *named = arena_printf(service.arena, NULL, "%s?id=%s", plain, id);
        ask_before_body(named, expects, GIGABYTE, 200);
        ck_assert_str_eq(
            service_text(service_call(&service, "POST", named, NULL, "", 0, 200), "id"), id);
        /* A body that is sent all the same is dropped. */
        service_call(&service, "POST", named, NULL, other->bytes, other->size, 200);

        service_call(&service, "DELETE", arena_printf(service.arena, NULL, "%s/%s", plain, id),
                     NULL, NULL, 0, 204);
        ask_before_body(named, expects, GIGABYTE, 413);
        if (i == 1) { /* what is no model is refused as such before */
            const struct json *problem =
                service_call(&service, "POST", named, NULL, other->bytes, other->size, 422);
            ck_assert(support_contains(service_text(problem, "detail"), id));
        }
        service_call(&service, "POST", named, NULL, file->bytes, file->size, 201);
        service_call(&service, "POST", arena_printf(service.arena, NULL, "%s?id=x", plain), NULL,
                     file->bytes, file->size, 422);
    }
    wait_for_files(2);
    ck_assert_int_eq(count_files("tmp"), 0);
}
END_TEST

/* Law: who names a file that is there has the time to use it, as who sends it. */
START_TEST(a_file_that_was_named_is_not_old)
{
    const struct retention_limits limits = {.unused_ms = 1};
    const char *model = service_upload(&service, "/v1/models", &service.files.model);
    const char *data = service_upload(&service, "/v1/datasets", &service.files.calibration);
    (void)service_upload(&service, "/v1/datasets", &service.files.evaluation);
    struct retention_result deleted;
    struct error err = {0};
    int64_t uploaded_ms = clock_unix_ms(), named_ms;
    while ((named_ms = clock_unix_ms()) == uploaded_ms)
        usleep(100);
    ask_before_body(arena_printf(service.arena, NULL, "/v1/models?id=%s", model), expects, GIGABYTE,
                    200);
    ask_before_body(arena_printf(service.arena, NULL, "/v1/datasets?id=%s", data), "", 0, 200);
    ck_assert_ok(retention_apply(service.store, &limits, named_ms + limits.unused_ms, NULL,
                                 &deleted, &err),
                 &err);
    ck_assert_int_eq(deleted.models, 0);
    ck_assert_int_eq(deleted.datasets, 1);
}
END_TEST

/* Law: an upload that does not fit into memory beside those that are looked at is told to come
 * again, and fits when they are gone; and what it took it gives back. */
START_TEST(uploads_share_the_memory_they_are_looked_at_with)
{
    const struct {
        const char *target;
        const struct sample_file *file;
    } cases[] = {{"/v1/models", &service.files.model},
                 {"/v1/datasets", &service.files.calibration}};
    struct arena_budget *budget = &service.api->imports;
    for (size_t i = 0; i < 2; i++) {
        const struct sample_file *file = cases[i].file;
        atomic_store(&budget->used_bytes, budget->limit_bytes - 64); /* as others do */
        struct reply reply =
            client_call(service.port, "POST", cases[i].target, NULL, file->bytes, file->size);
        char seconds[16];
        ck_assert_msg(reply.status == 503, "%d %s", reply.status, reply.body);
        ck_assert_msg(support_contains(reply.body, "try again later"), "%s", reply.body);
        ck_assert_ptr_nonnull(reply_header(&reply, "Retry-After", seconds, sizeof(seconds)));
        reply_free(&reply);
        ck_assert_uint_eq(atomic_load(&budget->used_bytes), budget->limit_bytes - 64);
        atomic_store(&budget->used_bytes, 0);
        (void)service_upload(&service, cases[i].target, file);
        ck_assert_uint_eq(atomic_load(&budget->used_bytes), 0);
    }
    ck_assert_int_eq(count_files("tmp"), 0);
}
END_TEST

static void setup_tokens(void)
{
    service_start(&service, true);
}

static bool remove_token(struct database *database, void *context, struct error *err)
{
    return token_row_delete(database, context, err);
}

/* Law: what is sent slowly counts no longer than the token with which it was begun. */
START_TEST(a_token_that_is_revoked_meanwhile_uploads_nothing)
{
    static const char granted[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct sample_file *model = &service.files.model;
    char name[] = "anna";
    struct error err = {0};
    service_add_token(&service, name, "submit", "anna-token");
    int fd = client_connect(service.port);
    client_send_text(fd, arena_printf(service.arena, NULL,
                                      "POST /v1/models HTTP/1.1\r\nHost: localhost\r\n"
                                      "Authorization: Bearer anna-token\r\n"
                                      "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                                      model->size));
    char leave[sizeof(granted) - 1]; /* the token is good */
    ck_assert_int_eq(recv(fd, leave, sizeof(leave), MSG_WAITALL), sizeof(leave));
    ck_assert_mem_eq(leave, granted, sizeof(leave));
    ck_assert_ok(store_write_now(service.store, remove_token, name, &err), &err);
    ck_assert(client_send(fd, model->bytes, model->size));
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == 401, "%d %s", reply.status, reply.body);
    reply_free(&reply);
    close(fd);
    ck_assert_int_eq(count_files("blobs"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uploads");
    TCase *small = tcase_create("small quota");
    tcase_set_timeout(small, 60);
    tcase_add_checked_fixture(small, setup_small, teardown);
    tcase_add_test(small, an_upload_above_the_quota_leaves_no_file);
    tcase_add_test(small, what_does_not_fit_is_refused_before_it_is_sent);
    suite_add_tcase(suite, small);
    TCase *tcase = tcase_create("uploads");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, uploads_share_the_memory_they_are_looked_at_with);
    tcase_add_test(tcase, a_form_is_not_taken_for_the_file_in_it);
    tcase_add_test(tcase, a_file_that_is_known_need_not_be_sent);
    tcase_add_test(tcase, a_file_that_was_named_is_not_old);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, a_token_that_is_revoked_meanwhile_uploads_nothing);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
