/* Limits on what the bodies of all requests take together. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BODY_MEMORY = 3000,
    UPLOADS = 4,
    UPLOADS_PER_OWNER = 2,
    ANSWER_MEMORY = 100 << 20,
    LONG_ANSWER = 20 << 20
};

static struct small_server server;

/* The owner is who the header says. */
static bool authorize(struct http_request *request, void *context, int access, struct error *err)
{
    (void)context;
    (void)access;
    (void)err;
    const char *owner = http_header(request, "X-Owner");
    http_set_owner(request, owner != NULL ? owner : "nobody", 0);
    return true;
}

static bool answer_long(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    const char *text = arena_alloc(http_arena(request), LONG_ANSWER, err);
    if (text == NULL)
        return false;
    http_answer(request, 200, "application/octet-stream", text, LONG_ANSWER, false);
    return true;
}

static const struct http_route long_routes[] = {
    {.method = "GET", .pattern = "/long", .handle = answer_long},
    {.method = "POST", .pattern = "/long", .handle = answer_long},
};
static const struct http_table long_table = {long_routes, 2};

static void setup(void)
{
    static const struct http_table *tables[3];
    tables[0] = small_server_tables[0];
    tables[1] = &long_table;

    struct http_options options = small_server_options();
    options.body_memory_bytes = BODY_MEMORY;
    options.answer_memory_bytes = ANSWER_MEMORY;
    options.tables = tables;
    options.uploads = UPLOADS;
    options.uploads_per_owner = UPLOADS_PER_OWNER;
    options.authorize = authorize;
    small_server_start(&server, &options);
}

static void teardown(void)
{
    small_server_stop(&server);
}

/* Announces a body of 1000 bytes and sends `sent` of them. */
static int begin_body(const char *target, const char *owner, size_t sent)
{
    char request[1400];
    int length = snprintf(request, sizeof(request),
                          "POST %s HTTP/1.1\r\nHost: h\r\nX-Owner: %s\r\nContent-Length: "
                          "1000\r\n\r\n",
                          target, owner);
    memset(request + length, 'x', sent);
    int fd = client_connect(server.port);
    client_send(fd, request, (size_t)length + sent);
    return fd;
}

static int end_body(int fd, size_t missing)
{
    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    client_send(fd, bytes, missing);
    struct reply reply = client_receive(fd, false);
    int status = reply.status;
    reply_free(&reply);
    close(fd);
    return status;
}

/* Waits until the server counts as many bytes and uploads. */
static void wait_for(uint64_t bytes, uint64_t uploads)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;; usleep(1000)) {
        struct http_stats stats = http_server_stats(server.http);
        if (stats.body_bytes == bytes && stats.uploads == uploads)
            return;
        ck_assert_msg(client_now_ms() < end, "%d bytes, %d uploads", (int)stats.body_bytes,
                      (int)stats.uploads);
    }
}

START_TEST(bodies_share_their_memory)
{
    static const char *const owners[] = {"a", "b", "c"};
    int held[3];
    for (size_t i = 0; i < 3; i++)
        held[i] = begin_body("/echo/a", owners[i], 999);
    wait_for(3 * 999, 0);
    ck_assert_int_eq(end_body(begin_body("/echo/b", "d", 0), 1000), 503);
    struct reply reply = client_get(server.port, "/echo/c"); /* needs none of it */
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    wait_for(3 * 999, 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(end_body(held[i], 1), 200);
    wait_for(0, 0);
    ck_assert_int_eq(end_body(begin_body("/echo/b", "a", 0), 1000), 200);
}
END_TEST

/* Law: the bodies of one owner leave room for those of others. */
START_TEST(an_owner_has_half_of_the_memory)
{
    int held = begin_body("/echo/a", "a", 999);
    wait_for(999, 0);
    ck_assert_int_eq(end_body(begin_body("/echo/b", "a", 0), 1000), 429);
    ck_assert_int_eq(end_body(begin_body("/echo/b", "b", 0), 1000), 200);
    ck_assert_int_eq(end_body(held, 1), 200);
    wait_for(0, 0);
    ck_assert_int_eq(end_body(begin_body("/echo/b", "a", 0), 1000), 200);
}
END_TEST

/* Law: what was counted is given back, however the request ends. */
START_TEST(a_body_that_never_ends_gives_its_memory_back)
{
    for (int i = 0; i < 10; i++) {
        int body = begin_body("/echo/a", "a", 999);
        wait_for(999, 0);
        close(body);
        wait_for(0, 0);
    }
    int upload = begin_body("/sink", "a", 999);
    wait_for(0, 1);
    close(upload);
    wait_for(0, 0);
}
END_TEST

START_TEST(uploads_are_counted_together_and_by_owner)
{
    int held[UPLOADS];
    held[0] = begin_body("/sink", "a", 500);
    held[1] = begin_body("/sink", "a", 500);
    wait_for(0, 2);
    ck_assert_int_eq(end_body(begin_body("/sink", "a", 0), 1000), 429);
    held[2] = begin_body("/sink", "b", 500);
    held[3] = begin_body("/sink", "c", 500);
    wait_for(0, UPLOADS);
    ck_assert_int_eq(end_body(begin_body("/sink", "d", 0), 1000), 503);
    ck_assert_int_eq(end_body(begin_body("/echo/a", "d", 0), 1000), 200);
    for (size_t i = 0; i < UPLOADS; i++)
        ck_assert_int_eq(end_body(held[i], 500), 201);
    wait_for(0, 0);
    ck_assert_int_eq(end_body(begin_body("/sink", "a", 0), 1000), 201);
}
END_TEST

/* Asks for a long answer and reads the status alone. */
static int begin_answer(int fd, const char *method)
{
    char request[64];
    char line[] = "HTTP/1.1 200";
    (void)snprintf(request, sizeof(request), "%s /long HTTP/1.1\r\nHost: h\r\n\r\n", method);
    client_send_text(fd, request);
    ck_assert_int_eq(recv(fd, line, sizeof(line) - 1, MSG_WAITALL), sizeof(line) - 1);
    return (int)strtol(line + strlen("HTTP/1.1 "), NULL, 10);
}

/* Law: large answers that nobody reads take no more than they may together, and small ones go on.
 */
START_TEST(answers_share_their_memory)
{
    enum { CLIENTS = 20 };
    int held[CLIENTS], refused = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        held[i] = client_connect(server.port);
        int status = begin_answer(held[i], "GET");
        refused += status == 503;
        ck_assert_msg(status == 503 || status == 200, "%d", status);
    }
    ck_assert_int_ge(refused, CLIENTS - ANSWER_MEMORY / LONG_ANSWER);
    int changed = client_connect(server.port);
    ck_assert_int_eq(begin_answer(changed, "POST"), 200);
    close(changed);
    struct reply reply = client_get(server.port, "/json");
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    for (size_t i = 0; i < CLIENTS; i++)
        close(held[i]);
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; refused > 0; usleep(1000)) {
        ck_assert_int_lt(client_now_ms(), end);
        reply = client_get(server.port, "/long");
        refused = reply.status != 200;
        reply_free(&reply);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("budget");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bodies_share_their_memory);
    tcase_add_test(tcase, an_owner_has_half_of_the_memory);
    tcase_add_test(tcase, a_body_that_never_ends_gives_its_memory_back);
    tcase_add_test(tcase, answers_share_their_memory);
    tcase_add_test(tcase, uploads_are_counted_together_and_by_owner);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
