/* Checks of a request's header before anything else looks at it.
 *
 * libmicrohttpd accepts Transfer-Encoding together with Content-Length, two different
 * Content-Lengths, and a space before the colon of a header. A proxy in front may read each of
 * these differently (request smuggling), so they are refused and the connection is closed
 * (RFC 9112 section 6.3).
 */

#include "http_private.h"

#include <stdlib.h>
#include <string.h>

struct framing {
    size_t lengths, encodings;
    bool bad_name, chunked;
};

static enum MHD_Result note_header(void *context, enum MHD_ValueKind kind, const char *key,
                                   size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    struct framing *framing = context;
    if (key_size == 0 || memchr(key, ' ', key_size) != NULL || memchr(key, '\t', key_size) != NULL)
        framing->bad_name = true;
    if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        framing->lengths++;
    if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->chunked = value_size == 7 && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

bool http_check_framing(struct MHD_Connection *connection, struct error *err)
{
    struct framing framing = {0};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, note_header, &framing);
    if (framing.bad_name)
        return FAIL(err, E_SYNTAX, "a header's name has a space in it");
    if (framing.lengths > 1)
        return FAIL(err, E_SYNTAX, "the request has %zu Content-Length headers; one is allowed",
                    framing.lengths);
    if (framing.lengths + framing.encodings > 1)
        return FAIL(err, E_SYNTAX,
                    "the request has Transfer-Encoding with another header that gives its length");
    if (framing.encodings == 1 && !framing.chunked)
        return FAIL(err, E_SYNTAX, "the only Transfer-Encoding that is supported is chunked");
    return true;
}

/* The host of "http://host:port", as long as `host` is. */
static bool same_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

bool http_check_site(struct MHD_Connection *connection, const char *method, struct error *err)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
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
