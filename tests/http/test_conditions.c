/* What a client may make an answer depend on: versions, dates, codings, expectations, and the
 * questions about methods. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static struct small_server server;

static void setup(void)
{
    const struct http_options options = small_server_options();
    small_server_start(&server, &options);
}

static void teardown(void)
{
    small_server_stop(&server);
}

static struct reply get(const char *target, const char *headers)
{
    return client_call(server.port, "GET", target, headers, NULL, 0);
}

/* RFC 9110 section 13.2.2, row by row. /json has the ETag "tag-1", /file also a Last-Modified of
 * Sun, 06 Nov 1994 08:49:37 GMT. */
START_TEST(conditions_decide_the_status)
{
    static const struct {
        const char *target, *headers;
        int status;
    } rows[] = {
        {"/json", "If-None-Match: \"tag-1\"\r\n", 304},
        {"/json", "If-None-Match: W/\"tag-1\", \"x\"\r\n", 304},
        {"/json", "If-None-Match: *\r\n", 304},
        {"/json", "If-None-Match: \"tag-1-gzip\"\r\n", 304},
        {"/json", "If-None-Match: \"tag-2\"\r\n", 200},
        {"/json", "If-Match: \"tag-1\"\r\n", 200},
        {"/json", "If-Match: \"x\", \"tag-1\"\r\n", 200},
        {"/json", "If-Match: *\r\n", 200},
        {"/json", "If-Match: \"tag-2\"\r\n", 412},
        {"/json", "If-Match: W/\"tag-1\"\r\n", 412},
        {"/json", "If-Match: W/\"tag-0\", \"tag-1\"\r\n", 200},
        {"/json", "If-Match: \"W/\", \"tag-1\"\r\n", 200},
        {"/json", "If-Match: \"tag-2\"\r\nIf-None-Match: \"tag-1\"\r\n", 412},
        {"/echo/a", "If-Match: \"tag-1\"\r\n", 412},
        {"/echo/a", "If-Match: *\r\n", 200},
        {"/echo/a", "If-None-Match: *\r\n", 200},
        {"/file", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304},
        {"/file", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304},
        {"/file", "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304},
        {"/file", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200},
        {"/file", "If-Modified-Since: yesterday\r\n", 200},
        {"/file", "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\nIf-None-Match: \"x\"\r\n",
         200},
        {"/file", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200},
        {"/file", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412},
        {"/file", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\nIf-Match: *\r\n", 200},
        {"/file", "If-Unmodified-Since: rubbish\r\n", 200},
        {"/file", "Range: bytes=0-3\r\n", 206},
        {"/file", "Range: bytes=0-3\r\nIf-Range: \"file-1\"\r\n", 206},
        {"/file", "Range: bytes=0-3\r\nIf-Range: \"file-2\"\r\n", 200},
        {"/file", "Range: bytes=0-3\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206},
        {"/file", "Range: bytes=0-3\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 200},
        {"/file", "Range: bytes=0-3\r\nIf-Match: \"file-2\"\r\n", 412},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = get(rows[i].target, rows[i].headers);
        ck_assert_msg(reply.status == rows[i].status, "%s %s: %d", rows[i].target, rows[i].headers,
                      reply.status);
        ck_assert(rows[i].status != 304 || reply.size == 0);
        reply_free(&reply);
        reply = client_call(server.port, "HEAD", rows[i].target, rows[i].headers, NULL, 0);
        ck_assert_int_eq(reply.status, rows[i].status == 206 ? 200 : rows[i].status);
        reply_free(&reply);
    }
}
END_TEST

/* RFC 9110 section 14.2: GET is the only method that has ranges. */
START_TEST(the_head_of_a_file_is_of_the_whole)
{
    static const char *const headers[] = {NULL, "Range: bytes=0-3\r\n", "Range: bytes=99-\r\n"};
    char whole[64], value[64];
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct reply reply = client_call(server.port, "HEAD", "/file", headers[i], NULL, 0);
        ck_assert_int_eq(reply.status, 200);
        ck_assert_ptr_null(reply_header(&reply, "Content-Range", value, sizeof(value)));
        ck_assert_ptr_nonnull(reply_header(&reply, "Content-Length", value, sizeof(value)));
        if (i == 0)
            memcpy(whole, value, sizeof(whole));
        ck_assert_str_eq(value, whole);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(a_file_has_its_date_and_tag)
{
    struct reply reply = get("/file", NULL);
    char value[64];
    ck_assert_str_eq(reply_header(&reply, "Last-Modified", value, sizeof(value)),
                     "Sun, 06 Nov 1994 08:49:37 GMT");
    ck_assert_str_eq(reply_header(&reply, "ETag", value, sizeof(value)), "\"file-1\"");
    reply_free(&reply);
}
END_TEST

/* Law: a change whose condition nobody looks at is not made. */
START_TEST(changes_take_no_conditions)
{
    static const char *const refused[] = {"If-Match: \"tag-1\"\r\n", "If-None-Match: *\r\n",
                                          "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"};
    struct reply reply;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        reply = client_call(server.port, "POST", "/echo/a", refused[i], "x", 1);
        ck_assert_int_eq(reply.status, 412);
        reply_free(&reply);
    }
    reply = client_call(server.port, "POST", "/echo/a", "If-Match: *\r\n", "x", 1);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(options_names_the_methods)
{
    static const struct {
        const char *target, *allow;
        int status;
    } rows[] = {{"/echo/a", "GET, HEAD, POST, OPTIONS", 204},
                {"/sink", "POST, OPTIONS", 204},
                {"*", "GET, HEAD, POST, PATCH, DELETE, OPTIONS", 204},
                {"/nothing", NULL, 404}};
    int fd = client_connect(server.port);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256], allow[64];
        (void)snprintf(request, sizeof(request),
                       "OPTIONS %s HTTP/1.1\r\nHost: h\r\nOrigin: http://other.example\r\n\r\n",
                       rows[i].target);
        client_send_text(fd, request);
        struct reply reply = client_receive(fd, false);
        ck_assert_int_eq(reply.status, rows[i].status);
        const char *found = reply_header(&reply, "Allow", allow, sizeof(allow));
        ck_assert_pstr_eq(found, rows[i].allow);
        ck_assert(rows[i].status != 204 || reply.size == 0);
        reply_free(&reply);
    }
    close(fd);
}
END_TEST

START_TEST(an_expectation_that_is_not_known_is_417)
{
    struct reply reply = client_call(server.port, "POST", "/echo/a", "Expect: fish\r\n", "x", 1);
    ck_assert_int_eq(reply.status, 417);
    reply_free(&reply);
    reply = client_call(server.port, "POST", "/echo/a", "Expect: 100-Continue\r\n", "x", 1);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
}
END_TEST

/* Law: an encoded slash is a part of a name, and everything is decoded exactly once. */
START_TEST(a_path_is_decoded_by_segment)
{
    static const struct {
        const char *target, *body;
    } rows[] = {
        {"/echo/a%2Fb", "a/b|-|"},
        {"/echo/a%2fb", "a/b|-|"},
        {"/echo/%2e%2E", "..|-|"},
        {"/echo/a%252Fb", "a%2Fb|-|"},
        {"/echo/100%25", "100%|-|"},
        {"/%65cho/%61", "a|-|"},
        {"/echo/a%zz%2", "a%zz%2|-|"},
        {"/echo/a%00b", "a%00b|-|"},
        {"/echo/a?name=%2Fb%252F", "a|/b%2F|"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = get(rows[i].target, NULL);
        ck_assert_int_eq(reply.status, 200);
        ck_assert_str_eq(reply.body, rows[i].body);
        reply_free(&reply);
    }
    struct reply reply = get("/echo%2Fa", NULL);
    ck_assert_int_eq(reply.status, 404);
    reply_free(&reply);
}
END_TEST

START_TEST(a_parameter_is_known_has_a_value_and_comes_once)
{
    static const struct {
        const char *target;
        int status;
    } rows[] = {
        {"/echo/a?name=b", 200},         {"/echo/a?", 200},
        {"/echo/a?name=b&name=b", 422},  {"/echo/a?name=b&%6eame=c", 422},
        {"/echo/a?name=b&other=c", 422}, {"/echo/a?name", 422},
        {"/echo/a?name=%ff", 422},       {"/echo/a?Name=b", 422},
        {"/json?name=b", 422},           {"/json?size=20", 200},
        {"/json?size=-1", 422},          {"/json?size=", 422},
        {"/json?size=many", 422},        {"/word?word=abc", 200},
        {"/word?word=abcd", 422},        {"/word", 422},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = get(rows[i].target, NULL);
        ck_assert_msg(reply.status == rows[i].status, "%s: %d", rows[i].target, reply.status);
        reply_free(&reply);
    }
}
END_TEST

START_TEST(a_target_may_name_the_host)
{
    static const struct {
        const char *line;
        int status;
    } rows[] = {
        {"GET http://h:1/echo/a?name=b HTTP/1.1", 200}, {"GET HTTP://H:1/echo/a HTTP/1.1", 200},
        {"GET http://other/echo/a HTTP/1.1", 400},      {"GET http://h:12/echo/a HTTP/1.1", 400},
        {"GET http://h/echo/a HTTP/1.1", 400},          {"GET http://h:1 HTTP/1.1", 404},
        {"GET ftp://h:1/echo/a HTTP/1.1", 404}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request), "%s\r\nHost: h:1\r\n\r\n", rows[i].line);
        int fd = client_connect(server.port);
        client_send_text(fd, request);
        struct reply reply = client_receive(fd, false);
        ck_assert_msg(reply.status == rows[i].status, "%s: %d", rows[i].line, reply.status);
        reply_free(&reply);
        close(fd);
    }
}
END_TEST

/* ---- content coding ---- */

static void ck_assert_inflates_to(const struct reply *reply, size_t size)
{
    static unsigned char text[100 * 1000];
    z_stream stream = {.next_in = (unsigned char *)reply->body,
                       .avail_in = (unsigned)reply->size,
                       .next_out = text,
                       .avail_out = sizeof(text)};
    ck_assert_int_eq(inflateInit2(&stream, 15 + 16), Z_OK);
    ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    ck_assert_uint_eq(stream.total_out, size);
    ck_assert_int_eq(memcmp(text, "{\"text\": \"aaa", 13), 0);
}

START_TEST(json_is_sent_as_gzip_to_who_takes_it)
{
    static const struct {
        const char *accept;
        bool gzip;
    } rows[] = {
        {"gzip", true},
        {"deflate, gzip, br, zstd", true},
        {"GZIP;q=0.5", true},
        {"*", true},
        {"gzip;q=0.5, identity;q=0.5", true},
        {"identity;q=0, *;q=0.1", true},
        {"gzip;q=0", false},
        {"gzip;q=0, *", false},
        {"*;q=0", false},
        {"gzip;q=0.1, identity", false},
        {"deflate, br", false},
        {"xgzip, gzipx", false},
        {"", false},
    };
    enum { SIZE = 50 * 1000 };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char header[128], value[64];
        (void)snprintf(header, sizeof(header), "Accept-Encoding: %s\r\n", rows[i].accept);
        struct reply reply = get("/json?size=50000", header);
        ck_assert_int_eq(reply.status, 200);
        const char *coding = reply_header(&reply, "Content-Encoding", value, sizeof(value));
        ck_assert_msg((coding != NULL) == rows[i].gzip, "%s", rows[i].accept);
        ck_assert_str_eq(reply_header(&reply, "Vary", value, sizeof(value)), "Accept-Encoding");
        ck_assert_str_eq(reply_header(&reply, "ETag", value, sizeof(value)),
                         rows[i].gzip ? "\"tag-1-gzip\"" : "\"tag-1\"");
        if (rows[i].gzip) {
            ck_assert_uint_lt(reply.size, SIZE / 10);
            ck_assert_inflates_to(&reply, SIZE + strlen("{\"text\": \"\"}"));
        } else {
            ck_assert_uint_gt(reply.size, SIZE);
        }
        reply_free(&reply);
    }
}
END_TEST

START_TEST(what_is_small_or_a_file_is_sent_as_it_is)
{
    static const char *const targets[] = {"/json?size=100", "/file", "/echo/a"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char value[64];
        struct reply reply = get(targets[i], "Accept-Encoding: gzip\r\n");
        ck_assert_int_eq(reply.status, 200);
        ck_assert_ptr_null(reply_header(&reply, "Content-Encoding", value, sizeof(value)));
        reply_free(&reply);
    }
}
END_TEST

/* Law: the tag of a version tells its codings apart, and each stands for the version. */
START_TEST(a_304_has_the_tag_of_the_coding)
{
    char value[64];
    struct reply reply =
        get("/json?size=5000", "Accept-Encoding: gzip\r\nIf-None-Match: \"tag-1-gzip\"\r\n");
    ck_assert_int_eq(reply.status, 304);
    ck_assert_str_eq(reply_header(&reply, "ETag", value, sizeof(value)), "\"tag-1-gzip\"");
    reply_free(&reply);
    reply = get("/json?size=5000", "If-None-Match: \"tag-1-gzip\"\r\n");
    ck_assert_int_eq(reply.status, 304);
    ck_assert_str_eq(reply_header(&reply, "ETag", value, sizeof(value)), "\"tag-1\"");
    reply_free(&reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conditions");
    TCase *tcase = tcase_create("conditions");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, conditions_decide_the_status);
    tcase_add_test(tcase, the_head_of_a_file_is_of_the_whole);
    tcase_add_test(tcase, a_file_has_its_date_and_tag);
    tcase_add_test(tcase, changes_take_no_conditions);
    tcase_add_test(tcase, options_names_the_methods);
    tcase_add_test(tcase, an_expectation_that_is_not_known_is_417);
    tcase_add_test(tcase, a_path_is_decoded_by_segment);
    tcase_add_test(tcase, a_parameter_is_known_has_a_value_and_comes_once);
    tcase_add_test(tcase, a_target_may_name_the_host);
    tcase_add_test(tcase, json_is_sent_as_gzip_to_who_takes_it);
    tcase_add_test(tcase, what_is_small_or_a_file_is_sent_as_it_is);
    tcase_add_test(tcase, a_304_has_the_tag_of_the_coding);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
