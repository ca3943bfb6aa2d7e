#pragma once

/* The HTTP server: libmicrohttpd with its own epoll threads, and what it does not do by itself.
 *
 *   accepting one thread deals the connections out to the HTTP threads
 *   framing   what two programs may read differently is 400: two lengths or Hosts, no Host, NULs,
 *             lines that do not end in CRLF, folded lines
 *   places    when all connections are taken, the one that is idle longest makes place
 *   size      a Content-Length above the limit is 413 before a byte of the body is read; a chunked
 *             body is swallowed up to a hard cap, then 413; beyond the cap the connection is cut
 *   budget    collected bodies have a common limit of memory, streamed ones a common number
 *   slowness  one sweeper thread cuts connections that deliver a header too late, a body too
 *             slowly, or take an answer too slowly
 *   sinks     streamed bodies are taken by threads of their own: a slow disk holds up uploads alone
 *   waiting   handlers that wait suspend their connection; blocking routes run on a small pool
 *   stopping  no new connections, waiting requests are woken, running ones are answered
 */

#include "ptqd/base/durations.h"
#include "ptqd/base/error.h"
#include "ptqd/http/route.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;
struct http_tls;

struct http_options {
    int listen_fd;        /* does not block; belongs to the server after a successful start */
    struct http_tls *tls; /* borrowed; NULL: without TLS */
    const struct http_table *const *tables; /* NULL-terminated, borrowed */
    void *context;                          /* borrowed; of every callback and handler */

    /* Fills the answer for an error: status, problem document, headers. */
    void (*problem)(struct http_request *request, void *context, const struct error *error);
    /* Decides whether the request may use a route of this `access`, and names its owner. NULL:
     * anybody may. */
    bool (*authorize)(struct http_request *request, void *context, int access, struct error *err);

    unsigned threads;               /* HTTP threads */
    unsigned blocking_threads;      /* of the pool for blocking routes */
    unsigned sink_threads;          /* of the pool that gives bodies to their sinks */
    unsigned connections;           /* at once; the longest idle makes place for a new one */
    unsigned connections_per_ip;    /* 0: no limit */
    unsigned connections_per_owner; /* with a request of the owner under way; 0: no limit */
    unsigned idle_timeout_seconds;  /* of a kept-alive connection */
    unsigned header_timeout_ms;     /* until a request's header is complete */
    unsigned slow_grace_ms;         /* a body or answer may take this long … */
    unsigned slow_bytes_per_second; /* … plus its bytes at this rate */
    uint64_t body_bytes;            /* collected bodies */
    uint64_t body_memory_bytes;     /* collected bodies of all requests together */
    uint64_t answer_memory_bytes;   /* large answers that are being sent, together */
    unsigned uploads;               /* bodies that stream to a sink at the same time */
    unsigned uploads_per_owner;     /* 0: no limit */
    uint64_t swallow_bytes; /* what is read and dropped of a body that is too large or refused */
    size_t arena_bytes;     /* ceiling of a request's memory */
};

/* Defaults for everything but the callbacks and the descriptor. */
extern const struct http_options http_default_options;

bool http_server_start(const struct http_options *options, struct http_server **out_server,
                       struct error *err);
/* Stops accepting, wakes and answers what is there, cuts what is not done after `drain_ms`, joins
 * the threads, frees the server. Whoever resumes suspended requests must still be alive. */
void http_server_stop(struct http_server *server, unsigned drain_ms);

/* Kinds of requests by what their time depends on. */
enum http_kind {
    HTTP_READ,   /* GET, HEAD */
    HTTP_CHANGE, /* all others: from the header on, so with the client's sending of the body */
    HTTP_WAIT,   /* those that waited for something to happen */
    HTTP_KINDS
};

struct http_stats {
    uint64_t requests;                     /* answered so far */
    uint64_t by_class[6];                  /* [2]: 2xx … */
    uint64_t active, suspended;            /* now */
    uint64_t connections;                  /* now */
    uint64_t cut;                          /* connections that were too slow */
    uint64_t evicted;                      /* idle connections that made place for new ones */
    uint64_t uploads;                      /* bodies that stream to a sink, now */
    uint64_t body_bytes;                   /* collected bodies, now */
    uint64_t turned_away;                  /* new connections for which there was no place */
    uint64_t received_bytes, sent_bytes;   /* of bodies */
    struct durations *latency[HTTP_KINDS]; /* from header to answer; borrowed from the server */
};
struct http_stats http_server_stats(struct http_server *server);
