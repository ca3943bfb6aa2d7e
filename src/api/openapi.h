#pragma once

/* The document of the interface (OpenAPI 3.1), made from the tables of routes, and from the tables
 * of members and parameters that they name. */

#include "ptqd/http/route.h"
#include "ptqd/json/json.h"

/* The whole document as JSON text in `arena`. */
bool openapi_print(const struct http_table *const *tables, struct arena *arena,
                   const char **out_text, size_t *out_size, struct error *err);

/* Its parts. "paths": every route. "components": what they refer to; E_INTERNAL when there are more
 * schemas than there is room for. */
void openapi_add_paths(struct json *document, const struct http_table *const *tables);
bool openapi_add_components(struct json *document, const struct http_table *const *tables,
                            struct error *err);

/* Headers of requests that stand under "components". `with` names the header of an answer to a GET
 * with which the request's is looked at; NULL: only where the row of a route names it. */
struct openapi_header {
    const char *name, *with, *help;
};
extern const struct openapi_header openapi_request_headers[]; /* a NULL name ends them */
/* True when an answer of the route may have the header. */
bool openapi_sends(const struct http_route *route, const char *header);

/* True when the route may answer with a problem document of the status. */
bool openapi_is_problem(const struct http_route *route, int status);
