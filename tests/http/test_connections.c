/* Places for connections: who keeps one, and who makes place. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include "ptqd/http/listen.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 16, SHARE = 12, FAR_FD = 200 };

static struct small_server server;

static void setup(void)
{
    struct http_options options = small_server_options();
    options.connections = PLACES;
    small_server_start(&server, &options);
}

static void teardown(void)
{
    small_server_stop(&server);
}

static int exchange(int fd, const char *method, const char *target)
{
    char request[256];
    (void)snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, target);
    client_send_text(fd, request);
    struct reply reply = client_receive(fd, strcmp(method, "HEAD") == 0);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

/* A dashboard that asks for what is gone, or with the wrong method, keeps its connection. */
START_TEST(refusals_without_a_body_keep_the_connection)
{
    static const struct {
        const char *method, *target;
        int status;
    } rows[] = {{"GET", "/nothing", 404},  {"DELETE", "/echo/a", 405}, {"HEAD", "/nothing", 404},
                {"POST", "/nothing", 404}, {"PATCH", "/json", 405},    {"GET", "/echo/", 404}};
    int fd = client_connect(server.port);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(exchange(fd, rows[i].method, rows[i].target), rows[i].status);
        ck_assert_int_eq(exchange(fd, "GET", "/echo/a"), 200);
    }
    close(fd);
}
END_TEST

/* Law: connections on which nothing is under way never keep a new client out, however many they
 * are; the limit holds all the same. */
START_TEST(idle_connections_make_place_for_new_ones)
{
    enum { IDLE = 10 * PLACES };
    int idle[IDLE];
    for (size_t i = 0; i < IDLE; i++) {
        idle[i] = client_connect(server.port);
        if (i % 3 == 1)
            client_send_text(idle[i], "GET /echo/a HT");
        if (i % 3 == 2)
            ck_assert_int_eq(exchange(idle[i], "GET", "/echo/a"), 200);
    }
    for (int i = 0; i < 3 * PLACES; i++) {
        struct reply reply = client_get(server.port, "/echo/new");
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
    }
    struct http_stats stats = http_server_stats(server.http);
    ck_assert_uint_le(stats.connections, PLACES);
    ck_assert_uint_ge(stats.evicted, IDLE - PLACES);
    ck_assert_uint_eq(stats.turned_away, 0);
    for (size_t i = 0; i < IDLE; i++)
        close(idle[i]);
}
END_TEST

/* Law: the connection that goes is the one that has been idle longest. */
START_TEST(a_connection_that_is_used_stays)
{
    int used = client_connect(server.port);
    ck_assert_int_eq(exchange(used, "GET", "/echo/a"), 200);
    for (int i = 0; i < 4 * PLACES; i++) {
        int fd = client_connect(server.port);
        ck_assert_int_eq(exchange(fd, "GET", "/echo/b"), 200);
        ck_assert_int_eq(exchange(used, "GET", "/echo/a"), 200);
        if (i % 2 == 0)
            close(fd); /* the others stay open, idle */
    }
    close(used);
}
END_TEST

static void wait_for_suspended(uint64_t count)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         http_server_stats(server.http).suspended != count; usleep(1000))
        ck_assert_int_lt(client_now_ms(), end);
}

static void wait_for_active(uint64_t count)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         http_server_stats(server.http).active != count; usleep(1000))
        ck_assert_int_lt(client_now_ms(), end);
}

/* Law: a request under way is never cut for a newcomer; that one is turned away. */
START_TEST(requests_under_way_are_not_evicted)
{
    int waiting[PLACES];
    for (size_t i = 0; i < PLACES; i++) {
        waiting[i] = client_connect(server.port);
        client_send_text(waiting[i], "GET /park?ms=4000 HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_for_suspended(PLACES);
    int late = client_connect(server.port);
    ck_assert_int_ge(client_wait_closed(late), 0);
    close(late);
    ck_assert_uint_ge(http_server_stats(server.http).turned_away, 1);
    for (size_t i = 0; i < PLACES; i++) {
        struct reply reply = client_receive(waiting[i], false);
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
        close(waiting[i]);
    }
    /* The places are free when the server has noticed that they are. */
    int status = 0;
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; status != 200; usleep(1000)) {
        ck_assert_int_lt(client_now_ms(), end);
        struct reply reply = client_get(server.port, "/echo/after");
        status = reply.status;
        reply_free(&reply);
    }
}
END_TEST

/* Sends a request on every place, and asks for something on one more. */
static int status_beside(int port, const char *request)
{
    int held[PLACES];
    for (size_t i = 0; i < PLACES; i++) {
        held[i] = client_connect(port);
        client_send_text(held[i], request);
    }
    wait_for_active(PLACES);
    struct reply reply = client_get(port, "/word?word=ab");
    for (size_t i = 0; i < PLACES; i++)
        close(held[i]);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

/* Law: who sends the body of a request that was refused, as slowly as may be, keeps nobody out. */
START_TEST(refused_bodies_make_place_for_new_ones)
{
    ck_assert_int_eq(status_beside(server.port, "POST /nothing HTTP/1.1\r\nHost: h\r\n"
                                                "Content-Length: 1000000\r\n\r\nx"),
                     200);
}
END_TEST

/* Everybody may do everything, and nobody is known. */
static bool let_in(struct http_request *request, void *context, int access, struct error *err)
{
    (void)request;
    (void)context;
    (void)access;
    (void)err;
    return true;
}

/* Law: requests that need no token take no place from those that have one. */
START_TEST(requests_of_nobody_make_place_for_new_ones)
{
    struct http_options options = small_server_options();
    small_server_stop(&server);
    options.connections = PLACES;
    options.authorize = let_in;
    small_server_start(&server, &options);
    ck_assert_int_eq(status_beside(server.port, "GET /park?ms=9000 HTTP/1.1\r\nHost: h\r\n\r\n"),
                     200);
}
END_TEST

/* Who asks is named by a header. */
static bool name_owner(struct http_request *request, void *context, int access, struct error *err)
{
    (void)context;
    (void)access;
    const char *owner = http_header(request, "From");
    if (owner == NULL)
        return FAIL(err, E_UNAUTHORIZED, "nobody is named");
    http_set_owner(request, owner, 1);
    return true;
}

static int status_of(int port, const char *owner)
{
    char header[64];
    (void)snprintf(header, sizeof(header), "From: %s\r\n", owner);
    struct reply reply = client_call(port, "GET", "/word?word=ab", header, NULL, 0);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

/* Law: an owner, whatever it sends as slowly as may be, keeps nobody else out, and has its places
 * again when its requests have ended. */
START_TEST(an_owner_has_no_more_places_than_its_share)
{
    static const char slow[] = "POST /echo/a HTTP/1.1\r\nHost: h\r\nFrom: anna\r\n"
                               "Content-Length: 100\r\n\r\nx";
    struct http_options options = small_server_options();
    int held[2 * PLACES];
    small_server_stop(&server);
    options.connections = PLACES;
    options.connections_per_owner = SHARE;
    options.authorize = name_owner;
    small_server_start(&server, &options);
    for (size_t i = 0; i < 2 * PLACES; i++) {
        if (i == SHARE)
            wait_for_active(SHARE);
        held[i] = client_connect(server.port);
        client_send_text(held[i], slow);
    }
    ck_assert_int_eq(status_of(server.port, "bert"), 200);
    ck_assert_int_eq(status_of(server.port, "anna"), 429);
    for (size_t i = 0; i < SHARE; i++) { /* what was begun in time goes on */
        char rest[99] = {0};
        ck_assert(client_send(held[i], rest, sizeof(rest)));
        struct reply reply = client_receive(held[i], false);
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
    }
    ck_assert_int_eq(status_of(server.port, "anna"), 200);
    for (size_t i = 0; i < 2 * PLACES; i++)
        close(held[i]);
}
END_TEST

/* Law: clients that vanish while they wait give their places back at once, not when their wait is
 * over. */
START_TEST(clients_that_vanish_while_they_wait_are_noticed)
{
    enum { HELD = PLACES / 2 }; /* those of the round before may still take places */
    for (int round = 0; round < 3; round++) {
        int waiting[HELD];
        for (size_t i = 0; i < HELD; i++) {
            waiting[i] = client_connect(server.port);
            client_send_text(waiting[i], "GET /park?ms=60000 HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        wait_for_suspended(HELD);
        for (size_t i = 0; i < HELD; i++)
            close(waiting[i]);
        wait_for_suspended(0);
        struct reply reply = client_get(server.port, "/echo/after");
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
    }
}
END_TEST

static bool answer_thread(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    const pthread_t thread = pthread_self();
    http_answer(request, 200, "application/octet-stream", &thread, sizeof(thread), true);
    return true;
}

/* The thread that serves a connection. */
static pthread_t thread_of(int fd)
{
    client_send_text(fd, "GET /thread HTTP/1.1\r\nHost: h\r\n\r\n");
    struct reply reply = client_receive(fd, false);
    pthread_t thread;
    ck_assert_uint_eq(reply.size, sizeof(thread));
    memcpy(&thread, reply.body, sizeof(thread));
    reply_free(&reply);
    return thread;
}

/* Law: connections that come at once are dealt out evenly. Those of the client have far numbers:
 * the server's are next to each other, as in a process of its own; one may have come between. */
START_TEST(every_thread_has_its_share_of_the_connections)
{
    enum { THREADS = 4, EACH = 4, COUNT = THREADS * EACH };
    static const struct http_route route = {.method = "GET",
                                            .pattern = "/thread",
                                            .handle = answer_thread};
    static const struct http_table table = {&route, 1};
    static const struct http_table *const tables[] = {&table, NULL};
    struct http_options options = small_server_options();
    struct small_server dealing;
    options.tables = tables;
    options.threads = THREADS;
    small_server_start(&dealing, &options);
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int near = client_connect(dealing.port);
        fds[i] = fcntl(near, F_DUPFD_CLOEXEC, FAR_FD);
        ck_assert_int_ge(fds[i], FAR_FD);
        close(near);
    }
    pthread_t threads[COUNT];
    for (int i = 0; i < COUNT; i++)
        threads[i] = thread_of(fds[i]);
    for (int i = 0; i < COUNT; i++) {
        int together = 0;
        for (int j = 0; j < COUNT; j++)
            together += pthread_equal(threads[i], threads[j]) != 0;
        ck_assert_int_ge(together, EACH - 1);
        ck_assert_int_le(together, EACH + 1);
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    small_server_stop(&dealing);
}
END_TEST

/* Law: a socket that others hold as well, as the service manager does, still listens when the
 * server has ended: who connects meanwhile is served by the next. */
START_TEST(a_socket_that_was_handed_over_outlives_the_server)
{
    struct http_options options = small_server_options();
    struct http_server *http;
    struct error err = {0};
    int held;
    ck_assert_ok(http_listen("127.0.0.1", 0, &held, &err), &err);
    int port = http_listen_port(held);
    options.listen_fd = dup(held);
    ck_assert_ok(http_server_start(&options, &http, &err), &err);
    http_server_stop(http, 2000);

    int early = client_connect(port);
    ck_assert_int_ge(early, 0);
    options.listen_fd = held;
    ck_assert_ok(http_server_start(&options, &http, &err), &err);
    ck_assert_int_eq(exchange(early, "GET", "/echo/a"), 200);
    close(early);
    http_server_stop(http, 2000);
    ck_assert_int_lt(client_connect(port), 0); /* nobody holds it now */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connections");
    TCase *tcase = tcase_create("connections");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, refusals_without_a_body_keep_the_connection);
    tcase_add_test(tcase, idle_connections_make_place_for_new_ones);
    tcase_add_test(tcase, a_connection_that_is_used_stays);
    tcase_add_test(tcase, requests_under_way_are_not_evicted);
    tcase_add_test(tcase, refused_bodies_make_place_for_new_ones);
    tcase_add_test(tcase, requests_of_nobody_make_place_for_new_ones);
    tcase_add_test(tcase, an_owner_has_no_more_places_than_its_share);
    tcase_add_test(tcase, clients_that_vanish_while_they_wait_are_noticed);
    tcase_add_test(tcase, every_thread_has_its_share_of_the_connections);
    tcase_add_test(tcase, a_socket_that_was_handed_over_outlives_the_server);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
