/* Requests that two programs may read differently, byte by byte: what a proxy in front and this
 * server disagree on is what request smuggling is made of. Each is refused and its connection is
 * closed, so that nothing behind it is read as a request. */

#include "client.h"
#include "small_server.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct raw {
    const char *bytes;
    size_t size;
};

#define RAW(text)                                                                                  \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define HOST      "Host: h\r\n"
#define GET_ECHO  "GET /echo/a HTTP/1.1\r\n"
#define POST_ECHO "POST /echo/a HTTP/1.1\r\n" HOST
#define SMUGGLED  "GET /echo/smuggled HTTP/1.1\r\n" HOST "\r\n"

static const struct raw ambiguous[] = {
    /* two lengths */
    RAW(POST_ECHO "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 3, 3\r\n\r\nabc" SMUGGLED),
    /* lengths that are no numbers */
    RAW(POST_ECHO "Content-Length: -5\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Content-Length: +3\r\n\r\nabc" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 0x3\r\n\r\nabc" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 3 4\r\n\r\nabc" SMUGGLED),
    RAW(POST_ECHO "Content-Length: \r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 18446744073709551615\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Content-Length: 3\0 4\r\n\r\nabc" SMUGGLED),
    /* encodings that are not plainly chunked */
    RAW(POST_ECHO "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding:\x0b"
                  "chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    RAW(POST_ECHO "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\nabc" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW("POST /echo/a HTTP/1.0\r\nConnection: keep-alive\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), /* RFC 9112 section 6.1 */
    RAW(POST_ECHO " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "X: a\r\n\tb\r\nY: c\r\n\r\n" SMUGGLED),
    /* chunk sizes that are none */
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n" SMUGGLED),
    /* names of headers */
    RAW(GET_ECHO HOST "X : b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST ": b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST "X(y): b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST "no colon\r\n\r\n" SMUGGLED),
    /* ends of lines, and bytes that end a string in C */
    RAW("GET /echo/a HTTP/1.1\nHost: h\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: h\nX: b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: h\nX: b\n\n" SMUGGLED),
    RAW(GET_ECHO HOST "X: b\n\n" SMUGGLED),
    RAW(GET_ECHO HOST "X: b\r\n\n" SMUGGLED),
    RAW(GET_ECHO HOST "X: a\rb\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST "X: a\0b\r\nY: c\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST "X: a\0b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO HOST "X\0Y: b\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: h\0evil\r\n\r\n" SMUGGLED),
    RAW("GET /echo/a\0b HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    RAW("GET /echo/a%20b\0?name=c HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    /* the request line */
    RAW("GET  /echo/a HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    RAW("GET /echo/a  HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    RAW("GET /echo/a b HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    RAW("G@T /echo/a HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
    RAW("GET /echo/a HTTP/1.1 \r\n" HOST "\r\n" SMUGGLED),
    RAW("GET /echo/a\r\n" HOST "\r\n" SMUGGLED),
    /* whom it is for */
    RAW(GET_ECHO "\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: localhost\r\nHost: evil.example\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: a\r\nhost: a\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: localhost, evil.example\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: localhost/evil\r\n\r\n" SMUGGLED),
    RAW(GET_ECHO "Host: evil@localhost\r\n\r\n" SMUGGLED),
    RAW("GET /echo/a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
};
enum { AMBIGUOUS = sizeof(ambiguous) / sizeof(ambiguous[0]) };

/* Law: 400, the connection closes, and what stands behind the request is not answered. */
START_TEST(an_ambiguous_request_is_400_and_closes)
{
    int fd = client_connect(server.port);
    client_send(fd, ambiguous[_i].bytes, ambiguous[_i].size);
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == 400, "%s: %d", ambiguous[_i].bytes, reply.status);
    ck_assert_msg(!support_contains(reply.body, "smuggled"), "%s", reply.body);
    reply_free(&reply);
    ck_assert_int_ge(client_wait_closed(fd), 0);
    close(fd);
}
END_TEST

static const struct raw lenient[] = {
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n3;\nabc\r\n0\r\n\r\n" SMUGGLED),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: a\n\n" SMUGGLED),
    RAW("GET /json HTTP/1.1\r\n" HOST "If-Match: \"other\"\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\n\n" SMUGGLED),
    RAW("POST /nothing HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\n\n" SMUGGLED),
};
enum { LENIENT = sizeof(lenient) / sizeof(lenient[0]) };

/* Law: where the lines of chunks end may be read in two ways, so nothing behind them is. */
START_TEST(nothing_behind_a_body_in_chunks_is_a_request)
{
    int fd = client_connect(server.port);
    client_send(fd, lenient[_i].bytes, lenient[_i].size);
    struct reply reply = client_receive(fd, false);
    ck_assert_int_ne(reply.status, 0);
    reply_free(&reply);
    reply = client_receive(fd, false);
    ck_assert_msg(reply.status == 0, "%s", reply.body);
    reply_free(&reply);
    close(fd);
}
END_TEST

static const struct raw plain[] = {
    RAW(GET_ECHO HOST "\r\n"),
    RAW("GET /echo/a?name=b%20c HTTP/1.1\r\n" HOST "\r\n"),
    RAW("\r\n" GET_ECHO HOST "\r\n"), /* RFC 9112 section 2.2 */
    RAW(GET_ECHO HOST "X: b  \r\nY:c\r\nEmpty:\r\nSpaces:   \r\nTab:\ta\tb\r\n\r\n"),
    RAW(GET_ECHO HOST "Cookie: a=b; c=\"d\"\r\nX-UTF-8: \xc3\xa4\r\n\r\n"),
    RAW(GET_ECHO "Host: [::1]:8470\r\n\r\n"),
    RAW(GET_ECHO "Host:\r\n\r\n"), /* RFC 9112 section 3.2: for a target without authority */
    RAW("GET /echo/a HTTP/1.0\r\n\r\n"),
    RAW(POST_ECHO "Content-Length: 3\r\n\r\nabc"),
    RAW(POST_ECHO "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: a\r\n\r\n"),
    RAW(POST_ECHO "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
};
enum { PLAIN = sizeof(plain) / sizeof(plain[0]) };

/* Law: the checks refuse nothing that is allowed. */
START_TEST(a_plain_request_is_answered)
{
    int fd = client_connect(server.port);
    client_send(fd, plain[_i].bytes, plain[_i].size);
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == 200, "%s: %d %s", plain[_i].bytes, reply.status, reply.body);
    reply_free(&reply);
    close(fd);
}
END_TEST

/* The header is read in pieces into a buffer that grows meanwhile. */
START_TEST(a_large_header_in_pieces_is_answered)
{
    enum { LINES = 120, LINE_BYTES = 120 };
    int fd = client_connect(server.port);
    client_send_text(fd, GET_ECHO HOST);
    for (int i = 0; i < LINES; i++) {
        char line[LINE_BYTES + 64];
        int head = snprintf(line, sizeof(line), "X-%d: ", i);
        memset(line + head, 'a', LINE_BYTES);
        memcpy(line + head + LINE_BYTES, "\r\n", 3);
        client_send_text(fd, line);
        if (i % 20 == 0)
            usleep(2000); /* not a wait: so that it comes in pieces */
    }
    client_send_text(fd, "\r\n");
    struct reply reply = client_receive(fd, false);
    ck_assert_msg(reply.status == 200, "%d %s", reply.status, reply.body);
    reply_free(&reply);
    close(fd);
}
END_TEST

START_TEST(requests_in_one_packet_are_answered_in_order)
{
    int fd = client_connect(server.port);
    client_send_text(fd, "GET /echo/one HTTP/1.1\r\n" HOST "\r\n"
                         "POST /echo/two HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                         "GET /echo/three HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    char all[4096] = "";
    size_t used = 0;
    ssize_t got;
    while ((got = read(fd, all + used, sizeof(all) - 1 - used)) > 0)
        used += (size_t)got;
    all[used] = '\0';
    const char *one = strstr(all, "one|-|");
    const char *two = strstr(all, "two|-|abc");
    const char *three = strstr(all, "three|-|");
    ck_assert(one != NULL && two != NULL && three != NULL && one < two && two < three);
    close(fd);
}
END_TEST

/* Requests without a body that wait for leave to send it. */
static const char *const expectant[] = {
    GET_ECHO HOST "Expect: 100-continue\r\n\r\n",
    POST_ECHO "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    "GET /park?ms=1 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", /* waits */
};
enum { EXPECTANT = sizeof(expectant) / sizeof(expectant[0]) };

/* Law: what comes behind it is not taken for its body. */
START_TEST(who_waits_for_leave_to_send_nothing_is_answered)
{
    for (int followed = 0; followed < 2; followed++) {
        int fd = client_connect(server.port);
        char both[512];
        (void)snprintf(both, sizeof(both), "%s%s", expectant[_i],
                       followed ? GET_ECHO HOST "\r\n" : "");
        client_send_text(fd, both);
        struct reply reply = client_receive(fd, false);
        ck_assert_msg(reply.status == 200, "%s: %d", both, reply.status);
        reply_free(&reply);
        close(fd);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("framing");
    TCase *tcase = tcase_create("framing");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, an_ambiguous_request_is_400_and_closes, 0, AMBIGUOUS);
    tcase_add_loop_test(tcase, nothing_behind_a_body_in_chunks_is_a_request, 0, LENIENT);
    tcase_add_loop_test(tcase, a_plain_request_is_answered, 0, PLAIN);
    tcase_add_test(tcase, a_large_header_in_pieces_is_answered);
    tcase_add_test(tcase, requests_in_one_packet_are_answered_in_order);
    tcase_add_loop_test(tcase, who_waits_for_leave_to_send_nothing_is_answered, 0, EXPECTANT);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
