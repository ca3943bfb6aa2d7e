/* Content coding: answers that are text are sent as gzip to clients that say they take it.
 *
 * Only what lies in memory and is worth it: at least a kilobyte of JSON or text, and not so much
 * that compressing it would hold up the thread (zlib's fastest level does some 100 MB a second).
 * Files are sent as they are. zlib takes its memory from the request's arena.
 */

#include "http_private.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ENCODE_BYTES_MIN = 1024, ENCODE_BYTES_MAX = 4 << 20, GZIP_WINDOW = 15 + 16, MEMORY = 8 };

/* Weight that an Accept-Encoding header gives to a coding; -1 when it does not name it. */
static double weight_of(const char *header, const char *coding)
{
    size_t length = strlen(coding);
    for (const char *at = header; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t element = strcspn(at, ",");
        if (strncasecmp(at, coding, length) == 0 && strchr("; \t,", at[length]) != NULL) {
            const char *weight = memchr(at, '=', element);
            return weight != NULL ? strtod(weight + 1, NULL) : 1;
        }
        at += element;
    }
    return -1;
}

bool http_takes_gzip(const char *header)
{
    if (header == NULL)
        return false;
    double gzip = weight_of(header, "gzip"), any = weight_of(header, "*"),
           identity = weight_of(header, "identity");
    if (gzip < 0)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}

bool http_is_encodable(const struct answer *answer)
{
    static const char *const types[] = {"text/", "application/json", "application/problem+json"};
    if (answer->media_type == NULL || answer->fd >= 0 || answer->source.read != NULL ||
        answer->size < ENCODE_BYTES_MIN || answer->size > ENCODE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strncmp(answer->media_type, types[i], strlen(types[i])) == 0)
            return true;
    }
    return false;
}

static voidpf take(voidpf arena, uInt count, uInt size)
{
    return arena_alloc(arena, (size_t)count * size, NULL);
}

static void give(voidpf arena, voidpf bytes)
{
    (void)arena;
    (void)bytes;
}

/* The answer becomes these bytes. */
static void put_encoded(struct http_request *request, const void *bytes, size_t size)
{
    struct answer *answer = &request->answer;
    answer->bytes = bytes;
    answer->size = size;
    answer->etag = answer->encoded_etag;
    http_add_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

void http_encode(struct http_request *request)
{
    struct answer *answer = &request->answer;
    if (answer->gzip != NULL) {
        put_encoded(request, answer->gzip, answer->gzip_size);
        return;
    }
    z_stream stream = {.zalloc = take, .zfree = give, .opaque = request->arena};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return; /* no memory: it is sent as it is */
    /* What does not get smaller is not worth it. */
    unsigned char *out = arena_alloc(request->arena, answer->size, NULL);
    union {
        const void *constant;
        Bytef *plain;
    } bytes = {.constant = answer->bytes};
    stream.next_in = bytes.plain;
    stream.avail_in = (uInt)answer->size;
    stream.next_out = out;
    stream.avail_out = out != NULL ? (uInt)answer->size : 0;
    if (out != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END)
        put_encoded(request, out, stream.total_out);
    (void)deflateEnd(&stream); /* fails when it is ended early: nothing to free either way */
}
