#pragma once

/* One request, as a handler sees it: what came, and how it is answered.
 *
 * Everything belongs to the request and lives in its arena until the answer is sent. A request is
 * used by one thread at a time: an HTTP thread, or, for a blocking route or a sink, a thread of a
 * pool.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_request;
struct http_route;
struct param;
struct param_value;

/* False: `err` becomes a problem document. True: the request was answered or suspended. */
typedef bool http_handler(struct http_request *request, void *context, struct error *err);

/* ---- what came ---- */

struct arena *http_arena(struct http_request *request);
/* The client's X-Request-Id, or one of our own; it is in the answer and in log lines. */
const char *http_request_id(const struct http_request *request);
/* "GET"; a HEAD request reaches the handler of GET. */
const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);
/* The part of the path under a name of the route's pattern: "{id}" is http_param(request, "id"). */
const char *http_param(const struct http_request *request, const char *name);
/* The row of the route that was found; NULL before. */
const struct http_route *http_route_of(const struct http_request *request);
/* A parameter of the query string, decoded; NULL when it is not there. */
const char *http_query(const struct http_request *request, const char *name);
/* The same as the route's row reads it, or else the row's default. False: neither is there. */
bool http_query_value(struct http_request *request, const struct param *param,
                      struct param_value *out_value);
/* A header, by case-insensitive name; NULL when it is not there. */
const char *http_header(const struct http_request *request, const char *name);
/* The body of a route that collects it; NUL-terminated after `*out_size` bytes. */
const char *http_body(const struct http_request *request, size_t *out_size);
/* Bytes of the body, as the header has them; UINT64_MAX when they come in chunks. */
uint64_t http_body_size(const struct http_request *request);
/* True when the media type of the body is `type`, whatever its parameters. */
bool http_body_is(const struct http_request *request, const char *type);
/* Index (or NULL) of the reply in the route's row whose media type the client likes best; the first
 * one without an Accept header. E_NOT_ACCEPTABLE when it wants none of them. */
bool http_negotiate(struct http_request *request, int *out_index, struct error *err);
/* The media type of the reply that was negotiated, else of the first one in the row. */
const char *http_media_type(const struct http_request *request);

/* Who asks, and in which role: set by the server's `authorize`, kept for handlers. The same owner
 * once more leaves the pointer as it is. */
void http_set_owner(struct http_request *request, const char *owner, int role);
const char *http_owner(const struct http_request *request);
int http_role(const struct http_request *request);
/* Of a request that has waited: asks `authorize` again; E_UNAUTHORIZED as well when it names
 * another owner now. */
bool http_renew_access(struct http_request *request, struct error *err);

/* ---- a body that is not collected ---- */

struct http_sink {
    /* Takes the next bytes, on a thread of the pool for sinks, where it may wait. After a failure
     * it is not called again; the error is the answer. */
    bool (*write)(void *context, const void *bytes, size_t size, struct error *err);
    void *context; /* borrowed */
};

/* In a route's `begin`: the body goes to `sink` as it comes, at most `limit_bytes` of it. */
void http_set_sink(struct http_request *request, const struct http_sink *sink,
                   uint64_t limit_bytes);

/* A pointer that `begin` leaves for `handle`; `destroy` (or NULL) is called with it when the
 * request ends, however it ends. */
void http_set_state(struct http_request *request, void *state, void (*destroy)(void *state));
void *http_state(const struct http_request *request);

/* ---- answering ---- */

/* Bytes are copied when they are not in the request's arena: `copy`. */
void http_answer(struct http_request *request, int status, const char *media_type,
                 const void *bytes, size_t size, bool copy);
/* The body of the answer as gzip, made beforehand, for clients that take it; not copied. Only for
 * what would be compressed anyway: text of a kilobyte or more. */
void http_set_gzip(struct http_request *request, const void *bytes, size_t size);
/* The whole of an open file; with Range and If-Range. The descriptor belongs to the request now. */
void http_answer_file(struct http_request *request, int fd, uint64_t size, const char *media_type);
/* The same as http_answer with the bytes of an open file in memory, which are not copied: it has no
 * ranges, either. */
void http_answer_pages(struct http_request *request, int fd, uint64_t size, const char *media_type);
/* What was answered so far is not sent, nor are its headers: another answer takes its place. */
void http_forget_answer(struct http_request *request);
/* Adds a header to the answer; name and value are copied. Values with control characters are
 * dropped. */
void http_add_header(struct http_request *request, const char *name, const char *value);
/* Sets ETag; a matching If-None-Match turns a 200 into 304, an If-Match without it into 412. `tag`
 * is without quotes. */
void http_set_etag(struct http_request *request, const char *tag);
/* Sets Last-Modified, with which If-Modified-Since and If-Unmodified-Since do the same. */
void http_set_modified(struct http_request *request, int64_t unix_seconds);
/* False when If-Match names other versions than this tag (without quotes): a change is not to be
 * made. */
bool http_is_meant(struct http_request *request, const char *tag);
/* True when If-None-Match names the tag that was set: the answer will be 304. */
bool http_is_known(const struct http_request *request);

/* ---- an answer that goes on ---- */

struct text;

struct http_source {
    /* Appends what is to be sent now to `out`, which is empty, and is called again when that is
     * sent. When there is nothing it has suspended the request (http_suspend without `next`, with a
     * timeout), and is called again when it is resumed. False: the answer ends behind these bytes.
     * Not called any more when the server stops. */
    bool (*read)(struct http_request *request, void *context, struct text *out);
    void *context; /* borrowed */
};

/* 200, with a body that is sent as the source has it. A client that does not take it is cut. */
void http_answer_stream(struct http_request *request, const char *media_type,
                        const struct http_source *source);

/* ---- answering later ---- */

enum { HTTP_NO_TIMEOUT = -1 };

/* In a handler that is not blocking: the connection waits until http_resume, then `next` is called
 * on its thread (in a source: NULL, the source itself is). With a timeout (≥ 0 ms) the server
 * resumes it then, and when it stops; without one somebody must. */
void http_suspend(struct http_request *request, http_handler *next, int64_t timeout_ms);
/* In a handler that is not blocking: `handler` runs on a thread of the pool, where it may wait, and
 * what it answers is sent. E_UNAVAILABLE when too many wait already, E_LIMIT when they are
 * too many of its owner. */
bool http_block(struct http_request *request, http_handler *handler, struct error *err);
/* From any thread; only the first call after a suspension counts. The caller makes sure that the
 * request has not ended: it ends only after `next` has run. */
void http_resume(struct http_request *request);
