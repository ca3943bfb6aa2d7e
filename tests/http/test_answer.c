/* Answers under conditions: ranges, entity tags, content negotiation. */

#include "ptqd/http/listen.h"
#include "ptqd/http/server.h"

#include "client.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct http_server *server;
static int port;

static bool send_file(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    char path[] = "/tmp/ptqd-test-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, "0123456789", 10) != 10)
        return FAIL(err, E_IO, "no file");
    unlink(path);
    http_set_etag(request, "v1");
    http_answer_file(request, fd, 10, "application/octet-stream");
    return true;
}

static bool choose(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    int index;
    if (!http_negotiate(request, &index, err))
        return false;
    const char *type = http_media_type(request);
    http_answer(request, 200, type, type, strlen(type), false);
    return true;
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/file", .handle = send_file},
    {.method = "GET",
     .pattern = "/choose",
     .handle = choose,
     .replies = {{200, "JSON", .type = "application/json"},
                 {200, "A table", .type = "text/csv; header=present"},
                 {200, "A text", .type = "text/markdown"},
                 {202, "Later", .type = "image/png"}}},
};
static const struct http_table table = {routes, sizeof(routes) / sizeof(routes[0])};
static const struct http_table *const tables[] = {&table, NULL};

static void problem(struct http_request *request, void *context, const struct error *error)
{
    (void)context;
    int status = error->code == E_NOT_ACCEPTABLE ? 406 : error->code == E_RANGE ? 416 : 500;
    http_answer(request, status, "text/plain", error->message, strlen(error->message), true);
}

static void setup(void)
{
    struct error err = {0};
    struct http_options options = http_default_options;
    ck_assert_ok(http_listen("127.0.0.1", 0, &options.listen_fd, &err), &err);
    port = http_listen_port(options.listen_fd);
    options.tables = tables;
    options.problem = problem;
    ck_assert_ok(http_server_start(&options, &server, &err), &err);
}

static void teardown(void)
{
    http_server_stop(server, 2000);
}

static const struct {
    const char *header;
    int status;
    const char *body, *content_range;
} ranges[] = {
    {"", 200, "0123456789", NULL},
    {"Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=7-\r\n", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=-30\r\n", 206, "0123456789", "bytes 0-9/10"},
    {"Range: bytes=5-100\r\n", 206, "56789", "bytes 5-9/10"},
    {"Range: bytes=10-\r\n", 416, "\"bytes=10-\" is no part of the 10 bytes of /file",
     "bytes */10"},
    {"Range: bytes=-0\r\n", 416, "\"bytes=-0\" is no part of the 10 bytes of /file", "bytes */10"},
    {"Range: bytes=4-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=0-1,3-4\r\n", 200, "0123456789", NULL},
    {"Range: bytes=x-\r\n", 200, "0123456789", NULL},
    {"Range: bytes=99999999999999999999-\r\n", 200, "0123456789", NULL},
    {"Range: lines=1-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=2-4\r\nIf-Range: \"v1\"\r\n", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=2-4\r\nIf-Range: \"v0\"\r\n", 200, "0123456789", NULL},
};

START_TEST(a_range_of_a_file_is_served)
{
    struct reply reply = client_call(port, "GET", "/file", ranges[_i].header, NULL, 0);
    char value[64];
    const char *range = reply_header(&reply, "Content-Range", value, sizeof(value));
    ck_assert_int_eq(reply.status, ranges[_i].status);
    ck_assert_str_eq(reply.body, ranges[_i].body);
    ck_assert_pstr_eq(range, ranges[_i].content_range);
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *header;
    int status;
} conditions[] = {
    {"If-None-Match: \"v1\"\r\n", 304},         {"If-None-Match: W/\"v1\"\r\n", 304},
    {"If-None-Match: \"v0\", \"v1\"\r\n", 304}, {"If-None-Match: *\r\n", 304},
    {"If-None-Match: \"v10\"\r\n", 200},        {"If-None-Match: v1\r\n", 200},
};

START_TEST(a_known_version_is_304)
{
    struct reply reply = client_call(port, "GET", "/file", conditions[_i].header, NULL, 0);
    char value[64];
    ck_assert_int_eq(reply.status, conditions[_i].status);
    ck_assert_str_eq(reply_header(&reply, "ETag", value, sizeof(value)), "\"v1\"");
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *accept;
    int status;
    const char *body;
} accepts[] = {
    {"", 200, "application/json"},
    {"Accept: */*\r\n", 200, "application/json"},
    {"Accept: text/csv\r\n", 200, "text/csv; header=present"},
    {"Accept: text/*\r\n", 200, "text/csv"},
    {"Accept: text/*;q=0.5, text/markdown\r\n", 200, "text/markdown"},
    {"Accept: application/json;q=0, */*\r\n", 200, "text/csv"},
    {"Accept: text/html, application/json;q=0.1\r\n", 200, "application/json"},
    {"Accept: image/png\r\n", 406, "application/json, text/csv, text/markdown"},
};

START_TEST(the_accept_header_chooses_the_media_type)
{
    struct reply reply = client_call(port, "GET", "/choose", accepts[_i].accept, NULL, 0);
    ck_assert_int_eq(reply.status, accepts[_i].status);
    ck_assert_msg(support_contains(reply.body, accepts[_i].body), "%s", reply.body);
    reply_free(&reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answer");
    TCase *tcase = tcase_create("answer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_range_of_a_file_is_served, 0,
                        (int)(sizeof(ranges) / sizeof(ranges[0])));
    tcase_add_loop_test(tcase, a_known_version_is_304, 0,
                        (int)(sizeof(conditions) / sizeof(conditions[0])));
    tcase_add_loop_test(tcase, the_accept_header_chooses_the_media_type, 0,
                        (int)(sizeof(accepts) / sizeof(accepts[0])));
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
