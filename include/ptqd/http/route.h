#pragma once

/* Routes: which handler answers which method and path.
 *
 * A pattern is a fixed path; a segment in braces, "{id}", matches any one segment that is not
 * empty. Nothing else is ever served: no path becomes a file name.
 */

#include "ptqd/http/request.h"

struct http_route {
    const char *method;  /* "GET" also serves HEAD */
    const char *pattern; /* "/v1/models/{id}/file" */
    int access;          /* who may: for the server's `authorize` */
    bool blocking;       /* `handle` may wait: it runs on a thread of the pool */
    bool any_body;       /* a body is collected up to the server's limit; else it must be empty */
    /* When the headers are in: may set a sink and state, or refuse or answer before a byte is read.
     * NULL: nothing to prepare. */
    http_handler *begin;
    http_handler *handle; /* when the body is in */
    const char *summary;  /* one line, for documents */
};

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

/* Finds the route in a NULL-terminated list of tables. E_NOT_FOUND when no pattern matches;
 * E_METHOD when one does with other methods, which are written to `out_allow` ("GET, HEAD, POST").
 */
enum { HTTP_ALLOW_BYTES = 64 };
bool http_route_find(const struct http_table *const *tables, const char *method, const char *path,
                     struct http_match *out_match, char out_allow[static HTTP_ALLOW_BYTES],
                     struct error *err);
