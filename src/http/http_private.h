#pragma once

/* What the files of this room share: the server, a connection, a request.
 *
 * Threads: a request is touched by the HTTP thread of its connection, and by a pool thread while
 * the connection is suspended. `server->lock` guards the lists: connections, idle connections,
 * suspended requests.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/text.h"
#include "ptqd/http/server.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum { ANSWER_HEADERS_MAX = 16, HTTP_ID_BYTES = 65 };
#define HTTP_LOG_KEY "request="

/* One accepted connection. */
struct peer {
    struct http_server *server;
    int fd;
    int64_t deadline_ms;      /* the sweeper cuts it then; 0: never */
    bool idle;                /* no request keeps its place: in the list of idle ones */
    bool cut;                 /* its socket was shut down */
    uint64_t owner;           /* hash of whose request is under way; 0: nobody's */
    atomic_size_t body_bytes; /* of the budget of bodies, its request's */
    struct peer *previous, *next;
    struct peer *previous_idle, *next_idle;
    /* Of the newest request, as it came; only used by the connection's own thread. */
    const char *target;
    size_t target_bytes;
};

struct answer {
    int status; /* 0: none yet */
    const char *media_type;
    const void *bytes;
    size_t size;
    const void *gzip; /* the same bytes, compressed beforehand; NULL: when they are sent */
    size_t gzip_size;
    int fd; /* -1: from memory */
    uint64_t file_size;
    bool ranges;               /* a part of the file may be asked for */
    struct http_source source; /* read NULL: the whole answer is known */
    const char *etag;          /* with quotes; NULL: none */
    const char *encoded_etag;  /* of the same answer as gzip */
    int64_t modified;          /* Unix seconds; 0: not known */
    size_t header_count;
    struct {
        const char *name, *value;
    } headers[ANSWER_HEADERS_MAX];
};

enum phase {
    PHASE_READING, /* the body comes */
    PHASE_WAITING, /* suspended; `next` continues */
    PHASE_SENT,    /* the answer is with libmicrohttpd */
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct peer *peer;
    struct arena *arena;
    const char *method, *path;
    char log_context[sizeof(HTTP_LOG_KEY) - 1 + HTTP_ID_BYTES];
    const char *id; /* X-Request-Id, the client's or ours: the end of `log_context` */
    struct http_match match;
    int reply; /* index in the row of what is answered */
    const char *owner;
    int role;
    enum phase phase;

    struct http_sink sink; /* write NULL: collect in `body` */
    struct text body;
    char *part; /* what a thread gives to the sink when it is full; NULL before the first */
    size_t part_size;
    int64_t held_since_ms, held_ms; /* held_ms: in which the client had to wait for the sink */
    uint64_t body_limit, received;
    int64_t started_ms, started_us;
    bool waited;  /* for something to happen: its time says nothing of the server */
    bool refused; /* the rest of the body is dropped, then `error` is the answer */
    struct error error;

    size_t answer_bytes; /* of the budget of answers */
    bool uploads;        /* in the server's list */
    struct http_request *previous_upload, *next_upload;

    void *state;
    void (*destroy_state)(void *state);
    struct answer answer;
    struct text pending; /* of a stream: what the source gave */
    size_t pending_sent;
    bool stream_over; /* the source has ended */

    http_handler *next;
    bool suspended;      /* in the server's list */
    int64_t deadline_ms; /* of the suspension; 0: none */
    struct http_request *previous_suspended, *next_suspended;

    http_handler *pooled; /* on a pool, or waiting for it; else NULL */
    bool pool_failed;
    uint64_t owner_turn; /* when a thread of it last took one of the owner's; 0: not known */
    struct http_request *next_pooled;
};

struct http_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct http_request *first; /* waiting for a thread, in the order of coming */
    struct http_request **end;  /* where the next one is put */
    size_t waiting;
    uint64_t turns; /* requests that a thread has taken */
    bool stopping;
    pthread_t *threads;
    unsigned thread_count;
};

enum { HTTP_SPARE_ARENAS = 64 };

struct http_arenas {
    pthread_mutex_t lock;
    size_t count;
    struct arena *spare[HTTP_SPARE_ARENAS];
};

struct http_server {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct http_pool pool, writers; /* writers: give bodies to their sinks */
    struct http_arenas arenas;

    pthread_mutex_t lock;
    pthread_cond_t tick; /* wakes the sweeper early */
    struct peer *peers;
    struct peer *idle_first, *idle_last;
    size_t peer_count; /* those that were not cut */
    struct http_request *suspended;
    uint64_t suspended_count;
    struct http_request *uploads; /* whose body goes to a sink */
    bool stopping;                /* waiting requests are woken at once */
    bool closing;                 /* no request begins, no body is held, all connections are cut */
    bool sweeper_end;             /* the sweeper returns */
    unsigned ticks;               /* of the sweeper */
    pthread_t sweeper;
    pthread_t acceptor;
    int acceptor_end; /* an event: the acceptor returns */

    atomic_uint_least64_t resuming; /* taken off the list of suspended ones, but still so */
    atomic_uint_least64_t active, cut, evicted, turned_away, body_bytes, answer_bytes, by_class[6];
    atomic_uint_least64_t last_id; /* of requests whose client gave none; starts at random */
    atomic_uint_least64_t received_bytes, sent_bytes; /* of bodies */
    struct durations latency[HTTP_KINDS];
};

/* exchange.c: callbacks of libmicrohttpd. */
enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **slot);
void http_on_completed(void *context, struct MHD_Connection *connection, void **slot,
                       enum MHD_RequestTerminationCode reason);

/* Calls what http_set_state was given, once. */
void http_destroy_state(struct http_request *request);

/* arenas.c */
void http_arenas_init(struct http_arenas *arenas);
void http_arenas_finish(struct http_arenas *arenas);
/* NULL when memory is out. */
struct arena *http_arena_take(struct http_server *server);
/* Takes back what http_arena_take gave; NULL is fine. */
void http_arena_give(struct http_server *server, struct arena *arena);
/* Takes a new arena for what is left to do with the request: its state, the answer and what it took
 * are gone. With no memory for one the old one stays. */
void http_arena_change(struct http_request *request);

/* body.c */
/* True when `begin` has answered: the body is not wanted. */
bool http_is_answered(const struct http_request *request);
/* E_TOO_LARGE for a body of (at least) this size. */
bool http_fail_size(const struct http_request *request, uint64_t size, struct error *err);
/* Remembers why, frees what was taken for the request, and drops what still comes. */
void http_refuse(struct http_request *request, const struct error *error);
/* The next bytes of the body; reduces `size` by those that were taken. The rest comes again.
 * MHD_NO: the connection is to be cut. */
enum MHD_Result http_take_body(struct http_request *request, const char *bytes, size_t *size);
/* The body has ended; `*out_whole` false: it will be called again when the sink has it all. */
enum MHD_Result http_end_body(struct http_request *request, bool *out_whole);

/* target.c: notes the target of a request before it is decoded, and decodes its parts. */
void *http_on_target(void *context, const char *target, struct MHD_Connection *connection);
size_t http_on_unescape(void *context, struct MHD_Connection *connection, char *string);
/* The rest of the decoding of one segment of the path, in place. */
void http_decode_segment(char *segment);
/* The path of "http://host/path"; E_SYNTAX when the host is not the one of the Host header. */
bool http_origin_form(struct MHD_Connection *connection, const char *url, const char **out_path,
                      struct error *err);

/* framing.c */
/* A request's line, as libmicrohttpd hands it out: pointers into one buffer. */
struct request_line {
    const char *method, *url, *version;
};
/* E_HEADER_TOO_LARGE; E_SYNTAX for a header that two programs may read differently; E_FORBIDDEN for
 * a change that a page of another site asks for. */
bool http_check_framing(struct MHD_Connection *connection, const struct request_line *line,
                        struct error *err);
bool http_check_site(struct MHD_Connection *connection, const char *method, struct error *err);
/* E_EXPECTATION for an Expect header that is not "100-continue". */
bool http_check_expectation(struct MHD_Connection *connection, struct error *err);
/* True for a method that changes nothing. */
bool http_is_safe(const char *method);
/* Content-Length, or UINT64_MAX when it is not known (chunked), 0 when there is no body. */
uint64_t http_content_length(struct MHD_Connection *connection);

/* request_id.c: gives a request its id, and the log lines of this thread, until it ends. */
void http_take_id(struct http_request *request);
void http_log_begin(const struct http_request *request);
void http_log_end(void);

/* answer.c: hands the answer to libmicrohttpd. */
enum MHD_Result http_send(struct http_request *request);

/* stream.c */
struct MHD_Response *http_stream_response(struct http_request *request);

/* query.c: E_INVALID unless the query string is what the route's row says. */
bool http_check_query(struct http_request *request, struct error *err);

/* range.c */
enum http_range { HTTP_RANGE_WHOLE, HTTP_RANGE_PART, HTTP_RANGE_UNSATISFIABLE };
enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *out_first,
                                 uint64_t *out_count);
/* True when the list of an If-None-Match header has the quoted tag, or is "*". In that of If-Match
 * (`strong`) one that is marked as weak is never the same (RFC 9110 section 8.8.3.2). */
bool http_tag_listed(const char *header, const char *quoted_tag, bool strong);
/* Quality (0 to 1) that an Accept header gives to a media type. */
double http_accept_quality(const char *header, const char *type);

/* budget.c: E_UNAVAILABLE or E_LIMIT when others take it all. */
bool http_budget_answer(struct http_request *request, struct error *err);
bool http_budget_body(struct http_request *request, size_t bytes, struct error *err);
bool http_budget_upload(struct http_request *request, struct error *err);
void http_budget_release(struct http_request *request);

/* conditions.c: what the conditions of a GET make of its answer. */
enum http_condition { HTTP_CONDITION_HOLDS, HTTP_CONDITION_KNOWN, HTTP_CONDITION_FAILED };
enum http_condition http_check_conditions(const struct http_request *request);
/* False when If-Range asks for another version than there is. */
bool http_range_condition_holds(const struct http_request *request);
/* E_PRECONDITION for conditions on a request that changes something, which nobody would look at; at
 * If-Match somebody does when the route is `conditional`. */
bool http_check_change_conditions(struct MHD_Connection *connection, const char *method,
                                  bool conditional, struct error *err);

/* encode.c */
bool http_takes_gzip(const char *accept_encoding);
bool http_is_encodable(const struct answer *answer);
/* Replaces the bytes of the answer, if they get smaller. */
void http_encode(struct http_request *request);

/* peers.c */
void http_on_connection(void *context, struct MHD_Connection *connection, void **slot,
                        enum MHD_ConnectionNotificationCode code);
/* NULL when there was no memory for it. */
struct peer *http_peer_of(struct MHD_Connection *connection);
/* A request begins on the connection, and is counted as active; false when none may any more. */
bool http_peer_begin(struct http_request *request, int64_t deadline_ms);
/* The request keeps the place of its connection; E_LIMIT when its owner has as many as one may. */
bool http_peer_busy(struct http_request *request, struct error *err);
/* It has ended. */
void http_peer_idle(struct http_request *request, int64_t deadline_ms);
void http_set_deadline(struct http_request *request, int64_t deadline_ms);
/* Shuts the socket down; the lock is held. */
void http_peer_cut(struct http_server *server, struct peer *peer);
/* Bytes of collected bodies of all requests under way of the same owner; 0 when it has none. */
uint64_t http_peer_body_bytes(struct http_request *request);

struct gnutls_cert_auth_info_st; /* GnuTLS declares it only where it is used */
/* tls.c: the certificate for a handshake; of the type gnutls_certificate_retrieve_function3. */
int http_tls_retrieve(gnutls_session_t session, const struct gnutls_cert_auth_info_st *info,
                      gnutls_pcert_st **out_chain, unsigned *out_count,
                      gnutls_ocsp_data_st **out_ocsp, unsigned *out_ocsp_count,
                      gnutls_privkey_t *out_key, unsigned *out_flags);

/* sweeper.c */
bool http_sweeper_start(struct http_server *server, struct error *err);
void http_sweeper_stop(struct http_server *server);
/* Allowed until `start_ms` plus the grace plus `bytes` at the slowest rate. */
int64_t http_transfer_deadline(const struct http_server *server, int64_t start_ms, uint64_t bytes);
/* http_suspend without timeout in the middle of a body; false when the server is about to end, and
 * nothing was done. */
bool http_hold(struct http_request *request);

/* acceptor.c */
bool http_acceptor_start(struct http_server *server, struct error *err);
/* Closes the listening socket as well. */
void http_acceptor_stop(struct http_server *server);

/* blocking.c */
void http_pool_init(struct http_pool *pool);
void http_pool_finish(struct http_pool *pool);
bool http_pool_start(struct http_pool *pool, unsigned threads, struct error *err);
/* The handler of a request that is suspended runs on a thread, then the request is resumed. Who
 * adds sees to it that there is an end to it, and that the pool has not stopped. */
void http_pool_add(struct http_pool *pool, struct http_request *request, http_handler *handler);
void http_pool_stop(struct http_pool *pool);
