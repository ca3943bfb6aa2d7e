#pragma once

/* A server on a free port with a few routes, for tests of what it does with connections and
 * requests.
 *
 *   GET, POST /echo/{id}   "id|name of the query|body"
 *   POST /sink             takes 300 000 bytes and drops them; "stored"
 *   GET /json              {"text": "aaa…"} of ?size= bytes, with an ETag
 *   GET /file              5000 bytes of a file, with ETag and Last-Modified
 *   GET /park              waits for a second, or for ?ms=
 *   GET /word              "woken"; ?word= of 2 or 3 bytes must be given
 */

#include "ptqd/base/param.h"
#include "ptqd/http/server.h"

enum { SMALL_SERVER_BODY_BYTES = 1000 };

extern const struct http_table *const small_server_tables[];
/* Handlers of /echo and of the end of /park, for tables of a test's own. */
http_handler small_server_echo, small_server_wake;
extern const struct param small_server_name; /* the parameter of /echo */

struct small_server {
    struct http_server *http;
    int port;
};

/* Options with the routes and a free port; change them, then start. */
struct http_options small_server_options(void);
void small_server_start(struct small_server *server, const struct http_options *options);
void small_server_stop(struct small_server *server);
