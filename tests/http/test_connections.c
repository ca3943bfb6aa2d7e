/* Places for connections: who keeps one, and who makes place. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 16 };

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
    tcase_add_test(tcase, clients_that_vanish_while_they_wait_are_noticed);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
