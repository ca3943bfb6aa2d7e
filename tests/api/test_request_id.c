/* Ids of requests and runs: in answers, and in every log line. */

#include "service.h"

#include "support.h"

#include "ptqd/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;
static FILE *captured; /* standard error of the case's process */

static void setup(void)
{
    captured = tmpfile();
    ck_assert_ptr_nonnull(captured);
    ck_assert_int_ge(dup2(fileno(captured), STDERR_FILENO), 0);
    log_set_level(LOG_DEBUG);
    service_start(&service, false);
}

static void teardown(void)
{
    service_stop(&service);
    fclose(captured);
}

static const char *log_text(void)
{
    static char bytes[1 << 20];
    ssize_t size = pread(fileno(captured), bytes, sizeof(bytes) - 1, 0);
    ck_assert_int_ge(size, 0);
    bytes[size] = '\0';
    return bytes;
}

/* The id in the answer to a request with these headers. */
static const char *id_of(const char *target, const char *headers, char out_id[static 128])
{
    struct reply reply = client_call(service.port, "GET", target, headers, NULL, 0);
    ck_assert_int_ne(reply.status, 0);
    ck_assert_msg(reply_header(&reply, "X-Request-Id", out_id, 128) != NULL, "%s", reply.head);
    reply_free(&reply);
    return out_id;
}

START_TEST(a_request_keeps_the_id_it_came_with)
{
    char id[128];
    ck_assert_str_eq(id_of("/healthz", "X-Request-Id: run-7.a_B\r\n", id), "run-7.a_B");
    ck_assert_str_eq(id_of("/v1/jobs/j99", "X-Request-Id: missing\r\n", id), "missing");
    ck_assert_msg(support_contains(log_text(), " request=missing msg=\"answered\" status=404"),
                  "%s", log_text());
}
END_TEST

/* Law: a path stays the value that it is in the log. */
START_TEST(a_path_is_one_value)
{
    char id[128];
    id_of("/a%22%20status=200%20b=%22%5C", "X-Request-Id: odd\r\n", id);
    ck_assert_msg(support_contains(log_text(), " path=\"/a\\\" status=200 b=\\\"\\\\\"\n"), "%s",
                  log_text());
}
END_TEST

/* Law: an id that could be taken for something else is replaced, one that is not there made. */
static const char *const unusable[] = {
    NULL,
    "X-Request-Id: \r\n",
    "X-Request-Id: a b\r\n",
    "X-Request-Id: a\"b\r\n",
    "X-Request-Id: a=b\r\n",
    "X-Request-Id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
};

START_TEST(a_request_without_a_usable_id_gets_one)
{
    char id[128], again[128];
    id_of("/healthz", unusable[_i], id);
    ck_assert_uint_eq(strlen(id), 16);
    ck_assert_uint_eq(strspn(id, "0123456789abcdef"), 16);
    ck_assert_str_ne(id_of("/healthz", unusable[_i], again), id);
}
END_TEST

/* The uploads are looked at on threads of the pool. */
START_TEST(lines_of_blocking_routes_have_the_id)
{
    struct reply reply =
        client_call(service.port, "POST", "/v1/models", "X-Request-Id: upload1\r\n",
                    service.files.model.bytes, service.files.model.size);
    ck_assert_int_eq(reply.status, 201);
    reply_free(&reply);
    ck_assert_msg(support_contains(log_text(), " request=upload1 msg=\"answered\" status=201"),
                  "%s", log_text());
}
END_TEST

START_TEST(lines_of_a_run_have_its_id)
{
    atomic_store(&service.mode, SERVICE_FAIL);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    ck_assert_str_eq(service_finish(&service, job), "failed");
    const char *lines[] = {"level=info at=jobs run=j1-v000-s0 msg=\"run starts\"",
                           "level=error at=jobs run=j1-v000-s0 msg=\"run failed: node"};
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(support_contains(log_text(), lines[i]), "%s", log_text());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request ids");
    TCase *tcase = tcase_create("request ids");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_request_keeps_the_id_it_came_with);
    tcase_add_test(tcase, a_path_is_one_value);
    tcase_add_loop_test(tcase, a_request_without_a_usable_id_gets_one, 0,
                        (int)(sizeof(unusable) / sizeof(unusable[0])));
    tcase_add_test(tcase, lines_of_blocking_routes_have_the_id);
    tcase_add_test(tcase, lines_of_a_run_have_its_id);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
