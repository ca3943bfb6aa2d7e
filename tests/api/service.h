#pragma once

/* The whole service in one process, for tests of what clients see: a store in a temporary
 * directory, a queue whose runs do as the test says, the routes, and a server on a free port. */

#include "client.h"
#include "sample_files.h"

#include "ptqd/base/arena.h"
#include "ptqd/json/json.h"
#include "ptqd/store/store.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct jobs_executor;

enum service_mode {
    SERVICE_SUCCEED, /* accuracy 0.9 − 0.01 · seed, loss 0.05 + 0.01 · seed */
    SERVICE_FAIL,    /* E_UNSUPPORTED; with a message that names a file: E_IO for odd seeds */
    SERVICE_BARE,    /* SERVICE_SUCCEED as an earlier version did it: without details */
    SERVICE_WAIT,    /* until the mode changes or the run is told to stop */
};

struct service {
    char directory[256];
    struct arena *arena; /* of the test */
    struct store *store;
    struct jobs *jobs;
    struct api *api;
    struct http_server *server;
    int port;
    _Atomic enum service_mode mode;
    struct sample_files files;
    const struct jobs_executor *executor; /* borrowed; NULL: results are made up */
};

enum {
    SERVICE_SAMPLES = 12,
    SERVICE_WATCHERS = 4,
    SERVICE_HEARTBEAT_MS = 400,
    SERVICE_PRIORITY_LIMIT = 5
};

struct token_row;

struct service_options {
    bool tokens; /* requests need one; service_add_token makes it */
    struct store_limits limits;
    bool private;                         /* nobody sees what is others' */
    int64_t watchers_per_owner;           /* 0: no limit */
    const struct jobs_executor *executor; /* computes runs that are to succeed; NULL: made up */
};

void service_start_with(struct service *service, const struct service_options *options);
/* With 100 queued runs as the only limit. */
void service_start(struct service *service, bool tokens);
void service_stop(struct service *service);
void service_add_token(struct service *service, const char *name, const char *role,
                       const char *token);
/* The same with limits of its own; the digest is filled in. */
void service_add_limited(struct service *service, struct token_row *row, const char *token);

/* An exchange whose body is JSON in `service->arena`, or NULL when it has none. Fails the test
 * unless the status is the expected one. */
const struct json *service_call(struct service *service, const char *method, const char *target,
                                const char *headers, const void *body, size_t size, int status);
const struct json *service_get(struct service *service, const char *target, int status);
/* Uploads a file and returns its id. */
const char *service_upload(struct service *service, const char *target,
                           const struct sample_file *file);
/* Uploads model, samples and labels; a specification of a job with them. `more` are further
 * members (",\"seeds\":2") or "". */
const char *service_spec(struct service *service, const char *more);
/* Posts a specification; the job's id. */
const char *service_submit(struct service *service, const char *spec);
/* Waits until the job is finished; its state. */
const char *service_finish(struct service *service, const char *job);

/* Members by name that must be there. */
const char *service_text(const struct json *object, const char *key);
double service_number(const struct json *object, const char *key);
const struct json *service_member(const struct json *object, const char *key);
