/* Changes requests the way clients differ: another route of the table with its parameters filled
 * in, headers that are put in, doubled or removed, a length that fits the body again. Every other
 * input is changed byte by byte, as libFuzzer does by itself. */

#include "ptqd/api/api.h"
#include "ptqd/base/rng.h"
#include "ptqd/http/route.h"

#include <stdio.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed);

static const char *const values[] = {"j1",   "j1-v000-s0", "model.onnx",
                                     "j2",   "sha256:00",  "x%2Fy",
                                     "..",   "%00",        "j18446744073709551616",
                                     "a%25b"};
static const char *const queries[] = {"",           "?limit=1",       "?limit=0",
                                      "?wait=0",    "?cursor=0.0",    "?state=failed",
                                      "?label=a=b", "?text=J%25",     "?name=%c3%a4",
                                      "?x",         "?wait=0&wait=1", "?scale=0.1&zero_point=3"};
static const char *const headers[] = {
    "Host: localhost\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
    "Range: bytes=0-1\r\n",
    "Range: bytes=-1,5-\r\n",
    "If-Range: \"x\"\r\n",
    "If-Match: *\r\n",
    "If-None-Match: \"a\", W/\"b\"\r\n",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    "Accept: text/markdown;q=0.5, text/csv, */*;q=0.1\r\n",
    "Accept: text/plain\r\n",
    "Accept-Encoding: gzip;q=1, *;q=0\r\n",
    "Authorization: Bearer x\r\n",
    "Idempotency-Key: k\r\n",
    "Content-Type: application/json\r\n",
    "Content-Type: multipart/form-data; boundary=b\r\n",
    "Origin: http://localhost\r\n",
    "Sec-Fetch-Site: cross-site\r\n",
    "Last-Event-ID: 1\r\n",
    "X: a\r\n b\r\n",
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *any(struct rng *rng, const char *const *table, size_t count)
{
    return table[rng_below(rng, count)];
}

/* A request line of a route; its length. */
static size_t print_line(struct rng *rng, char *out, size_t size)
{
    size_t count = 0;
    while (http_route_at(api_tables(), count) != NULL)
        count++;
    const struct http_route *route = http_route_at(api_tables(), rng_below(rng, count));
    static const char *const methods[] = {"HEAD", "OPTIONS", "PUT"};
    bool own = rng_below(rng, 4) != 0;
    size_t used =
        (size_t)snprintf(out, size, "%s ", own ? route->method : any(rng, methods, COUNT(methods)));
    for (const char *at = route->pattern; *at != '\0';) {
        size_t plain = strcspn(at, "{");
        bool more = at[plain] == '{';
        used += (size_t)snprintf(out + used, size - used, "%.*s%s", (int)plain, at,
                                 more ? any(rng, values, COUNT(values)) : "");
        at += plain;
        at += more ? strcspn(at, "}") + 1 : 0;
    }
    used += (size_t)snprintf(out + used, size - used, "%s HTTP/1.1\r\n",
                             any(rng, queries, COUNT(queries)));
    return used;
}

/* Puts `count` bytes in place of bytes[at … at + removed); the new size, or the old one when there
 * is no room. */
static size_t splice(uint8_t *bytes, size_t size, size_t max_size, size_t at, size_t removed,
                     const char *with, size_t count)
{
    if (size - removed + count > max_size)
        return size;
    memmove(bytes + at + count, bytes + at + removed, size - at - removed);
    memcpy(bytes + at, with, count);
    return size - removed + count;
}

static size_t line_end(const uint8_t *bytes, size_t size, size_t at)
{
    const uint8_t *end = at < size ? memchr(bytes + at, '\n', size - at) : NULL;
    return end != NULL ? (size_t)(end - bytes) + 1 : size;
}

/* The length in the first Content-Length becomes that of what stands behind the header. */
static size_t fit_length(uint8_t *bytes, size_t size, size_t max_size)
{
    static const char name[] = "Content-Length: ";
    const uint8_t *end = memmem(bytes, size, "\r\n\r\n", 4);
    const uint8_t *found = memmem(bytes, size, name, sizeof(name) - 1);
    if (end == NULL || found == NULL || found > end)
        return size;
    size_t at = (size_t)(found - bytes) + sizeof(name) - 1;
    char text[32];
    int length = snprintf(text, sizeof(text), "%zu\r\n", (size_t)(bytes + size - end) - 4);
    return splice(bytes, size, max_size, at, line_end(bytes, size, at) - at, text, (size_t)length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed)
{
    struct rng rng;
    char text[1024];
    rng_init(&rng, seed, 1);
    size_t second = line_end(bytes, size, 0);
    switch (rng_below(&rng, 10)) {
    case 0:
    case 1:
        return splice(bytes, size, max_size, 0, second, text, print_line(&rng, text, sizeof(text)));
    case 2: {
        const char *header = any(&rng, headers, COUNT(headers));
        return splice(bytes, size, max_size, second, 0, header, strlen(header));
    }
    case 3: /* the first header goes */
        return splice(bytes, size, max_size, second, line_end(bytes, size, second) - second, "", 0);
    case 4:
        return fit_length(bytes, size, max_size);
    default:
        return LLVMFuzzerMutate(bytes, size, max_size);
    }
}
