#pragma once

/* Routes: which handler answers which method and path, what it takes and what it answers.
 *
 * A pattern is a fixed path; a segment in braces, "{id}", matches any one segment that is not
 * empty. Nothing else is ever served: no path becomes a file name.
 *
 * A row is all that is said of a call: the query string is checked by it, and documents about the
 * interface are made from it.
 */

#include "ptqd/base/param.h"
#include "ptqd/http/request.h"

struct schema;

enum {
    HTTP_QUERY_MAX = 8,
    HTTP_BODIES_MAX = 2,
    HTTP_REPLIES_MAX = 6,
    HTTP_PROBLEMS_MAX = 6,
    HTTP_HEADERS_MAX = 5
};

/* A body that a route takes. */
struct http_media {
    const char *type;            /* "application/json"; NULL ends the list */
    const struct schema *schema; /* of JSON, or of the parts of a form; NULL: bytes */
};

/* An answer to a request that succeeds; of several with the status of the first one, Accept chooses
 * (http_negotiate). */
struct http_reply {
    int status;                  /* 0 ends the list */
    const char *help;            /* what it is, as a sentence without its full stop */
    const struct schema *schema; /* of JSON, or of events: their names and data */
    const char *type; /* media type, with its parameters; NULL: JSON, or, without schema, no body */
    const char *headers[HTTP_HEADERS_MAX]; /* those that it may have, "ETag"; NULL ends them */
};

struct http_route {
    const char *method;  /* "GET" also serves HEAD */
    const char *pattern; /* "/v1/models/{id}/file" */
    int access;          /* who may: for the server's `authorize` */
    bool blocking;       /* `handle` may wait: it runs on a thread of the pool */
    bool any_body;       /* a body is collected up to the server's limit; else it must be empty */
    bool conditional; /* of a change: `handle` looks at If-Match (http_is_meant); else it is 412 */
    /* When the headers are in: may set a sink and state, or refuse or answer before a byte is read.
     * NULL: nothing to prepare. */
    http_handler *begin;
    http_handler *handle; /* when the body is in */
    const void *subject;  /* what the row is about, for handlers that several rows have */
    const char *summary;  /* one line, for documents */

    /* Parameters of the query string; NULL ends them. What is given is checked before `begin`: any
     * other name, a name that comes twice, a value against its row is E_INVALID. One without a
     * default must be given; with the default "" it may be left out, and then has no value. */
    const struct param *query[HTTP_QUERY_MAX];
    const char *headers[HTTP_HEADERS_MAX]; /* of the request, that it looks at: "Idempotency-Key" */
    struct http_media bodies[HTTP_BODIES_MAX];
    struct http_reply replies[HTTP_REPLIES_MAX];
    /* Statuses of errors that not every route may have, nor by its access, path or answers: 409. */
    int problems[HTTP_PROBLEMS_MAX];
};

/* The media type of a reply; NULL when it has no body. */
const char *http_reply_type(const struct http_reply *reply);

struct http_table {
    const struct http_route *routes;
    size_t count;
};

enum { HTTP_PARAMS_MAX = 4, HTTP_SEGMENT_MAX = 200 };

/* What a path matched. `values` point into the path given, `lengths` are in bytes. */
struct http_match {
    const struct http_route *route;
    size_t count;
    struct {
        const char *name, *value;
        size_t name_length, value_length;
    } params[HTTP_PARAMS_MAX];
};

/* The routes of a NULL-terminated list of tables, one after the other; NULL behind the last. */
const struct http_route *http_route_at(const struct http_table *const *tables, size_t index);

/* Finds the route in a NULL-terminated list of tables; of patterns that match, those with the
 * fewest parameters count: "/v1/jobs/estimate" is no "/v1/jobs/{id}". E_NOT_FOUND when no pattern
 * matches; E_METHOD when one does with other methods, which are written to `out_allow` ("GET, HEAD,
 * POST").
 */
enum { HTTP_ALLOW_BYTES = 64 };
bool http_route_find(const struct http_table *const *tables, const char *method, const char *path,
                     struct http_match *out_match, char out_allow[static HTTP_ALLOW_BYTES],
                     struct error *err);
