/* The server as a client meets it, well-meaning or not: a server on a free port, and raw sockets.
 */

#include "ptqd/http/listen.h"

#include "client.h"
#include "small_server.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SINK_LIMIT = 300 * 1000, SWALLOW_LIMIT = 400 * 1000 };

static struct small_server small;
static struct http_server *server; /* of it */
static int port;
static atomic_size_t sunk;                    /* bytes the sink took */
static _Atomic(struct http_request *) parked; /* a request that waits for the test */
static atomic_int destroyed;

static bool take(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)context;
    if (memchr(bytes, '!', size) != NULL)
        return FAIL(err, E_INVALID, "the sink does not like this");
    atomic_fetch_add(&sunk, size);
    return true;
}

static void count_destroyed(void *state)
{
    (void)state;
    atomic_fetch_add(&destroyed, 1);
}

static bool begin_upload(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    if (http_query(request, "refuse") != NULL)
        return FAIL(err, E_FORBIDDEN, "refused by begin");
    const struct http_sink sink = {.write = take};
    http_set_sink(request, &sink, SINK_LIMIT);
    http_set_state(request, &sunk, count_destroyed);
    return true;
}

static bool finish_upload(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_answer(request, 201, "text/plain", "stored", 6, true);
    http_add_header(request, "Location", "/upload/1");
    http_add_header(request, "X-Bad", "no\r\nX-Injected: 1");
    return true;
}

static bool park(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_suspend(request, small_server_wake, 60 * 1000);
    atomic_store(&parked, request);
    return true;
}

static bool nap(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_suspend(request, small_server_wake, 200);
    return true;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* A handler that takes as long as the test holds the gate. */
static bool block(struct http_request *request, void *context, struct error *err)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    if (http_query(request, "fail") != NULL)
        return FAIL(err, E_CONFLICT, "failed on the pool");
    return small_server_wake(request, context, err);
}

static bool forget(struct http_request *request, void *context, struct error *err)
{
    (void)request;
    (void)context;
    (void)err;
    return true;
}

/* Fills memory of its request; `scribbled` is where, 0 when it was not zero before. */
static atomic_uintptr_t scribbled;

static bool scribble(struct http_request *request, void *context, struct error *err)
{
    size_t size = http_query(request, "large") != NULL ? 1 << 20 : 3000;
    unsigned char *bytes = arena_alloc(http_arena(request), size, err);
    if (bytes == NULL)
        return false;
    bool zero = bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
    memset(bytes, 0xff, size);
    atomic_store(&scribbled, zero ? (uintptr_t)bytes : 0);
    return small_server_wake(request, context, err);
}

static const struct param query_large = {.name = "large", .type = PARAM_BOOL, .default_text = ""};
static const struct param query_refuse = {.name = "refuse", .type = PARAM_BOOL, .default_text = ""};
static const struct param query_fail = {.name = "fail", .type = PARAM_BOOL, .default_text = ""};

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/echo/{id}",
     .handle = small_server_echo,
     .query = {&small_server_name}},
    {.method = "POST",
     .pattern = "/echo/{id}",
     .handle = small_server_echo,
     .any_body = true,
     .query = {&small_server_name}},
    {.method = "POST",
     .pattern = "/upload",
     .begin = begin_upload,
     .handle = finish_upload,
     .query = {&query_refuse}},
    {.method = "GET", .pattern = "/park", .handle = park},
    {.method = "GET", .pattern = "/nap", .handle = nap},
    {.method = "GET",
     .pattern = "/block",
     .handle = block,
     .blocking = true,
     .query = {&query_fail}},
    {.method = "GET", .pattern = "/work/{id}", .handle = small_server_echo, .blocking = true},
    {.method = "GET", .pattern = "/forget", .handle = forget},
    {.method = "GET", .pattern = "/scribble", .handle = scribble, .query = {&query_large}},
};
static const struct http_table table = {routes, sizeof(routes) / sizeof(routes[0])};
static const struct http_table *const tables[] = {&table, NULL};

static void setup(void)
{
    struct http_options options = small_server_options();
    options.tables = tables;
    options.swallow_bytes = SWALLOW_LIMIT;
    options.header_timeout_ms = 400;
    options.slow_grace_ms = 400;
    options.slow_bytes_per_second = 1000 * 1000;
    options.idle_timeout_seconds = 5;
    small_server_start(&small, &options);
    server = small.http;
    port = small.port;
}

static void teardown(void)
{
    small_server_stop(&small);
}

#define ck_assert_reply(reply, expected_status, expected_body)                                     \
    do {                                                                                           \
        ck_assert_int_eq((reply).status, (expected_status));                                       \
        ck_assert_msg(support_contains((reply).body, (expected_body)), "\"%s\" lacks \"%s\"",      \
                      (reply).body, (expected_body));                                              \
        reply_free(&(reply));                                                                      \
    } while (0)

START_TEST(path_query_and_body_reach_the_handler)
{
    struct reply reply = client_call(port, "POST", "/echo/a%2Db?name=x%20y", NULL, "hello", 5);
    ck_assert_reply(reply, 200, "a-b|x y|hello");
}
END_TEST

START_TEST(unknown_paths_are_404_and_other_methods_405_with_allow)
{
    static const char *const unknown[] = {"/",         "/echo",    "/echo/",
                                          "/echo/a/b", "//echo/a", "/echo/../../etc/passwd",
                                          "/file%00",  "/file/"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct reply reply = client_get(port, unknown[i]);
        ck_assert_reply(reply, 404, "there is no resource at");
    }
    struct reply reply = client_call(port, "DELETE", "/echo/a", NULL, NULL, 0);
    char allow[64];
    ck_assert_str_eq(reply_header(&reply, "Allow", allow, sizeof(allow)),
                     "GET, HEAD, POST, OPTIONS");
    ck_assert_reply(reply, 405, "DELETE is not supported here; GET, HEAD, POST, OPTIONS are");
}
END_TEST

START_TEST(a_refused_request_with_a_small_body_keeps_its_connection)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    struct reply reply = client_receive(fd, false);
    ck_assert_reply(reply, 404, "no resource");
    client_send_text(fd, "GET /echo/a HTTP/1.1\r\nHost: h\r\n\r\n");
    reply = client_receive(fd, false);
    ck_assert_reply(reply, 200, "a|-|");
    close(fd);
}
END_TEST

START_TEST(head_has_the_headers_of_get_and_no_body)
{
    struct reply reply = client_call(port, "HEAD", "/echo/abc", NULL, NULL, 0);
    char length[32];
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply_header(&reply, "Content-Length", length, sizeof(length)), "6");
    ck_assert_uint_eq(reply.size, 0);
    reply_free(&reply);
}
END_TEST

START_TEST(several_requests_share_a_connection)
{
    int fd = client_connect(port);
    for (int i = 0; i < 5; i++) {
        client_send_text(fd, "GET /echo/again HTTP/1.1\r\nHost: h\r\n\r\n");
        struct reply reply = client_receive(fd, false);
        ck_assert_reply(reply, 200, "again|-|");
    }
    close(fd);
}
END_TEST

static uintptr_t scribble_on(int fd, const char *target)
{
    char header[64];
    (void)snprintf(header, sizeof(header), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    client_send_text(fd, header);
    struct reply reply = client_receive(fd, false);
    ck_assert_reply(reply, 200, "woken");
    ck_assert_msg(atomic_load(&scribbled) != 0, "%s", target);
    return atomic_load(&scribbled);
}

/* Law: the memory of a request that is over serves the next one, which finds nothing in it; what a
 * large one has taken is in nobody's way. */
START_TEST(requests_share_memory_and_nothing_in_it)
{
    int fd = client_connect(port);
    uintptr_t first = scribble_on(fd, "/scribble");
    ck_assert_uint_eq(scribble_on(fd, "/scribble"), first);
    scribble_on(fd, "/scribble?large=true");
    uintptr_t second = scribble_on(fd, "/scribble");
    ck_assert_uint_eq(scribble_on(fd, "/scribble"), second);
    close(fd);
}
END_TEST

/* Two programs that read these requests differently can be made to disagree on where one ends. */
START_TEST(ambiguous_framing_is_400_and_closes)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /echo/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "GET /echo/a HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n",
        "POST /echo/a HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
    };
    int fd = client_connect(port);
    client_send_text(fd, requests[_i]);
    struct reply reply = client_receive(fd, false);
    ck_assert_int_eq(reply.status, 400);
    reply_free(&reply);
    ck_assert_int_ge(client_wait_closed(fd), 0);
    close(fd);
}
END_TEST

START_TEST(a_body_announced_too_large_is_413_before_it_is_sent)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /echo/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
    struct reply reply = client_receive(fd, false);
    ck_assert_reply(reply, 413, "the body has 1001 bytes; 1000 are allowed here");
    close(fd);
    fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
    reply = client_receive(fd, false);
    ck_assert_reply(reply, 413, "1000000000 bytes; 300000 are allowed");
    close(fd);
    ck_assert_uint_eq(atomic_load(&sunk), 0);
}
END_TEST

static void send_chunks(int fd, size_t count)
{
    static char chunk[10000];
    memset(chunk, 'x', sizeof(chunk));
    for (size_t i = 0; i < count; i++) {
        if (!client_send_text(fd, "2710\r\n") || !client_send(fd, chunk, sizeof(chunk)) ||
            !client_send_text(fd, "\r\n"))
            return;
    }
    client_send_text(fd, "0\r\n\r\n");
}

START_TEST(a_chunked_body_over_the_limit_is_swallowed_and_413)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 40); /* 400 000 bytes: over the sink's limit, below the cap */
    struct reply reply = client_receive(fd, false);
    ck_assert_reply(reply, 413, "300000 are allowed here");
    close(fd);
    ck_assert_uint_le(atomic_load(&sunk), SINK_LIMIT);
}
END_TEST

START_TEST(a_chunked_body_without_end_is_cut)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 1000);
    struct reply reply = client_receive(fd, false);
    ck_assert_int_eq(reply.status, 0);
    close(fd);
}
END_TEST

START_TEST(a_body_within_the_limit_streams_to_the_sink)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 30);
    struct reply reply = client_receive(fd, false);
    char value[64];
    ck_assert_str_eq(reply_header(&reply, "Location", value, sizeof(value)), "/upload/1");
    ck_assert_ptr_null(reply_header(&reply, "X-Injected", value, sizeof(value)));
    ck_assert_reply(reply, 201, "stored");
    close(fd);
    ck_assert_uint_eq(atomic_load(&sunk), SINK_LIMIT);
}
END_TEST

START_TEST(a_sink_that_fails_gives_its_error)
{
    struct reply reply = client_call(port, "POST", "/upload", NULL, "abc!", 4);
    ck_assert_reply(reply, 422, "the sink does not like this");
    reply = client_call(port, "POST", "/upload?refuse=1", NULL, "abc", 3);
    ck_assert_reply(reply, 403, "refused by begin");
}
END_TEST

START_TEST(state_is_destroyed_when_the_client_goes_away)
{
    int before = atomic_load(&destroyed);
    int fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
    close(fd);
    for (long end = client_now_ms() + 5000; client_now_ms() < end;) {
        if (atomic_load(&destroyed) > before)
            return;
        usleep(1000);
    }
    ck_abort_msg("the state is still there");
}
END_TEST

/* Sends one byte of `text` every 50 ms until the server closes; milliseconds that took. */
static long trickle(const char *text)
{
    int fd = client_connect(port);
    long start = client_now_ms();
    while (client_now_ms() - start < 5000) {
        if (!client_send(fd, text, 1))
            break;
        text += text[1] != '\0';
        usleep(50 * 1000);
    }
    close(fd);
    return client_now_ms() - start;
}

START_TEST(a_client_that_trickles_its_header_is_cut)
{
    long took = trickle("GET /echo/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    ck_assert_int_ge(took, 350);
    ck_assert_int_lt(took, 3000);
    ck_assert_uint_ge(http_server_stats(server).cut, 1);
}
END_TEST

START_TEST(a_client_that_trickles_its_body_is_cut_and_others_are_served)
{
    int fd = client_connect(port);
    client_send_text(fd, "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    long start = client_now_ms();
    while (client_now_ms() - start < 5000 && client_send(fd, "x", 1)) {
        struct reply reply = client_get(port, "/echo/other");
        ck_assert_reply(reply, 200, "other|-|");
        usleep(50 * 1000);
    }
    ck_assert_int_lt(client_now_ms() - start, 3000);
    close(fd);
}
END_TEST

/* Law: up to 16 KiB a header is fine; above, the refusal is ours, but for what exceeds the memory
 * of a connection, which libmicrohttpd refuses. */
START_TEST(an_oversized_header_is_431)
{
    static const struct {
        size_t filler;
        int status;
        const char *text;
    } rows[] = {{16000, 200, "a|-|"},
                {17000, 431, " bytes; 16384 are allowed"},
                {24000, 431, " bytes; 16384 are allowed"},
                {80000, 431, ""}};
    static char request[100 * 1000];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int length = snprintf(request, sizeof(request), "GET /echo/a HTTP/1.1\r\nHost: h\r\nX: ");
        memset(request + length, 'a', rows[i].filler);
        memcpy(request + length + rows[i].filler, "\r\n\r\n", 5);
        int fd = client_connect(port);
        client_send_text(fd, request);
        struct reply reply = client_receive(fd, false);
        ck_assert_reply(reply, rows[i].status, rows[i].text);
        close(fd);
    }
}
END_TEST

START_TEST(a_page_of_another_site_may_not_change_anything)
{
    struct reply reply =
        client_call(port, "POST", "/echo/a", "Origin: http://evil.example\r\n", "x", 1);
    ck_assert_reply(reply, 403, "a page of another site (http://evil.example)");
    reply = client_call(port, "POST", "/echo/a", "Sec-Fetch-Site: cross-site\r\n", "x", 1);
    ck_assert_reply(reply, 403, "another site");
    reply = client_call(port, "POST", "/echo/a", "Origin: http://localhost\r\n", "x", 1);
    ck_assert_reply(reply, 200, "a|-|x");
    reply = client_call(port, "GET", "/echo/a", "Origin: http://evil.example\r\n", NULL, 0);
    ck_assert_reply(reply, 200, "a|-|");
}
END_TEST

START_TEST(a_suspended_request_is_answered_when_it_is_resumed)
{
    int fd = client_connect(port);
    client_send_text(fd, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_request *request = NULL;
    while (request == NULL)
        request = atomic_load(&parked);
    struct reply reply = client_get(port, "/echo/meanwhile");
    ck_assert_reply(reply, 200, "meanwhile|-|");
    ck_assert_uint_eq(http_server_stats(server).suspended, 1);
    http_resume(request);
    reply = client_receive(fd, false);
    ck_assert_reply(reply, 200, "woken");
    close(fd);
}
END_TEST

START_TEST(a_suspension_ends_at_its_timeout)
{
    long start = client_now_ms();
    struct reply reply = client_get(port, "/nap");
    ck_assert_reply(reply, 200, "woken");
    ck_assert_int_ge(client_now_ms() - start, 190);
}
END_TEST

START_TEST(blocking_handlers_do_not_hold_up_others)
{
    pthread_mutex_lock(&gate);
    int waiting[5];
    for (size_t i = 0; i < 5; i++) {
        waiting[i] = client_connect(port);
        client_send_text(waiting[i], i == 4 ? "GET /block?fail=1 HTTP/1.1\r\nHost: h\r\n\r\n"
                                            : "GET /block HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    struct reply reply = client_get(port, "/echo/free");
    ck_assert_reply(reply, 200, "free|-|");
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < 5; i++) {
        reply = client_receive(waiting[i], false);
        ck_assert_reply(reply, i == 4 ? 409 : 200, i == 4 ? "failed on the pool" : "woken");
        close(waiting[i]);
    }
}
END_TEST

START_TEST(a_handler_that_forgets_to_answer_is_an_internal_error)
{
    struct reply reply = client_get(port, "/forget");
    ck_assert_reply(reply, 500, "GET /forget was not answered");
}
END_TEST

static void *stop_now(void *context)
{
    (void)context;
    http_server_stop(server, 2000);
    return NULL;
}

START_TEST(stopping_answers_what_waits)
{
    atomic_store(&parked, NULL);
    int fd = client_connect(port);
    client_send_text(fd, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    while (atomic_load(&parked) == NULL)
        usleep(1000);
    int idle = client_connect(port);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_now, NULL), 0);
    struct reply reply = client_receive(fd, false);
    ck_assert_reply(reply, 200, "woken");
    pthread_join(thread, NULL);
    close(fd);
    close(idle);
    setup(); /* for the fixture to stop */
}
END_TEST

/* Law: the server stops while clients go on asking for what has to wait. */
START_TEST(stopping_ends_clients_that_go_on)
{
    enum { ROUNDS = 40, CLIENTS = 16, REQUESTS = 500 };
    static const char one[] = "GET /work/1 HTTP/1.1\r\nHost: h\r\n\r\n";
    char *all = calloc(REQUESTS, sizeof(one));
    for (int i = 0; i < REQUESTS; i++)
        memcpy(all + (size_t)i * (sizeof(one) - 1), one, sizeof(one) - 1);
    for (int round = 0; round < ROUNDS; round++) {
        int clients[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            clients[i] = client_connect(port);
            ck_assert(client_send(clients[i], all, REQUESTS * (sizeof(one) - 1)));
        }
        struct reply reply = client_receive(clients[0], false);
        ck_assert_reply(reply, 200, "1|-|");
        http_server_stop(server, 0);
        for (int i = 0; i < CLIENTS; i++)
            close(clients[i]);
        setup();
    }
    free(all);
}
END_TEST

START_TEST(a_port_in_use_is_a_conflict)
{
    struct error err = {0};
    int fd;
    ck_assert_fails(http_listen("127.0.0.1", port, &fd, &err), &err, E_CONFLICT,
                    "can't listen on 127.0.0.1 port");
    ck_assert_fails(http_listen("localhost", 0, &fd, &err), &err, E_INVALID,
                    "\"localhost\" is no numeric address");
    ck_assert(http_is_loopback("127.0.0.1") && http_is_loopback("::1"));
    ck_assert(!http_is_loopback("0.0.0.0") && !http_is_loopback("::"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *tcase = tcase_create("server");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, path_query_and_body_reach_the_handler);
    tcase_add_test(tcase, unknown_paths_are_404_and_other_methods_405_with_allow);
    tcase_add_test(tcase, a_refused_request_with_a_small_body_keeps_its_connection);
    tcase_add_test(tcase, head_has_the_headers_of_get_and_no_body);
    tcase_add_test(tcase, several_requests_share_a_connection);
    tcase_add_test(tcase, requests_share_memory_and_nothing_in_it);
    tcase_add_loop_test(tcase, ambiguous_framing_is_400_and_closes, 0, 6);
    tcase_add_test(tcase, a_body_announced_too_large_is_413_before_it_is_sent);
    tcase_add_test(tcase, a_chunked_body_over_the_limit_is_swallowed_and_413);
    tcase_add_test(tcase, a_chunked_body_without_end_is_cut);
    tcase_add_test(tcase, a_body_within_the_limit_streams_to_the_sink);
    tcase_add_test(tcase, a_sink_that_fails_gives_its_error);
    tcase_add_test(tcase, state_is_destroyed_when_the_client_goes_away);
    tcase_add_test(tcase, a_client_that_trickles_its_header_is_cut);
    tcase_add_test(tcase, a_client_that_trickles_its_body_is_cut_and_others_are_served);
    tcase_add_test(tcase, an_oversized_header_is_431);
    tcase_add_test(tcase, a_page_of_another_site_may_not_change_anything);
    tcase_add_test(tcase, a_suspended_request_is_answered_when_it_is_resumed);
    tcase_add_test(tcase, a_suspension_ends_at_its_timeout);
    tcase_add_test(tcase, blocking_handlers_do_not_hold_up_others);
    tcase_add_test(tcase, a_handler_that_forgets_to_answer_is_an_internal_error);
    tcase_add_test(tcase, stopping_answers_what_waits);
    tcase_add_test(tcase, stopping_ends_clients_that_go_on);
    tcase_add_test(tcase, a_port_in_use_is_a_conflict);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
