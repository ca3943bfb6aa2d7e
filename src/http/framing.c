/* Checks of a request's header before anything else looks at it.
 *
 * libmicrohttpd accepts Transfer-Encoding together with Content-Length or in HTTP/1.0, two
 * different Content-Lengths, 2^64 - 1 as one that is not known, a space before the colon of a
 * header, none or several Host headers, lines that end in a bare LF, folded lines, and cuts values
 * and targets at a NUL. A proxy in front may read each of these differently (request smuggling), so
 * they are refused and the connection is closed (RFC 9112 sections 2.2, 3.2 and 6.3).
 *
 * How lines ended is seen by where the parts lie: method, target, version, names and values are
 * pointers into the one buffer that the header came in, so between the end of a value and the next
 * name there are two bytes, CR and LF, unless something else was there. The lines of a body in
 * chunks can't be looked at, and libmicrohttpd takes a bare LF there as well, also in an extension:
 * such a request is the last one of its connection, so that nothing in it is read as another.
 */

#include "http_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct framing {
    size_t lengths, encodings, hosts;
    bool bad_name, chunked, bad_host, bad_line, bad_length;
    uintptr_t line_end; /* address behind the last line so far */
};

enum { LINE_END_BYTES = 2 /* CR LF */, HEADER_BYTES_MAX = 16 * 1024 };

/* token of RFC 9110 section 5.6.2 */
static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)
            return false;
    }
    return size > 0;
}

/* A name or an address with an optional port, roughly: what can't be mistaken for something else.
 */
static bool is_host(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)value[i]) && strchr("-._~%!$&'()*+;=:[]", value[i]) == NULL)
            return false;
    }
    return true;
}

static bool has_control(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)value[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return true;
    }
    return false;
}

static enum MHD_Result note_header(void *context, enum MHD_ValueKind kind, const char *key,
                                   size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    struct framing *framing = context;
    if (!is_token(key, key_size))
        framing->bad_name = true;
    if ((uintptr_t)key != framing->line_end || has_control(value, value_size))
        framing->bad_line = true;
    framing->line_end = (uintptr_t)value + value_size + LINE_END_BYTES;
    if (strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0) {
        framing->hosts++;
        framing->bad_host = !is_host(value, value_size);
    }
    if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        framing->lengths++;
        framing->bad_length = strtoull(value, NULL, 10) == UINT64_MAX;
    }
    if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->chunked = value_size == 7 && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

/* One space on either side of the target, and no space or NUL in it. */
static bool line_is_plain(const struct peer *peer, const struct request_line *line)
{
    return (uintptr_t)line->url == (uintptr_t)line->method + strlen(line->method) + 1 &&
           line->url == peer->target &&
           (uintptr_t)line->version == (uintptr_t)line->url + peer->target_bytes + 1;
}

/* Bytes of the header, with the request line. */
static size_t header_bytes(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

static bool check_lines(struct MHD_Connection *connection, const struct request_line *line,
                        const struct framing *framing, struct error *err)
{
    const struct peer *peer = http_peer_of(connection);
    uintptr_t end = (uintptr_t)line->method + header_bytes(connection);
    if (!is_token(line->method, strlen(line->method)) || !line_is_plain(peer, line))
        return FAIL(err, E_SYNTAX, "the request line is not \"METHOD target HTTP/1.1\"");
    if (framing->bad_line || framing->line_end + LINE_END_BYTES != end)
        return FAIL(err, E_SYNTAX,
                    "a line of the header is folded, has a control character in it, or does not "
                    "end in CR LF");
    return true;
}

static bool is_version_1_0(const struct request_line *line)
{
    return strcmp(line->version, MHD_HTTP_VERSION_1_0) == 0;
}

static bool check_host(const struct request_line *line, const struct framing *framing,
                       struct error *err)
{
    if (framing->hosts > 1 || (!is_version_1_0(line) && framing->hosts == 0))
        return FAIL(err, E_SYNTAX, "the request has %zu Host headers; it must have one",
                    framing->hosts);
    return !framing->bad_host || FAIL(err, E_SYNTAX, "the Host header is no host");
}

bool http_check_framing(struct MHD_Connection *connection, const struct request_line *line,
                        struct error *err)
{
    struct framing framing = {.line_end = (uintptr_t)line->version + strlen(line->version) +
                                          LINE_END_BYTES};
    size_t bytes = header_bytes(connection);
    if (bytes > HEADER_BYTES_MAX)
        return FAIL(err, E_HEADER_TOO_LARGE, "the header has %zu bytes; %d are allowed", bytes,
                    HEADER_BYTES_MAX);
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, note_header, &framing);
    if (framing.bad_name)
        return FAIL(err, E_SYNTAX, "a header's name has a character in it that no name has");
    if (framing.lengths > 1)
        return FAIL(err, E_SYNTAX, "the request has %zu Content-Length headers; one is allowed",
                    framing.lengths);
    if (framing.bad_length)
        return FAIL(err, E_SYNTAX, "the Content-Length is as large as any number of 64 bits");
    if (framing.lengths + framing.encodings > 1)
        return FAIL(err, E_SYNTAX,
                    "the request has Transfer-Encoding with another header that gives its length");
    if (framing.encodings == 1 && is_version_1_0(line))
        return FAIL(err, E_SYNTAX, "the request has Transfer-Encoding, which HTTP/1.0 has not");
    if (framing.encodings == 1 && !framing.chunked)
        return FAIL(err, E_SYNTAX, "the only Transfer-Encoding that is supported is chunked");
    return check_lines(connection, line, &framing, err) && check_host(line, &framing, err);
}

/* The host of "http://host:port", as long as `host` is. */
static bool same_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

bool http_is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "OPTIONS") == 0;
}

bool http_check_expectation(struct MHD_Connection *connection, struct error *err)
{
    const char *expected =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    return expected == NULL || strcasecmp(expected, "100-continue") == 0 ||
           FAIL(err, E_EXPECTATION, "\"Expect: %.100s\" is not supported; 100-continue is",
                expected);
}

bool http_check_site(struct MHD_Connection *connection, const char *method, struct error *err)
{
    if (http_is_safe(method))
        return true;
    const char *site = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
    const char *origin =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    bool foreign = (site != NULL && strcmp(site, "cross-site") == 0) ||
                   (origin != NULL && !same_origin(origin, host));
    if (foreign)
        return FAIL(err, E_FORBIDDEN, "a page of another site (%.100s) may not change anything",
                    origin != NULL ? origin : "unknown");
    return true;
}

uint64_t http_content_length(struct MHD_Connection *connection)
{
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                    MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        return UINT64_MAX;
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length == NULL ? 0 : strtoull(length, NULL, 10); /* libmicrohttpd checked the digits */
}
