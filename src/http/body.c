/* The body of a request, as it comes: collected in memory, or streamed to a sink.
 *
 * A sink may wait for a disk, and would hold up every other connection of the HTTP thread. So the
 * bytes gather in a part of fixed size; when it is full, and at the end, a thread of a pool of its
 * own gives it to the sink while the connection is suspended: nothing more is read from the client,
 * which is held up by its own upload alone.
 *
 * libmicrohttpd goes on calling with the next chunks of a chunked body that it has already read,
 * although the connection was suspended in between; they are left unread, and come again.
 */

#include "http_private.h"

#include "ptqd/base/clock.h"

#include <string.h>

enum { PART_BYTES = 128 << 10 };

bool http_is_answered(const struct http_request *request)
{
    return request->match.route != NULL && request->phase == PHASE_READING &&
           request->answer.status != 0;
}

bool http_fail_size(const struct http_request *request, uint64_t size, struct error *err)
{
    return FAIL(err, E_TOO_LARGE, "the body has %s%llu bytes; %llu are allowed here",
                size > request->received ? "" : "at least ", (unsigned long long)size,
                (unsigned long long)request->body_limit);
}

void http_refuse(struct http_request *request, const struct error *error)
{
    request->refused = true;
    request->error = *error;
    request->part_size = 0;
    http_destroy_state(request);
    text_finish(&request->body);
    text_init(&request->body, 0);
    http_budget_release(request);
}

/* The time that the server took is not the client's. */
static void set_deadline(struct http_request *request)
{
    http_set_deadline(request, http_transfer_deadline(request->server,
                                                      request->started_ms + request->held_ms,
                                                      request->received));
}

/* True when the client may send these bytes as well; else they are dropped. */
static bool admit(struct http_request *request, size_t size)
{
    struct error err = {0};
    request->received += size;
    atomic_fetch_add(&request->server->received_bytes, size);
    set_deadline(request);
    if (request->refused || http_is_answered(request))
        return false;
    if (request->received > request->body_limit)
        http_fail_size(request, request->received, &err);
    else if (request->sink.write != NULL || http_budget_body(request, size, &err))
        return true;
    http_refuse(request, &err);
    return false;
}

static void collect(struct http_request *request, const char *bytes, size_t size)
{
    struct error err = {0};
    text_append(&request->body, bytes, size);
    if (!text_check(&request->body, &err))
        http_refuse(request, &err);
}

/* ---- streaming ---- */

/* On a thread of the pool. */
static bool give_part(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    return request->sink.write(request->sink.context, request->part, request->part_size, err);
}

/* False when the server does not wait for it any more. */
static bool send_part(struct http_request *request)
{
    request->held_since_ms = clock_ms();
    if (!http_hold(request))
        return false;
    http_pool_add(&request->server->writers, request, give_part);
    return true;
}

/* The part is written, or the sink has failed. */
static void take_back(struct http_request *request)
{
    if (request->pooled == NULL)
        return;
    request->pooled = NULL;
    request->part_size = 0;
    request->held_ms += clock_ms() - request->held_since_ms;
    set_deadline(request);
    if (request->pool_failed)
        http_refuse(request, &request->error);
}

/* There is room for the bytes. */
static void fill_part(struct http_request *request, const char *bytes, size_t size)
{
    struct error err = {0};
    if (request->part == NULL)
        request->part = arena_alloc(request->arena, PART_BYTES, &err);
    if (request->part == NULL) {
        http_refuse(request, &err);
        return;
    }
    memcpy(request->part + request->part_size, bytes, size);
    request->part_size += size;
}

static bool is_suspended(const struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED);
    return info != NULL && info->suspended == MHD_YES;
}

/* ---- as libmicrohttpd calls ---- */

enum MHD_Result http_take_body(struct http_request *request, const char *bytes, size_t *size)
{
    if (is_suspended(request))
        return MHD_YES;
    take_back(request);
    size_t room = request->sink.write != NULL ? PART_BYTES - request->part_size : *size;
    size_t count = *size < room ? *size : room;
    bool admitted = admit(request, count);
    *size -= count;
    if (!admitted) /* a sender that does not stop is cut */
        return request->received <= request->server->options.swallow_bytes + request->body_limit
                   ? MHD_YES
                   : MHD_NO;
    if (request->sink.write == NULL)
        collect(request, bytes, count);
    else
        fill_part(request, bytes, count);
    return request->part_size < PART_BYTES || send_part(request) ? MHD_YES : MHD_NO;
}

enum MHD_Result http_end_body(struct http_request *request, bool *out_whole)
{
    take_back(request);
    *out_whole = request->part_size == 0;
    return *out_whole || send_part(request) ? MHD_YES : MHD_NO;
}
