/* The pool of blocking routes: in which order requests that wait are taken. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS_MAX = 160 };

static struct small_server server;

/* Who was served, in order; the first one is held until the test opens the gate. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static char served[REQUESTS_MAX + 1];
static size_t served_count;

static bool serve(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    pthread_mutex_lock(&lock);
    served[served_count++] = http_owner(request)[0];
    while (!open_gate)
        pthread_cond_wait(&opened, &lock);
    pthread_mutex_unlock(&lock);
    http_answer(request, 200, "text/plain", "done", 4, false);
    return true;
}

static bool name_owner(struct http_request *request, void *context, int access, struct error *err)
{
    (void)context;
    (void)access;
    (void)err;
    const char *owner = http_header(request, "From");
    http_set_owner(request, owner != NULL ? owner : "", 1);
    return true;
}

static void setup(void)
{
    static const struct http_route route = {
        .method = "GET", .pattern = "/serve", .handle = serve, .blocking = true};
    static const struct http_table table = {&route, 1};
    static const struct http_table *const tables[] = {&table, NULL};
    struct http_options options = small_server_options();
    options.tables = tables;
    options.authorize = name_owner;
    options.blocking_threads = 1;
    small_server_start(&server, &options);
}

static void teardown(void)
{
    small_server_stop(&server);
}

static int ask_as(char owner)
{
    char request[128];
    (void)snprintf(request, sizeof(request), "GET /serve HTTP/1.1\r\nHost: h\r\nFrom: %c\r\n\r\n",
                   owner);
    int fd = client_connect(server.port);
    client_send_text(fd, request);
    return fd;
}

static void wait_for_suspended(uint64_t count)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         http_server_stats(server.http).suspended != count; usleep(1000))
        ck_assert_int_lt(client_now_ms(), end);
}

/* Asks for one, which holds the thread until the gate is open. */
static int hold_as(char owner)
{
    int fd = ask_as(owner);
    size_t count = 0;
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; count == 0; usleep(1000)) {
        ck_assert_int_lt(client_now_ms(), end);
        pthread_mutex_lock(&lock);
        count = served_count;
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

static void open_it(void)
{
    pthread_mutex_lock(&lock);
    open_gate = true;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&lock);
}

/* Sends requests of owners in this order and returns in which they were served. */
static const char *order_of(const char *owners)
{
    int held[REQUESTS_MAX];
    size_t count = strlen(owners);
    for (size_t i = 0; i < count; i++) {
        held[i] = i == 0 ? hold_as(owners[i]) : ask_as(owners[i]);
        wait_for_suspended(i + 1);
    }
    open_it();
    for (size_t i = 0; i < count; i++) {
        struct reply reply = client_receive(held[i], false);
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
        close(held[i]);
    }
    return served;
}

START_TEST(requests_of_one_owner_keep_their_order)
{
    ck_assert_str_eq(order_of("aaaa"), "aaaa");
}
END_TEST

/* Law: who asks for much at once waits behind those who ask for little. */
START_TEST(owners_take_turns)
{
    ck_assert_str_eq(order_of("aaaaaaabbbc"), "aabcababaaa");
}
END_TEST

/* Law: one owner leaves places to wait for those of others. */
START_TEST(an_owner_has_no_more_waiting_than_its_share)
{
    enum { SHARE = 128, RUNNING = 1 };
    int held[RUNNING + SHARE];
    for (size_t i = 0; i < RUNNING + SHARE; i++)
        held[i] = i == 0 ? hold_as('a') : ask_as('a');
    wait_for_suspended(RUNNING + SHARE);
    struct reply reply = client_call(server.port, "GET", "/serve", "From: a\r\n", NULL, 0);
    ck_assert_int_eq(reply.status, 429);
    ck_assert_msg(support_contains(reply.body, "128 requests of this kind of \"a\""), "%s",
                  reply.body);
    reply_free(&reply);
    int other = ask_as('b');
    wait_for_suspended(RUNNING + SHARE + 1);
    open_it();
    reply = client_receive(other, false);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    close(other);
    for (size_t i = 0; i < RUNNING + SHARE; i++)
        close(held[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blocking");
    TCase *tcase = tcase_create("blocking");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, requests_of_one_owner_keep_their_order);
    tcase_add_test(tcase, owners_take_turns);
    tcase_add_test(tcase, an_owner_has_no_more_waiting_than_its_share);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
