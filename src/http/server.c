/* Starting and stopping the server. */

#include "http_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    /* Bounds the chunks of a body, and a header that is far above our own limit: then libmicrohttpd
     * answers, with a page. All of it is overwritten after each request. */
    CONNECTION_MEMORY_BYTES = 32 * 1024,
    DRAIN_STEP_MS = 5,
};

const struct http_options http_default_options = {
    .listen_fd = -1,
    .threads = 4,
    .blocking_threads = 2,
    .sink_threads = 4,
    .connections = 1024,
    .connections_per_ip = 0,
    .idle_timeout_seconds = 60,
    .header_timeout_ms = 15 * 1000,
    .slow_grace_ms = 30 * 1000,
    .slow_bytes_per_second = 4096,
    .body_bytes = 1 << 20,
    .body_memory_bytes = 64 << 20,
    .answer_memory_bytes = 512 << 20,
    .uploads = 64,
    .swallow_bytes = 8 << 20,
    .arena_bytes = (size_t)256 << 20,
};

__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list arguments)
{
    (void)context;
    char line[512];
    (void)vsnprintf(line, sizeof(line), format, arguments); /* a long line may be cut */
    line[strcspn(line, "\n")] = '\0';
    log_write(LOG_DEBUG, "http", "%s", line);
}

/* Without these libmicrohttpd takes TLS 1.0. */
static const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

/* Options with two arguments don't fit into an array of options. */
#define COMMON_OPTIONS                                                                             \
    MHD_OPTION_EXTERNAL_LOGGER, on_log, server, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed,    \
        server, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, server,                          \
        MHD_OPTION_UNESCAPE_CALLBACK, http_on_unescape, server, MHD_OPTION_URI_LOG_CALLBACK,       \
        http_on_target, server

/* The limit is kept in peers.c. libmicrohttpd divides its own by the threads: every thread must be
 * able to hold all connections, and those that are cut but not yet closed. */
static int daemon_limit(const struct http_options *options)
{
    return (int)((options->connections * 2 + 64) * options->threads);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_options *options = &server->options;
    const struct MHD_OptionItem items[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, options->threads, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, daemon_limit(options), NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->connections_per_ip, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_seconds, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
                     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (options->tls == NULL)
        return MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, server, COMMON_OPTIONS,
                                MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    return MHD_start_daemon(flags | MHD_USE_TLS, 0, NULL, NULL, http_on_request, server,
                            COMMON_OPTIONS, MHD_OPTION_ARRAY, items, MHD_OPTION_HTTPS_PRIORITIES,
                            tls_priorities, MHD_OPTION_HTTPS_CERT_CALLBACK2, http_tls_retrieve,
                            MHD_OPTION_END);
}

static bool start_parts(struct http_server *server, struct error *err)
{
    if (!http_sweeper_start(server, err))
        return false;
    if (!http_pool_start(&server->pool, server->options.blocking_threads, err))
        goto no_pool;
    if (!http_pool_start(&server->writers, server->options.sink_threads, err))
        goto no_writers;
    server->daemon = start_daemon(server);
    if (server->daemon == NULL) {
        FAIL(err, E_UNAVAILABLE, "the HTTP server does not start");
        goto no_daemon;
    }
    if (http_acceptor_start(server, err))
        return true;
    MHD_stop_daemon(server->daemon);
no_daemon:
    http_pool_stop(&server->writers);
no_writers:
    http_pool_stop(&server->pool);
no_pool:
    http_sweeper_stop(server);
    return false;
}

static void destroy_server(struct http_server *server)
{
    http_pool_finish(&server->writers);
    http_pool_finish(&server->pool);
    http_arenas_finish(&server->arenas);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->tick);
    free(server);
}

bool http_server_start(const struct http_options *options, struct http_server **out_server,
                       struct error *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return FAIL(err, E_MEMORY, "no memory for the HTTP server");
    server->options = *options;
    uint64_t first_id;
    if (getrandom(&first_id, sizeof(first_id), GRND_NONBLOCK) != (ssize_t)sizeof(first_id))
        first_id = (uint64_t)time(NULL) << 32; /* early at boot; ids need not be secret */
    atomic_store(&server->last_id, first_id);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->tick, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    http_pool_init(&server->pool);
    http_pool_init(&server->writers);
    http_arenas_init(&server->arenas);
    if (!start_parts(server, err)) {
        destroy_server(server);
        return false;
    }
    *out_server = server;
    return true;
}

/* Waits until nothing is active, at most until `deadline_ms`; a negative one is none. */
static void wait_for_requests(struct http_server *server, int64_t deadline_ms)
{
    const struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000};
    while (atomic_load(&server->active) > 0 || atomic_load(&server->resuming) > 0) {
        if (deadline_ms >= 0 && clock_ms() >= deadline_ms)
            return;
        nanosleep(&step, NULL);
    }
}

/* Notes it, and lets the sweeper act on it now. */
static void set_state(struct http_server *server, bool *state)
{
    pthread_mutex_lock(&server->lock);
    *state = true;
    pthread_cond_signal(&server->tick);
    pthread_mutex_unlock(&server->lock);
}

/* libmicrohttpd aborts the process when it is stopped with a suspended connection: before that, no
 * request may begin any more, and those that have begun must have ended. */
void http_server_stop(struct http_server *server, unsigned drain_ms)
{
    if (server == NULL)
        return;
    http_acceptor_stop(server);
    set_state(server, &server->stopping);
    wait_for_requests(server, clock_ms() + drain_ms);
    set_state(server, &server->closing);
    wait_for_requests(server, -1);
    MHD_stop_daemon(server->daemon);
    http_pool_stop(&server->writers);
    http_pool_stop(&server->pool);
    http_sweeper_stop(server);
    destroy_server(server);
}

struct http_stats http_server_stats(struct http_server *server)
{
    struct http_stats stats = {.active = atomic_load(&server->active),
                               .cut = atomic_load(&server->cut),
                               .evicted = atomic_load(&server->evicted),
                               .body_bytes = atomic_load(&server->body_bytes),
                               .turned_away = atomic_load(&server->turned_away)};
    for (size_t i = 0; i < 6; i++) {
        stats.by_class[i] = atomic_load(&server->by_class[i]);
        stats.requests += stats.by_class[i];
    }
    stats.received_bytes = atomic_load(&server->received_bytes);
    stats.sent_bytes = atomic_load(&server->sent_bytes);
    for (size_t i = 0; i < HTTP_KINDS; i++)
        stats.latency[i] = &server->latency[i];
    pthread_mutex_lock(&server->lock);
    stats.suspended = server->suspended_count;
    stats.connections = server->peer_count;
    for (struct http_request *upload = server->uploads; upload != NULL;
         upload = upload->next_upload)
        stats.uploads++;
    pthread_mutex_unlock(&server->lock);
    return stats;
}
