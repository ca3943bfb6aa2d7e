/* Ids of requests: what a client sends as X-Request-Id comes back, and is in every log line about
 * its request; who sends none, or one that could be taken for something else in a log, gets one. */

#include "http_private.h"

#include "ptqd/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_usable(const char *id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t length = strlen(id);
    return length > 0 && length < HTTP_ID_BYTES && strspn(id, allowed) == length;
}

/* The bijection of splitmix64: ids of one server never repeat, and look unrelated. */
static uint64_t scramble(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

void http_take_id(struct http_request *request)
{
    char own[17];
    const char *id = http_header(request, "X-Request-Id");
    if (id == NULL || !is_usable(id)) {
        (void)snprintf(own, sizeof(own), "%016" PRIx64,
                       scramble(atomic_fetch_add(&request->server->last_id, 1)));
        id = own;
    }
    (void)snprintf(request->log_context, sizeof(request->log_context), HTTP_LOG_KEY "%s", id);
    request->id = request->log_context + strlen(HTTP_LOG_KEY);
}

const char *http_request_id(const struct http_request *request)
{
    return request->id;
}

void http_log_begin(const struct http_request *request)
{
    log_set_context(request->log_context);
}

void http_log_end(void)
{
    log_set_context(NULL);
}
