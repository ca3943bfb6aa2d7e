/* Bodies that stream to a sink: all of it arrives in order, however it is cut, and who waits for a
 * slow sink is the one that sends to it. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include "ptqd/base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { BODY_BYTES = 400 * 1000, BODY_MAX = 1000 * 1000 };

static struct small_server server;
static atomic_int waiting; /* calls of the sink that wait at the gate */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static char taken[BODY_MAX];
static size_t taken_bytes, calls;

static void open_gate(bool open)
{
    pthread_mutex_lock(&lock);
    gate_open = open;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&lock);
}

static bool take(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)context;
    atomic_fetch_add(&waiting, 1);
    pthread_mutex_lock(&lock);
    while (!gate_open)
        pthread_cond_wait(&opened, &lock);
    bool fits = taken_bytes + size <= sizeof(taken);
    if (fits)
        memcpy(taken + taken_bytes, bytes, size);
    taken_bytes += fits ? size : 0;
    calls++;
    pthread_mutex_unlock(&lock);
    atomic_fetch_sub(&waiting, 1);
    return fits || FAIL(err, E_TOO_LARGE, "more than was sent");
}

static bool begin(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    const struct http_sink sink = {.write = take};
    http_set_sink(request, &sink, BODY_MAX);
    return true;
}

static bool finish(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_answer(request, 201, "text/plain", "taken", 5, true);
    return true;
}

static const struct http_route routes[] = {
    {.method = "POST", .pattern = "/take", .begin = begin, .handle = finish},
    {.method = "GET", .pattern = "/echo/{id}", .handle = small_server_echo},
};
static const struct http_table table = {routes, sizeof(routes) / sizeof(routes[0])};
static const struct http_table *const tables[] = {&table, NULL};

static char body[BODY_BYTES];

static void setup(void)
{
    struct http_options options = small_server_options();
    options.tables = tables;
    small_server_start(&server, &options);
    taken_bytes = calls = 0;
    open_gate(true);
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + i * 7 % 26 + i / 4096 % 2);
}

static void teardown(void)
{
    open_gate(true);
    small_server_stop(&server);
}

static void check_taken(size_t size)
{
    ck_assert_uint_eq(taken_bytes, size);
    ck_assert_mem_eq(taken, body, size);
}

static int status_of(int fd)
{
    struct reply reply = client_receive(fd, false);
    int status = reply.status;
    reply_free(&reply);
    close(fd);
    return status;
}

START_TEST(bodies_of_any_size_arrive_whole)
{
    static const size_t sizes[] = {
        0, 1, 32 << 10, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 256 << 10, BODY_BYTES};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        taken_bytes = 0;
        struct reply reply = client_call(server.port, "POST", "/take", NULL, body, sizes[i]);
        ck_assert_int_eq(reply.status, 201);
        reply_free(&reply);
        check_taken(sizes[i]);
    }
}
END_TEST

/* Law: chunks that come while the connection is suspended are neither lost nor taken twice. Small
 * ones, of which many are in one buffer, and large ones. */
START_TEST(chunked_bodies_arrive_whole)
{
    static const size_t chunks[] = {1, 7, 1000, 5000, 100 * 1000};
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        size_t size = chunks[i] == 1 ? 150 * 1000 : BODY_BYTES;
        struct text request;
        text_init(&request, 16 * BODY_BYTES);
        text_puts(&request, "POST /take HTTP/1.1\r\nHost: h\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < size; at += chunks[i]) {
            size_t chunk = size - at < chunks[i] ? size - at : chunks[i];
            text_printf(&request, "%zx\r\n", chunk);
            text_append(&request, body + at, chunk);
            text_puts(&request, "\r\n");
        }
        text_puts(&request, "0\r\n\r\n");
        taken_bytes = calls = 0;
        int fd = client_connect(server.port);
        ck_assert(client_send(fd, request.bytes, request.length));
        text_finish(&request);
        ck_assert_int_eq(status_of(fd), 201);
        check_taken(size);
        ck_assert_uint_le(calls, 1 + size / (100 << 10));
    }
}
END_TEST

static int begin_body(void)
{
    int fd = client_connect(server.port);
    client_send_text(fd, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    ck_assert(client_send(fd, body, 1000));
    return fd;
}

static void wait_until_waiting(int count)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; atomic_load(&waiting) != count;) {
        ck_assert_int_lt(client_now_ms(), end);
        usleep(1000);
    }
}

/* Law: while every thread for sinks waits, and more bodies behind them, others are answered. */
START_TEST(a_sink_that_waits_holds_up_nobody_else)
{
    enum { SENDERS = 12 };
    int senders[SENDERS];
    open_gate(false);
    for (int i = 0; i < SENDERS; i++)
        senders[i] = begin_body();
    wait_until_waiting((int)http_default_options.sink_threads);
    for (int i = 0; i < 50; i++) {
        struct reply reply = client_get(server.port, "/echo/x");
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
    }
    ck_assert_int_eq(atomic_load(&waiting), (int)http_default_options.sink_threads);
    open_gate(true);
    for (int i = 0; i < SENDERS; i++)
        ck_assert_int_eq(status_of(senders[i]), 201);
}
END_TEST

static void *stop_server(void *unused)
{
    (void)unused;
    http_server_stop(server.http, 50);
    return NULL;
}

/* Law: a server that stops waits for the sink, and cuts what would go on after it. */
START_TEST(a_server_stops_while_bodies_come)
{
    enum { SENDERS = 6 };
    int senders[SENDERS];
    pthread_t stopper;
    open_gate(false);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = client_connect(server.port);
        client_send_text(senders[i],
                         "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
        ck_assert(client_send(senders[i], body, 140 * 1000));
    }
    wait_until_waiting((int)http_default_options.sink_threads);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_server, NULL), 0);
    for (int i = 0; i < SENDERS; i++)
        ck_assert_int_ge(client_wait_closed(senders[i]), 0);
    open_gate(true);
    ck_assert_int_eq(pthread_join(stopper, NULL), 0);
    for (int i = 0; i < SENDERS; i++)
        close(senders[i]);
    setup(); /* for the teardown */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("body");
    TCase *tcase = tcase_create("body");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bodies_of_any_size_arrive_whole);
    tcase_add_test(tcase, chunked_bodies_arrive_whole);
    tcase_add_test(tcase, a_sink_that_waits_holds_up_nobody_else);
    tcase_add_test(tcase, a_server_stops_while_bodies_come);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
