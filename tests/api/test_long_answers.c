/* Answers that take long to make: they are made where nobody waits behind them. */

#include "service.h"

#include "support.h"

#include "ptqd/http/server.h"

#include <string.h>
#include <unistd.h>

enum { CLIENTS = 24 };

static struct service service;
static const char *job;

static void setup(void)
{
    const struct service_options options = {.tokens = false};
    service_start_with(&service, &options);
    job = service_submit(&service, service_spec(&service, ",\"seeds\":300"));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
}

static void teardown(void)
{
    service_stop(&service);
}

/* Sends the request on many connections; whether one of them was seen waiting off its thread. */
static bool is_made_elsewhere(const char *target)
{
    int fds[CLIENTS];
    bool seen = false;
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(service.port);
        client_send_text(fds[i],
                         arena_printf(service.arena, NULL,
                                      "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target));
        seen |= http_server_stats(service.server).suspended > 0;
    }
    while (!seen && !client_readable(fds[CLIENTS - 1], client_now_ms() + 1))
        seen = http_server_stats(service.server).suspended > 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct reply reply = client_receive(fds[i], false);
        ck_assert_msg(reply.status == 200, "%s: %d", target, reply.status);
        reply_free(&reply);
        close(fds[i]);
    }
    return seen;
}

/* Law: what reads many runs holds up no HTTP thread, and what reads few does not wait for others.
 */
START_TEST(many_runs_are_read_on_the_pool)
{
    ck_assert(is_made_elsewhere(arena_printf(service.arena, NULL, "/v1/jobs/%s/report", job)));
    const char *runs = arena_printf(service.arena, NULL, "/v1/jobs/%s/runs?limit=", job);
    ck_assert(is_made_elsewhere(arena_printf(service.arena, NULL, "%s1000", runs)));
    ck_assert(!is_made_elsewhere(arena_printf(service.arena, NULL, "%s100", runs)));
}
END_TEST

/* Law: what is made there is what it was. */
START_TEST(a_long_report_is_whole)
{
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s/report", job);
    const struct json *report = service_get(&service, target, 200);
    const struct json *variant = json_first(service_member(report, "variants"));
    ck_assert_double_eq(service_number(service_member(variant, "accuracy"), "n"), 300);
    struct reply reply = client_call(service.port, "GET", target, "Accept: text/csv\r\n", NULL, 0);
    char type[64];
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_nonnull(reply_header(&reply, "Content-Type", type, sizeof(type)));
    ck_assert_msg(strncmp(type, "text/csv", 8) == 0, "%s", type);
    reply_free(&reply);
    service_get(&service, "/v1/jobs/j99/report", 404);
    service_get(&service, "/v1/jobs/j99/runs?limit=1000", 404);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("long answers");
    TCase *tcase = tcase_create("long answers");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, many_runs_are_read_on_the_pool);
    tcase_add_test(tcase, a_long_report_is_whole);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
