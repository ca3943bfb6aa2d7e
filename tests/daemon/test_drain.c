/* How the daemon stops: it claims nothing any more, keeps what runs have finished, and is gone in
 * time whatever its clients do. */

#include "session.h"

#include "event_client.h"
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 48, STOP_MAX_MS = 10 * 1000 };

static struct session session;
static struct error err;

static void setup(void)
{
    session_open(&session, SAMPLES);
}

static void teardown(void)
{
    session_close(&session);
}

/* Layers that take a second each or so. */
#define LAYERS                                                                                     \
    "\"pipeline\":{\"weights\":{\"bits\":3},\"optimize\":{\"variable\":\"round\","                 \
    "\"iterations\":60000},\"postprocess\":{\"epochs\":2}}"

static const char endless[] = "\"seeds\":8,\"pipeline\":{\"optimize\":{\"iterations\":100000},"
                              "\"postprocess\":{\"epochs\":1000}}";

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
        count++;
    return count;
}

/* An upload of which a byte comes now and then. */
static int start_slow_upload(void)
{
    int fd = client_connect(session.program.port);
    ck_assert_int_ge(fd, 0);
    ck_assert(client_send_text(fd, "POST /v1/models HTTP/1.1\r\nHost: localhost\r\n"
                                   "Content-Length: 1000000\r\n\r\nabc"));
    return fd;
}

static int start_long_poll(const char *job)
{
    int fd = client_connect(session.program.port);
    ck_assert_int_ge(fd, 0);
    ck_assert(client_send_text(fd, arena_printf(session.arena, &err,
                                                "GET /v1/jobs/%s?wait=60 HTTP/1.1\r\n"
                                                "Host: localhost\r\n\r\n",
                                                job)));
    return fd;
}

/* Laws: after SIGTERM no run is claimed, though many wait; who waits for a job is answered, and
 * streams end; a client that does not get on with its upload keeps nobody here. */
START_TEST(sigterm_claims_nothing_and_waits_for_nobody_long)
{
    static const char *const two[] = {"--workers", "2", NULL};
    char log[16384];
    program_serve_with(&session.program, session.directory, two);
    const char *job = session_submit(&session, endless);
    session_wait_for(&session, "j1-v000-s0", NULL, -1, -1); /* one may wait for the other */
    session_wait_for(&session, "j1-v000-s1", NULL, -1, -1);
    int upload = start_slow_upload();
    int poll = start_long_poll(job);
    struct event_client watcher;
    struct event event;
    event_client_open(&watcher, session.program.port, "/v1/events", NULL); /* comes after both */
    ck_assert_int_eq(watcher.status, 200);

    long start = client_now_ms();
    ck_assert_int_eq(program_end_log(&session.program, SIGTERM, log, sizeof(log)), 0);
    ck_assert_int_lt(client_now_ms() - start, STOP_MAX_MS);
    struct reply reply = client_receive(poll, false);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    ck_assert_int_ge(client_wait_closed(upload), 0);
    while (event_client_next(&watcher, &event))
        event_free(&event);
    ck_assert(watcher.whole);
    event_client_close(&watcher);
    close(poll);
    close(upload);

    const char *stopping = strstr(log, "msg=\"stopping\"");
    ck_assert_msg(stopping != NULL, "%s", log);
    ck_assert_msg(count_of(stopping, "run starts") == 0, "%s", log);
    ck_assert_msg(count_of(stopping, "goes back to the queue") == 2, "%s", log);
    ck_assert_msg(support_contains(stopping, "msg=\"stopped\""), "%s", log);

    program_serve(&session.program, session.directory);
    const struct json *progress = json_find(session_get(&session, "/v1/jobs/j1"), "progress");
    ck_assert_double_eq(session_number(progress, "failed"), 0);
    ck_assert_double_eq(session_number(progress, "cancelled"), 0);
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

/* Law: a stop loses no unit that was finished, however seldom checkpoints are written, and no bit
 * of the result. */
START_TEST(a_restart_loses_no_finished_unit)
{
    static const char *const seldom[] = {"--checkpoint-seconds", "3600", NULL};
    enum { FINISHED = 2 };
    char log[8192];
    program_serve_with(&session.program, session.directory, seldom);
    session_submit(&session, "\"seeds\":1," LAYERS);
    session_wait_for(&session, "j1-v000-s0", "reconstruct", FINISHED, 0);
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);

    program_serve_with(&session.program, session.directory, seldom);
    ck_assert_str_eq(session_finish(&session, "j1"), "succeeded");
    const char *artifacts = session_artifacts(&session, "j1-v000-s0");
    ck_assert_int_eq(program_end_log(&session.program, SIGTERM, log, sizeof(log)), 0);
    const char *resumed = strstr(log, "run goes on from its checkpoint");
    ck_assert_msg(resumed != NULL && strstr(resumed, " units=") != NULL, "%s", log);
    int units = (int)strtol(strstr(resumed, " units=") + strlen(" units="), NULL, 10);
    ck_assert_int_ge(units, FINISHED);

    struct session other;
    session_open(&other, SAMPLES);
    program_serve(&other.program, other.directory);
    session_submit(&other, "\"seeds\":1," LAYERS);
    ck_assert_str_eq(session_finish(&other, "j1"), "succeeded");
    ck_assert_str_eq(artifacts, session_artifacts(&other, "j1-v000-s0"));
    ck_assert_int_eq(program_end(&other.program, SIGTERM), 0);
    session_close(&other);
}
END_TEST

/* Law: from the moment on at which it says that it listens, SIGTERM ends it in order. */
START_TEST(a_sigterm_right_after_the_start_ends_it_in_order)
{
    for (int i = 0; i < 10; i++) {
        program_serve(&session.program, session.directory);
        ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drain");
    TCase *tcase = tcase_create("drain");
    tcase_set_timeout(tcase, 180);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, sigterm_claims_nothing_and_waits_for_nobody_long);
    tcase_add_test(tcase, a_sigterm_right_after_the_start_ends_it_in_order);
    tcase_add_test(tcase, a_restart_loses_no_finished_unit);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
