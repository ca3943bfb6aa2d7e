/* The sweeper: one thread that looks at every connection and every suspended request a few times a
 * second.
 *
 * libmicrohttpd's own timeout counts from the last byte, so that one byte a second keeps a
 * connection for ever. Here each connection has a deadline for what it is doing: delivering a
 * header, a body (a grace plus its bytes at a slowest rate), or taking an answer. Past it the
 * socket is shut down, and libmicrohttpd closes the connection.
 */

#include "http_private.h"

#include "ptqd/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { TICK_MS = 100, LOOK_FOR_GONE_TICKS = 5 };

int64_t http_transfer_deadline(const struct http_server *server, int64_t start_ms, uint64_t bytes)
{
    return start_ms + server->options.slow_grace_ms +
           (int64_t)(bytes / server->options.slow_bytes_per_second) * 1000;
}

/* Takes a request off the list; the lock is held. */
static void unlink_suspended(struct http_request *request)
{
    struct http_server *server = request->server;
    if (request->previous_suspended != NULL)
        request->previous_suspended->next_suspended = request->next_suspended;
    else
        server->suspended = request->next_suspended;
    if (request->next_suspended != NULL)
        request->next_suspended->previous_suspended = request->previous_suspended;
    request->suspended = false;
    server->suspended_count--;
}

/* Puts a request on the list; the lock is held. */
static void suspend(struct http_request *request, int64_t timeout_ms)
{
    struct http_server *server = request->server;
    request->peer->deadline_ms = 0;
    request->deadline_ms = timeout_ms >= 0 ? clock_ms() + timeout_ms : 0;
    request->suspended = true;
    request->previous_suspended = NULL;
    request->next_suspended = server->suspended;
    if (server->suspended != NULL)
        server->suspended->previous_suspended = request;
    server->suspended = request;
    server->suspended_count++;
    MHD_suspend_connection(request->connection);
}

void http_suspend(struct http_request *request, http_handler *next, int64_t timeout_ms)
{
    struct http_server *server = request->server;
    if (next != NULL) { /* not in the middle of an answer */
        request->phase = PHASE_WAITING;
        request->next = next;
    }
    request->waited |= timeout_ms >= 0;
    pthread_mutex_lock(&server->lock);
    suspend(request, timeout_ms);
    pthread_mutex_unlock(&server->lock);
}

bool http_hold(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    bool held = !server->closing;
    if (held)
        suspend(request, HTTP_NO_TIMEOUT);
    pthread_mutex_unlock(&server->lock);
    return held;
}

/* The lock is not held while the HTTP thread is woken: it soon wants the lock, and goes before the
 * thread that writes. Once awake it may end the request, and the server may be told to stop. */
void http_resume(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    bool suspended = request->suspended;
    if (suspended) {
        unlink_suspended(request);
        atomic_fetch_add(&server->resuming, 1);
    }
    pthread_mutex_unlock(&server->lock);
    if (suspended) {
        MHD_resume_connection(request->connection);
        atomic_fetch_sub(&server->resuming, 1);
    }
}

/* True when the client has closed its side: nobody waits for the answer any more. (A client that
 * only ends its sending gets no answer that it must wait for.) */
static bool has_gone(const struct http_request *request)
{
    struct pollfd event = {.fd = request->peer->fd, .events = POLLRDHUP};
    return poll(&event, 1, 0) > 0;
}

/* Clients that vanish while they wait hold neither a place nor what is counted. Only requests with
 * a timeout may be woken at any moment. */
static void cut_gone(struct http_server *server)
{
    for (struct http_request *request = server->suspended; request != NULL;
         request = request->next_suspended) {
        if (request->deadline_ms != 0 && !request->peer->cut && has_gone(request)) {
            http_peer_cut(server, request->peer);
            request->deadline_ms = 1; /* long past */
        }
    }
}

static void sweep(struct http_server *server)
{
    int64_t now = clock_ms();
    if (server->ticks++ % LOOK_FOR_GONE_TICKS == 0)
        cut_gone(server);
    for (struct peer *peer = server->peers; peer != NULL; peer = peer->next) {
        bool due = server->closing || (peer->deadline_ms != 0 && peer->deadline_ms <= now);
        if (peer->cut || !due)
            continue;
        http_peer_cut(server, peer);
        atomic_fetch_add(&server->cut, 1);
    }
    struct http_request *next;
    for (struct http_request *request = server->suspended; request != NULL; request = next) {
        next = request->next_suspended;
        if (request->deadline_ms == 0 || (request->deadline_ms > now && !server->stopping))
            continue;
        unlink_suspended(request);
        MHD_resume_connection(request->connection);
    }
}

static void *sweeper_main(void *context)
{
    struct http_server *server = context;
    pthread_mutex_lock(&server->lock);
    while (!server->sweeper_end) {
        sweep(server);
        const struct timespec until = clock_after_ms(TICK_MS);
        (void)pthread_cond_timedwait(&server->tick, &server->lock, &until); /* early is fine */
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

bool http_sweeper_start(struct http_server *server, struct error *err)
{
    int status = pthread_create(&server->sweeper, NULL, sweeper_main, server);
    if (status != 0)
        return FAIL(err, E_UNAVAILABLE, "can't start a thread: %s", strerror(status));
    return true;
}

void http_sweeper_stop(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->sweeper_end = true;
    pthread_cond_signal(&server->tick);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->sweeper, NULL);
}
