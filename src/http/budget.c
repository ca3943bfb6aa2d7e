/* What requests may take together: memory of the bodies that are collected, the number of those
 * that stream to a sink, each of which holds a file open, and memory of the answers on the way.
 *
 * Memory of bodies is counted as received; a text that grows may hold twice that for a moment. One
 * owner has half of it: who sends slowly, or stops, would keep all others from submitting. An
 * answer keeps all that it was made of until it is sent, and who reads slowly may take hours: so
 * large ones are counted. As many of them are made at once as there are threads. What has changed
 * something is answered in any case: who is told to try again would do it twice.
 */

#include "http_private.h"

#include <string.h>

/* `before`: bytes of all others. */
static bool fits_share(struct http_request *request, uint64_t before, size_t bytes,
                       struct error *err)
{
    uint64_t share = request->server->options.body_memory_bytes / 2;
    if (before + bytes <= share)
        return true;
    uint64_t own = http_peer_body_bytes(request);
    return own + bytes <= share ||
           FAIL(err, E_LIMIT, "the bodies of \"%s\" take %llu bytes; one may have %llu",
                request->owner, (unsigned long long)own, (unsigned long long)share);
}

static bool fits_all(const struct http_server *server, uint64_t before, size_t bytes,
                     struct error *err)
{
    uint64_t limit = server->options.body_memory_bytes;
    return before + bytes <= limit ||
           FAIL(err, E_UNAVAILABLE,
                "the bodies of other requests take %llu of %llu bytes; try again later",
                (unsigned long long)before, (unsigned long long)limit);
}

bool http_budget_body(struct http_request *request, size_t bytes, struct error *err)
{
    struct http_server *server = request->server;
    uint64_t before = atomic_fetch_add(&server->body_bytes, bytes);
    if (!fits_all(server, before, bytes, err) || !fits_share(request, before, bytes, err)) {
        atomic_fetch_sub(&server->body_bytes, bytes);
        return false;
    }
    atomic_fetch_add(&request->peer->body_bytes, bytes);
    return true;
}

bool http_budget_answer(struct http_request *request, struct error *err)
{
    enum { SMALL_BYTES = 1 << 20 };
    struct http_server *server = request->server;
    const struct answer *answer = &request->answer;
    uint64_t limit = server->options.answer_memory_bytes;
    size_t bytes = arena_used(request->arena);
    if (answer->fd < 0 && answer->size > bytes)
        bytes = answer->size; /* from elsewhere: kept for others, too */
    if (bytes < SMALL_BYTES)
        return true;
    uint64_t before = atomic_fetch_add(&server->answer_bytes, bytes);
    bool fits = before + bytes <= limit || !http_is_safe(request->method); /* that is done */
    if (!fits) {
        atomic_fetch_sub(&server->answer_bytes, bytes);
        return FAIL(err, E_UNAVAILABLE,
                    "the answer takes %zu bytes, those that are being sent %llu of %llu; try again "
                    "later",
                    bytes, (unsigned long long)before, (unsigned long long)limit);
    }
    request->answer_bytes = bytes;
    return true;
}

bool http_budget_upload(struct http_request *request, struct error *err)
{
    struct http_server *server = request->server;
    const struct http_options *options = &server->options;
    unsigned all = 0, own = 0;
    pthread_mutex_lock(&server->lock);
    for (struct http_request *other = server->uploads; other != NULL; other = other->next_upload) {
        all++;
        own += strcmp(other->owner, request->owner) == 0;
    }
    bool ok = all < options->uploads &&
              (options->uploads_per_owner == 0 || own < options->uploads_per_owner);
    if (ok) {
        request->uploads = true;
        request->previous_upload = NULL;
        request->next_upload = server->uploads;
        if (server->uploads != NULL)
            server->uploads->previous_upload = request;
        server->uploads = request;
    }
    pthread_mutex_unlock(&server->lock);
    if (ok)
        return true;
    if (all >= options->uploads)
        return FAIL(err, E_UNAVAILABLE, "%u uploads are under way, as many as there may be", all);
    return FAIL(err, E_LIMIT, "\"%s\" has %u uploads under way, as many as one may have",
                request->owner, own);
}

void http_budget_release(struct http_request *request)
{
    struct http_server *server = request->server;
    atomic_fetch_sub(&server->body_bytes, atomic_exchange(&request->peer->body_bytes, 0));
    atomic_fetch_sub(&server->answer_bytes, request->answer_bytes);
    request->answer_bytes = 0;
    if (!request->uploads)
        return;
    pthread_mutex_lock(&server->lock);
    if (request->previous_upload != NULL)
        request->previous_upload->next_upload = request->next_upload;
    else
        server->uploads = request->next_upload;
    if (request->next_upload != NULL)
        request->next_upload->previous_upload = request->previous_upload;
    pthread_mutex_unlock(&server->lock);
    request->uploads = false;
}
