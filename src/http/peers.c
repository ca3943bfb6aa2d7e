/* The connections: one list of all for the sweeper, and one of those that are idle, the longest
 * idle first.
 *
 * A connection is idle when no request is under way on it, also while its header is still coming,
 * and while a body is dropped that was refused, or an answer is sent to somebody unknown: a few
 * bytes a second would keep such a request under way. When a client comes and all places are taken,
 * the one that has been idle longest is cut for it: clients that hold connections open, by mistake
 * or on purpose, keep nobody out. Only when requests are under way on all of them is the new one
 * refused, and no owner may have so many: what it asks beyond its share is refused, which leaves
 * the connection idle. libmicrohttpd's own limit would not do: it is one for each of its threads,
 * and it drops the new client, never an old one.
 *
 * A connection that was cut counts no more, though its thread may take a moment to close it. It
 * leaves the lists under the lock in the CLOSED notification, before its descriptor can be used
 * again.
 */

#include "http_private.h"

#include "ptqd/base/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

static void idle_append(struct http_server *server, struct peer *peer)
{
    peer->idle = true;
    peer->next_idle = NULL;
    peer->previous_idle = server->idle_last;
    if (server->idle_last != NULL)
        server->idle_last->next_idle = peer;
    else
        server->idle_first = peer;
    server->idle_last = peer;
}

static void idle_remove(struct http_server *server, struct peer *peer)
{
    if (!peer->idle)
        return;
    peer->idle = false;
    if (peer->previous_idle != NULL)
        peer->previous_idle->next_idle = peer->next_idle;
    else
        server->idle_first = peer->next_idle;
    if (peer->next_idle != NULL)
        peer->next_idle->previous_idle = peer->previous_idle;
    else
        server->idle_last = peer->previous_idle;
}

void http_peer_cut(struct http_server *server, struct peer *peer)
{
    if (peer->cut)
        return;
    (void)shutdown(peer->fd, SHUT_RDWR); /* fails when the client was faster */
    peer->cut = true;
    peer->deadline_ms = 0;
    idle_remove(server, peer);
    server->peer_count--;
}

/* Makes a place for the newest peer, which is at the end of the idle ones. */
static void keep_limit(struct http_server *server, struct peer *newest)
{
    if (server->peer_count <= server->options.connections)
        return;
    struct peer *oldest = server->idle_first;
    atomic_fetch_add(oldest == newest ? &server->turned_away : &server->evicted, 1);
    http_peer_cut(server, oldest); /* who notices finds it counted */
}

/* NULL when memory is out: the request is then refused. */
static struct peer *peer_create(struct http_server *server, int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        return NULL;
    peer->server = server;
    peer->fd = fd;
    peer->deadline_ms = clock_ms() + server->options.header_timeout_ms;
    pthread_mutex_lock(&server->lock);
    peer->next = server->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    server->peers = peer;
    server->peer_count++;
    idle_append(server, peer);
    keep_limit(server, peer);
    pthread_mutex_unlock(&server->lock);
    return peer;
}

static void peer_destroy(struct http_server *server, struct peer *peer)
{
    if (peer == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        server->peers = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    idle_remove(server, peer);
    if (!peer->cut)
        server->peer_count--;
    pthread_mutex_unlock(&server->lock);
    free(peer);
}

void http_on_connection(void *context, struct MHD_Connection *connection, void **slot,
                        enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        peer_destroy(context, *slot);
        *slot = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *slot = peer_create(context, info->connect_fd);
}

struct peer *http_peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

bool http_peer_begin(struct http_request *request, int64_t deadline_ms)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    bool begins = !server->closing;
    if (begins) {
        atomic_fetch_add(&server->active, 1);
        if (!request->peer->cut)
            request->peer->deadline_ms = deadline_ms;
    }
    pthread_mutex_unlock(&server->lock);
    return begins;
}

/* Those that requests of the owner keep. */
static unsigned count_of(const struct http_server *server, uint64_t owner)
{
    unsigned count = 0;
    for (const struct peer *peer = server->peers; peer != NULL; peer = peer->next)
        count += peer->owner == owner && !peer->cut;
    return count;
}

/* They are counted only when there are enough of all: mostly there are not. */
bool http_peer_busy(struct http_request *request, struct error *err)
{
    struct http_server *server = request->server;
    unsigned limit = server->options.connections_per_owner;
    uint64_t owner = request->owner[0] != '\0' ? text_hash(request->owner) : 0;
    bool limited = limit > 0 && owner != 0;
    pthread_mutex_lock(&server->lock);
    bool fits = !limited || server->peer_count <= limit || count_of(server, owner) < limit;
    if (fits) {
        idle_remove(server, request->peer);
        request->peer->owner = owner;
    }
    pthread_mutex_unlock(&server->lock);
    return fits || FAIL(err, E_LIMIT, "\"%s\" has %u requests under way, as many as one may have",
                        request->owner, limit);
}

uint64_t http_peer_body_bytes(struct http_request *request)
{
    struct http_server *server = request->server;
    uint64_t bytes = 0;
    pthread_mutex_lock(&server->lock);
    uint64_t owner = request->peer->owner;
    for (struct peer *peer = owner != 0 ? server->peers : NULL; peer != NULL; peer = peer->next)
        bytes += peer->owner == owner ? atomic_load(&peer->body_bytes) : 0;
    pthread_mutex_unlock(&server->lock);
    return bytes;
}

void http_peer_idle(struct http_request *request, int64_t deadline_ms)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    request->peer->owner = 0;
    if (!request->peer->cut) {
        request->peer->deadline_ms = deadline_ms;
        idle_remove(server, request->peer); /* it may be further in front */
        idle_append(server, request->peer);
    }
    pthread_mutex_unlock(&server->lock);
}

void http_set_deadline(struct http_request *request, int64_t deadline_ms)
{
    pthread_mutex_lock(&request->server->lock);
    request->peer->deadline_ms = deadline_ms;
    pthread_mutex_unlock(&request->server->lock);
}
