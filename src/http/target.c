/* The target of a request (RFC 9112 section 3.2): how it is decoded, and its forms.
 *
 * The path is decoded segment by segment: "%2F" is a part of a name, not the end of one. So while
 * routes are matched "%2F" and "%25" stay as they came, and a parameter's value is decoded to the
 * end when a handler asks for it. "%00" always stays: it then is no name of anything.
 */

#include "http_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void *http_on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    (void)context;
    struct peer *peer = http_peer_of(connection);
    if (peer != NULL) {
        peer->target = target;
        peer->target_bytes = 0;
        while ((unsigned char)target[peer->target_bytes] > ' ')
            peer->target_bytes++;
    }
    return NULL;
}

/* The byte of "%XX", or -1 when it is none. */
static int escaped_byte(const char *at)
{
    if (at[0] != '%' || !isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2]))
        return -1;
    const char digits[3] = {at[1], at[2], '\0'};
    return (int)strtol(digits, NULL, 16);
}

/* Decodes in place the bytes that are in the list, or all but those in the list; never NUL. */
static size_t decode(char *string, const char *list, bool listed)
{
    char *out = string;
    for (const char *in = string; *in != '\0'; in++) {
        int byte = escaped_byte(in);
        if (byte > 0 && (strchr(list, byte) != NULL) == listed) {
            *out++ = (char)byte;
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return (size_t)(out - string);
}

size_t http_on_unescape(void *context, struct MHD_Connection *connection, char *string)
{
    (void)context;
    const struct peer *peer = http_peer_of(connection);
    bool path = peer != NULL && string == peer->target;
    return decode(string, path ? "/%" : "", false);
}

void http_decode_segment(char *segment)
{
    (void)decode(segment, "/%", true);
}

/* Bytes of "http://" or "https://" at the start; 0 when there is none. */
static size_t scheme_bytes(const char *url)
{
    if (strncasecmp(url, "http://", 7) == 0)
        return 7;
    return strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
}

bool http_origin_form(struct MHD_Connection *connection, const char *url, const char **out_path,
                      struct error *err)
{
    size_t scheme = scheme_bytes(url);
    if (scheme == 0) {
        *out_path = url;
        return true;
    }
    const char *authority = url + scheme;
    size_t length = strcspn(authority, "/");
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (host != NULL && (strlen(host) != length || strncasecmp(host, authority, length) != 0))
        return FAIL(err, E_SYNTAX, "the target is for \"%.*s\", the Host header for \"%.100s\"",
                    (int)(length < 100 ? length : 100), authority, host);
    *out_path = authority[length] != '\0' ? authority + length : "/";
    return true;
}
