/* Answers that go on: bytes are sent as they come, in between the connection is suspended.
 *
 * libmicrohttpd asks for more when it has sent what it was given. A source that has nothing has
 * suspended the request before it says so, and whoever resumes it makes libmicrohttpd ask again. A
 * client that takes nothing is not asked for; its connection is cut by the deadline that was set
 * with the last bytes. One that has closed its side is noticed by the sweeper; one that has
 * vanished without a word when something is sent, so a source sends something from time to time.
 */

#include "http_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, PENDING_BYTES_MAX = 4 << 20 };

void http_answer_stream(struct http_request *request, const char *media_type,
                        const struct http_source *source)
{
    struct answer *answer = &request->answer;
    answer->status = MHD_HTTP_OK;
    answer->media_type = media_type;
    answer->source = *source;
    text_init(&request->pending, PENDING_BYTES_MAX);
    http_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    http_add_header(request, "X-Accel-Buffering", "no"); /* of a proxy: nginx */
}

/* Nothing more is wanted: the server stops, or the connection was cut. */
static bool must_end(struct http_request *request)
{
    pthread_mutex_lock(&request->server->lock);
    bool end = request->server->stopping || request->peer->cut;
    pthread_mutex_unlock(&request->server->lock);
    return end;
}

/* Asks the source; false when nothing is to be sent now. */
static bool refill(struct http_request *request)
{
    const struct http_source *source = &request->answer.source;
    struct error err = {.message = ""};
    request->pending.length = request->pending_sent = 0;
    if (!source->read(request, source->context, &request->pending)) {
        request->stream_over = true;
    } else if (!text_check(&request->pending, &err)) {
        log_failure("http", request->path, &err);
        request->stream_over = true;
    }
    return request->pending.length > 0;
}

static ssize_t on_read(void *context, uint64_t position, char *bytes, size_t size)
{
    (void)position;
    struct http_request *request = context;
    size_t left = request->pending.length - request->pending_sent;
    if (left == 0) {
        if (request->stream_over || must_end(request))
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!refill(request))
            return request->stream_over ? MHD_CONTENT_READER_END_OF_STREAM : 0;
        left = request->pending.length;
        http_set_deadline(request, http_transfer_deadline(request->server, clock_ms(), left));
    }
    size_t count = left < size ? left : size;
    memcpy(bytes, request->pending.bytes + request->pending_sent, count);
    request->pending_sent += count;
    return (ssize_t)count;
}

/* To a HEAD libmicrohttpd sends no chunks, but the empty one that ends them, which would be the
 * start of the next answer: so there are none, and the connection closes. */
struct MHD_Response *http_stream_response(struct http_request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, request, NULL);
    if (response != NULL && strcmp(request->method, "HEAD") == 0)
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}
