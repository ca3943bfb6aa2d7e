#pragma once

/* What each URL means: the routes of the REST interface, version 1, and what they share. */

#include "ptqd/base/error.h"
#include "ptqd/http/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;
struct jobs;
struct store;

/* What a route asks of whoever calls it, and what a role may do: each includes the ones before. */
enum api_access { ACCESS_ANYBODY, ACCESS_READ, ACCESS_SUBMIT, ACCESS_ADMIN };

enum { API_HEARTBEAT_MS = 15 * 1000 };

struct api_options {
    struct store *store; /* borrowed */
    struct jobs *jobs;   /* borrowed */
    bool open;    /* no tokens so far: everybody is the administrator "local" until there is one */
    bool private; /* others' jobs, models and data sets are not there, but for administrators */
    uint64_t model_bytes;       /* largest model file */
    uint64_t dataset_bytes;     /* largest data set, as a file and after decompression */
    size_t import_bytes;        /* memory that looking at uploads may take together */
    size_t run_bytes;           /* memory of one run, at most; 0: no limit */
    int64_t priority_limit;     /* of jobs that are not an administrator's; −100 to 100 */
    int64_t watchers;           /* streams of events and long polls at the same time */
    int64_t watchers_per_owner; /* of them; 0: no limit */
    int64_t heartbeat_ms;       /* most of a stream's silence */
};

bool api_create(const struct api_options *options, struct api **out_api, struct error *err);
/* After the HTTP server has stopped. */
void api_destroy(struct api *api);

/* Until this is called with true, /readyz says no. */
void api_set_ready(struct api *api, bool ready);

/* Every route, NULL-terminated list of tables; the context of handlers and of the two callbacks
 * below is the `struct api`. */
const struct http_table *const *api_tables(void);
/* For struct http_options. */
void api_problem(struct http_request *request, void *context, const struct error *error);
bool api_authorize(struct http_request *request, void *context, int access, struct error *err);

/* Handlers that count requests in /metrics look here; NULL until the server runs. */
struct http_server;
void api_set_server(struct api *api, struct http_server *server);

/* "read", "submit" or "admin"; "" of ACCESS_ANYBODY. */
const char *api_role_name(enum api_access role);
/* The role of a token by its stored name ("read", "submit", "admin"); ACCESS_ANYBODY for any
 * other. */
enum api_access api_role(const char *name);
