/* Requests that wait: for a run as for a job, and not longer than they may. */

#include "api_private.h"
#include "service.h"

#include "support.h"

#include "ptqd/http/server.h"
#include "ptqd/store/token_row.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct service service;
static const char *job;

static void start(bool tokens)
{
    service_start(&service, tokens);
    atomic_store(&service.mode, SERVICE_WAIT);
}

static void setup(void)
{
    start(false);
    job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
}

static void setup_tokens(void)
{
    start(true);
}

static void teardown(void)
{
    service_stop(&service);
}

/* Sends a GET and leaves it waiting. */
static int ask(const char *target, const char *headers)
{
    int fd = client_connect(service.port);
    client_send_text(fd,
                     arena_printf(service.arena, NULL,
                                  "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, headers));
    return fd;
}

static size_t count_lines(const struct reply *reply)
{
    size_t lines = 0;
    for (const char *at = reply->head; (at = strstr(at, "\r\n")) != NULL; at += 2)
        lines++;
    return lines;
}

/* What was refused is not the version of anything. */
static void expect(int fd, int status, const char *words)
{
    char tag[128];
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == status && support_contains(reply.body, words), "%d %s",
                  reply.status, reply.body);
    ck_assert((reply_header(&reply, "ETag", tag, sizeof(tag)) != NULL) == (status == 200));
    reply_free(&reply);
    close(fd);
}

static void wait_for_waiting(uint64_t requests)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         http_server_stats(service.server).suspended != requests; usleep(1000))
        ck_assert_int_lt(client_now_ms(), end);
}

static const char *run_target(const char *query)
{
    return arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s0%s", job, query);
}

START_TEST(waiting_ends_when_the_run_does)
{
    int fd = ask(run_target("?wait=30"), "");
    wait_for_waiting(1);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    expect(fd, 200, "\"state\":\"succeeded\"");
    expect(ask(run_target("?wait=30"), ""), 200, "\"state\":\"succeeded\""); /* at once */
}
END_TEST

START_TEST(waiting_with_a_known_version_ends_when_the_run_changes)
{
    char tag[128] = "\"none\"", header[256];
    const char *state = "";
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; strcmp(state, "optimize") != 0;) {
        ck_assert_int_lt(client_now_ms(), end);
        (void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
        struct reply reply =
            client_call(service.port, "GET", run_target("?wait=10"), header, NULL, 0);
        ck_assert_int_eq(reply.status, 200);
        ck_assert_ptr_nonnull(reply_header(&reply, "ETag", tag, sizeof(tag)));
        state = support_contains(reply.body, "\"step\":\"optimize\"") ? "optimize" : "";
        reply_free(&reply);
    }
    (void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
    int fd = ask(run_target("?wait=30"), header);
    wait_for_waiting(1);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    expect(fd, 200, run_target("") + strlen("/v1/runs/"));
}
END_TEST

/* The looks at the token in between neither end nor lengthen it. */
START_TEST(waiting_takes_its_time)
{
    long start_ms = client_now_ms();
    expect(ask(run_target("?wait=2"), ""), 200, "\"state\":\"running\"");
    long took_ms = client_now_ms() - start_ms;
    ck_assert_int_ge(took_ms, 1950);
    ck_assert_int_lt(took_ms, 5000);
    service_get(&service, run_target("?wait=61"), 422);
    service_get(&service, run_target("?waits=1"), 422);
    service_get(&service, "/v1/runs/nothing?wait=5", 404);
}
END_TEST

/* Law: however often it was looked at meanwhile, the answer has the headers of one that did not
 * wait. The changes of the run are what makes it look. */
START_TEST(an_answer_has_its_headers_once)
{
    struct reply late = client_get(service.port, run_target("?wait=2"));
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_finish(&service, job);
    struct reply at_once = client_get(service.port, run_target(""));
    char vary[64];
    ck_assert_ptr_nonnull(reply_header(&late, "Vary", vary, sizeof(vary)));
    ck_assert_str_eq(vary, "Accept");
    ck_assert_msg(count_lines(&late) == count_lines(&at_once), "%s", late.head);
    reply_free(&late);
    reply_free(&at_once);
}
END_TEST

/* Closes so that the other side finds a connection that was reset, not one that has ended. */
static void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
}

/* Law: of a client that resets its connection nothing stays that a change would find. */
START_TEST(who_resets_the_connection_waits_no_more)
{
    enum { CLIENTS = SERVICE_WATCHERS };
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = ask(run_target("?wait=30"), "");
    wait_for_waiting(CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        reset(fds[i]);
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         http_server_stats(service.server).active != 0; usleep(1000))
        ck_assert_int_lt(client_now_ms(), end);
    pthread_mutex_lock(&service.api->waiters_lock);
    ck_assert_ptr_null(service.api->waiters);
    pthread_mutex_unlock(&service.api->waiters_lock);
}
END_TEST

START_TEST(who_waits_is_answered_when_the_service_stops)
{
    int fd = ask(run_target("?wait=30"), "");
    wait_for_waiting(1);
    long start_ms = client_now_ms();
    http_server_stop(service.server, 8000);
    ck_assert_int_lt(client_now_ms() - start_ms, 4000);
    service.server = NULL;
    expect(fd, 200, "\"id\":\"j1-v000-s0\"");
}
END_TEST

static bool remove_token(struct database *database, void *context, struct error *err)
{
    return token_row_delete(database, context, err);
}

/* Law: a token that was revoked ends what waits with it, with 401; others wait on. */
START_TEST(a_revoked_token_ends_its_waits)
{
    static const char anna[] = "Authorization: Bearer anna-token\r\n";
    static const char bert[] = "Authorization: Bearer bert-token\r\n";
    struct error err = {0};
    char name[] = "anna";
    service_add_token(&service, name, "submit", "anna-token");
    service_add_token(&service, "bert", "read", "bert-token");
    const struct sample_file *model = &service.files.model, *data = &service.files.calibration;
    const char *spec =
        arena_printf(service.arena, NULL, "{\"model\":\"%s\",\"calibration\":\"%s\"}",
                     service_text(service_call(&service, "POST", "/v1/models", anna, model->bytes,
                                               model->size, 201),
                                  "id"),
                     service_text(service_call(&service, "POST", "/v1/datasets", anna, data->bytes,
                                               data->size, 201),
                                  "id"));
    service_call(&service, "POST", "/v1/jobs", anna, spec, strlen(spec), 202);
    int hers[] = {ask("/v1/jobs/j1?wait=30", anna), ask("/v1/runs/j1-v000-s0?wait=30", anna)};
    int his = ask("/v1/jobs/j1?wait=30", bert);
    wait_for_waiting(3);
    long start_ms = client_now_ms();
    ck_assert_ok(store_write_now(service.store, remove_token, name, &err), &err);
    expect(hers[0], 401, "the token is not known");
    expect(hers[1], 401, "the token is not known");
    ck_assert_int_lt(client_now_ms() - start_ms, 4000); /* a second, on a machine that is busy */
    wait_for_waiting(1);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    expect(his, 200, "\"state\":\"succeeded\"");
}
END_TEST

/* Law: who waits can't take all connections; what need not wait is answered. */
START_TEST(waits_are_limited)
{
    int held[SERVICE_WATCHERS];
    for (size_t i = 0; i < SERVICE_WATCHERS; i++)
        held[i] = ask("/v1/jobs/j1?wait=30", "");
    wait_for_waiting(SERVICE_WATCHERS);
    expect(ask("/v1/jobs/j1?wait=30", ""), 503, "4 connections watch events or wait");
    expect(ask("/v1/jobs/j1?wait=30", "If-None-Match: \"another\"\r\n"), 200, "\"id\":\"j1\"");
    expect(ask("/v1/jobs/j1", ""), 200, "\"id\":\"j1\"");
    atomic_store(&service.mode, SERVICE_SUCCEED);
    for (size_t i = 0; i < SERVICE_WATCHERS; i++)
        expect(held[i], 200, "\"state\":\"succeeded\"");
    expect(ask("/v1/jobs/j1?wait=30", ""), 200, "\"state\":\"succeeded\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("long poll");
    TCase *tcase = tcase_create("long poll");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, waiting_ends_when_the_run_does);
    tcase_add_test(tcase, waiting_with_a_known_version_ends_when_the_run_changes);
    tcase_add_test(tcase, waiting_takes_its_time);
    tcase_add_test(tcase, an_answer_has_its_headers_once);
    tcase_add_test(tcase, who_resets_the_connection_waits_no_more);
    tcase_add_test(tcase, waits_are_limited);
    tcase_add_test(tcase, who_waits_is_answered_when_the_service_stops);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, a_revoked_token_ends_its_waits);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
