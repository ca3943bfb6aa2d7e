/* Answers that go on: what is sent when, and how they end. */

#include "ptqd/base/text.h"
#include "ptqd/http/listen.h"
#include "ptqd/http/server.h"

#include "client.h"
#include "event_client.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 3, GRACE_MS = 500, BYTES_PER_SECOND = 64 << 20 };

static struct http_server *server;
static int port;

/* The one stream at a time: events are counted here, and sent when it is awake. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_request *sleeper;
static int made, sent, last = EVENTS_MAX;
static atomic_int calls, destroyed;

static void on_destroy(void *state)
{
    (void)state;
    pthread_mutex_lock(&lock);
    sleeper = NULL;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&destroyed, 1);
}

/* Ends behind the last of the events. */
static bool read_events(struct http_request *request, void *context, struct text *out)
{
    (void)context;
    atomic_fetch_add(&calls, 1);
    pthread_mutex_lock(&lock);
    for (; sent < made; sent++)
        text_printf(out, "id: %d\ndata: n\n\n", sent + 1);
    if (out->length == 0) {
        sleeper = request;
        http_suspend(request, NULL, 60 * 1000);
    }
    bool more = sent < last;
    pthread_mutex_unlock(&lock);
    return more;
}

static void make_event(void)
{
    pthread_mutex_lock(&lock);
    made++;
    if (sleeper != NULL)
        http_resume(sleeper);
    pthread_mutex_unlock(&lock);
}

static bool get_events(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    static const struct http_source source = {.read = read_events};
    http_set_state(request, &made, on_destroy);
    http_answer_stream(request, "text/event-stream", &source);
    return true;
}

static bool read_flood(struct http_request *request, void *context, struct text *out)
{
    (void)request;
    (void)context;
    static const char line[1024];
    for (int i = 0; i < 1024; i++)
        text_append(out, line, sizeof(line));
    return true;
}

static bool get_flood(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    static const struct http_source source = {.read = read_flood};
    http_set_state(request, &made, on_destroy);
    http_answer_stream(request, "text/plain", &source);
    return true;
}

static bool get_word(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_answer(request, 200, "text/plain", "word", 4, false);
    return true;
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/events", .handle = get_events},
    {.method = "GET", .pattern = "/flood", .handle = get_flood},
    {.method = "GET", .pattern = "/word", .handle = get_word},
};
static const struct http_table table = {routes, sizeof(routes) / sizeof(routes[0])};
static const struct http_table *const tables[] = {&table, NULL};

static void problem(struct http_request *request, void *context, const struct error *error)
{
    (void)context;
    http_answer(request, 500, "text/plain", error->message, strlen(error->message), true);
}

static void setup(void)
{
    struct error err = {0};
    struct http_options options = http_default_options;
    ck_assert_ok(http_listen("127.0.0.1", 0, &options.listen_fd, &err), &err);
    port = http_listen_port(options.listen_fd);
    options.tables = tables;
    options.problem = problem;
    options.threads = 1; /* a stream that kept its thread would stop everything */
    options.slow_grace_ms = GRACE_MS;
    options.slow_bytes_per_second = BYTES_PER_SECOND;
    ck_assert_ok(http_server_start(&options, &server, &err), &err);
}

static void stop(void)
{
    if (server != NULL)
        http_server_stop(server, 5000);
    server = NULL;
}

static void wait_for_end(int count)
{
    long end = client_now_ms() + 2L * CLIENT_DEADLINE_MS;
    while (atomic_load(&destroyed) < count) {
        ck_assert_msg(client_now_ms() < end, "the stream is still there");
        usleep(2000);
    }
}

static void check_word(void)
{
    struct reply reply = client_get(port, "/word");
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
}

/* Laws: each event is sent when it is made; meanwhile the thread serves others and nobody spins. */
START_TEST(events_are_sent_as_they_come_and_the_thread_is_free_meanwhile)
{
    struct event_client client;
    struct event event;
    event_client_open(&client, port, "/events", NULL);
    ck_assert_int_eq(client.status, 200);
    ck_assert(support_contains(client.head, "text/event-stream"));
    ck_assert(support_contains(client.head, "no-store"));
    for (int i = 1; i <= EVENTS_MAX; i++) {
        check_word();
        make_event();
        ck_assert(event_client_next(&client, &event));
        ck_assert_int_eq(event.id[0], '0' + i);
        event_free(&event);
    }
    ck_assert(!event_client_next(&client, &event));
    ck_assert(client.whole);
    ck_assert_int_le(atomic_load(&calls), 3 * EVENTS_MAX);
    event_client_close(&client);
    wait_for_end(1);
    stop();
}
END_TEST

/* All that comes until the other side closes. */
static void receive_all(int fd, char *out_text, size_t size)
{
    size_t used = 0;
    ssize_t got = 0;
    long deadline_ms = client_now_ms() + CLIENT_DEADLINE_MS;
    do {
        ck_assert_msg(client_readable(fd, deadline_ms), "the connection stays open");
        got = recv(fd, out_text + used, size - 1 - used, 0);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    ck_assert_int_eq(got, 0);
    out_text[used] = '\0';
}

/* Law: HTTP/1.0 knows no chunks; there the end of the connection is the end. */
START_TEST(a_client_of_http_1_0_gets_plain_bytes)
{
    char text[4096];
    for (int i = 0; i < EVENTS_MAX; i++)
        make_event();
    int fd = client_connect(port);
    ck_assert(client_send_text(fd, "GET /events HTTP/1.0\r\n\r\n"));
    receive_all(fd, text, sizeof(text));
    close(fd);
    ck_assert_msg(support_contains(text, "\r\n\r\nid: 1\ndata: n\n\nid: 2\n"), "%s", text);
    ck_assert(!support_contains(text, "chunked"));
    stop();
}
END_TEST

/* Law: behind the header of such an answer there is nothing, which a client would take for the
 * start of the next one. */
START_TEST(head_is_answered_without_the_stream)
{
    char text[4096];
    int fd = client_connect(port);
    ck_assert(client_send_text(fd, "HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    receive_all(fd, text, sizeof(text));
    close(fd);
    ck_assert_msg(support_contains(text, "HTTP/1.1 200 OK\r\n"), "%s", text);
    ck_assert_msg(support_contains(text, "text/event-stream"), "%s", text);
    const char *end = strstr(text, "\r\n\r\n");
    ck_assert(end != NULL);
    ck_assert_str_eq(end, "\r\n\r\n");
    ck_assert_int_eq(atomic_load(&calls), 0);
    wait_for_end(1);
    stop();
}
END_TEST

/* Law: who does not take what is sent is cut after the grace. */
START_TEST(a_client_that_takes_nothing_is_cut)
{
    int fd = client_connect(port);
    int small = 4096;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    ck_assert(client_send_text(fd, "GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    wait_for_end(1);
    check_word();
    ck_assert_uint_ge(http_server_stats(server).cut, 1);
    close(fd);
    stop();
}
END_TEST

/* Law: a client that has vanished is gone with the next things that are sent. */
START_TEST(a_client_that_has_vanished_is_noticed)
{
    struct event_client client;
    struct event event;
    last = 1000000;
    event_client_open(&client, port, "/events", NULL);
    make_event();
    ck_assert(event_client_next(&client, &event));
    event_free(&event);
    event_client_close(&client);
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    while (atomic_load(&destroyed) == 0 && client_now_ms() < end) {
        make_event(); /* the first is answered with a reset */
        usleep(5000);
    }
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    stop();
}
END_TEST

/* Law: a stop ends streams at once, with a whole last chunk. */
START_TEST(streams_end_when_the_server_stops)
{
    struct event_client client;
    struct event event;
    event_client_open(&client, port, "/events", NULL);
    ck_assert_int_eq(client.status, 200);
    long start = client_now_ms();
    stop();
    ck_assert_int_lt(client_now_ms() - start, 3000);
    ck_assert(!event_client_next(&client, &event));
    ck_assert(client.whole);
    event_client_close(&client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tcase = tcase_create("stream");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, stop);
    tcase_add_test(tcase, events_are_sent_as_they_come_and_the_thread_is_free_meanwhile);
    tcase_add_test(tcase, a_client_of_http_1_0_gets_plain_bytes);
    tcase_add_test(tcase, head_is_answered_without_the_stream);
    tcase_add_test(tcase, a_client_that_takes_nothing_is_cut);
    tcase_add_test(tcase, a_client_that_has_vanished_is_noticed);
    tcase_add_test(tcase, streams_end_when_the_server_stops);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
