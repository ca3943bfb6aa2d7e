#pragma once

/* What the files of this room share. */

#include "answer_cache.h"

#include "ptqd/api/api.h"
#include "ptqd/api/problem.h"
#include "ptqd/jobs/jobs.h"
#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"
#include "ptqd/store/job_row.h"
#include "ptqd/store/run_row.h"
#include "ptqd/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct waiter;

/* A text that is made once. */
struct api_document {
    struct arena *arena;
    const char *text;
    size_t size;
    char etag[ANSWER_ETAG_BYTES];
};

struct api {
    struct api_options options;
    atomic_bool open; /* no token was ever seen: see access.c */
    atomic_bool ready;
    _Atomic(struct http_server *) server; /* borrowed */
    int64_t started_ms;
    pthread_mutex_t waiters_lock;
    struct waiter *waiters; /* requests that wait for a job to change */
    int64_t waiter_count;
    struct jobs_listener listener;
    struct answer_cache *answers;
    struct arena_budget imports;  /* of all uploads that are looked at */
    struct api_document document; /* /openapi.json */
};

extern const struct http_table model_routes, dataset_routes, job_routes, run_routes, detail_routes,
    report_routes, service_routes, event_routes, queue_routes, metrics_routes, openapi_routes,
    web_routes, me_routes;

/* Prints the document of the interface (openapi_routes.c). */
bool document_create(struct api_document *document, struct error *err);
void document_destroy(struct api_document *document);

/* ---- answers ---- */

/* Media types of rows. */
#define TYPE_MARKDOWN "text/markdown; charset=utf-8"
#define TYPE_PLAIN    "text/plain; charset=utf-8"
/* Headers of an answer that is a file. */
#define FILE_HEADERS "ETag", "Last-Modified", "Digest", "Content-Disposition", "Accept-Ranges"

/* Prints the value and answers with it. */
bool reply_json(struct http_request *request, int status, const struct json *value,
                struct error *err);
/* The same with an ETag made from the text. */
bool reply_json_tagged(struct http_request *request, const struct json *value, struct error *err);
/* Answers with a text, which is copied, as what the row says that it is. */
bool reply_text(struct http_request *request, const struct text *text, struct error *err);
extern const struct schema page_schema; /* "next", the base of every list */
/* {"items": […], "next": cursor or null}: the array to be filled in. */
struct json *reply_list(struct json *object, const char *next);
bool reply_nothing(struct http_request *request); /* 204 */

/* More rows of runs than these are read on a thread of the pool (http_block): on an HTTP thread
 * they would hold up all its other connections, for a second where there are 20 000. */
enum { DIRECT_RUNS_MAX = 200 };

/* ---- answers that are kept (answer_kept.c) ---- */

/* Of everything that answers are made from; read it first. */
struct answer_version answer_version_now(const struct api *api);
/* The same of an answer that shows one job and nothing else that changes. */
struct answer_version answer_version_of_job(const struct api *api, const char *job);
/* The same of what depends on models, data sets and who holds them. */
struct answer_version answer_version_of_objects(const struct api *api);
/* A key for what depends on the path, on the query string, and on who asks. NULL on failure. */
const char *answer_key(struct http_request *request, struct error *err);
/* True when the request was answered with what is kept. */
bool reply_kept(struct http_request *request, struct api *api, const char *key,
                struct answer_version version);
/* Keeps the text for reply_kept; `live`: for a moment only, because it shows the clock. */
void keep_answer(struct api *api, const char *key, struct answer_version version, bool live,
                 const struct answer_draft *draft);
/* A tag made from the text. */
bool make_etag(const char *text, size_t size, char out_etag[static ANSWER_ETAG_BYTES],
               struct error *err);

struct job_text { /* a job as JSON */
    const char *text;
    size_t size;
    char etag[ANSWER_ETAG_BYTES];
    bool live; /* it shows progress and the clock */
};

/* In `arena`. That of a job at rest is kept as long as the job does not change. */
bool job_text(struct api *api, struct database *database, const struct job_row *row,
              struct arena *arena, struct job_text *out_text, struct error *err);
/* A blob, with ETag and Digest. */
bool reply_blob(struct http_request *request, struct api *api, const char *id,
                const char *media_type, const char *filename, struct error *err);

/* Retry-After of what is not finished: when to ask again. NaN: it is not known how long it takes.
 */
void reply_retry_after(struct http_request *request, double eta_seconds);
/* The seconds of it, and an answer that says them. */
int retry_seconds_of(double eta_seconds);
void reply_retry_seconds(struct http_request *request, int seconds);

/* A file of the dashboard, by its name. */
bool reply_web_file(struct http_request *request, const char *name, struct error *err);

/* ---- query strings (query_rows.c) ---- */

/* Rows for routes, and what the handlers of those routes read by them. */
extern const struct param query_limit, query_cursor, query_name, query_id, query_owner, query_now,
    query_wait;
struct store_page read_page(struct http_request *request); /* `limit` and `cursor` */
const char *read_name(const struct http_request *request); /* "" without it */
bool read_now(struct http_request *request);
int64_t read_wait(struct http_request *request); /* seconds; 0: at once */

/* ---- long polling ---- */

/* Makes the answer as things are now; `out_news`: it is worth sending before the time is up. */
typedef bool poll_look(struct http_request *request, struct api *api, bool *out_news,
                       struct error *err);
/* Looks whenever something changes in the job, until there is news or the seconds are over. */
bool poll_wait(struct http_request *request, struct api *api, const char *job, int64_t seconds,
               poll_look *do_look, struct error *err);
/* True when If-None-Match names other versions than the answer's. */
bool poll_is_other(const struct http_request *request);

/* ---- access ---- */

extern const char *const api_role_names[]; /* from ACCESS_READ on; NULL ends them */

enum { ACCESS_RENEW_MS = 1000 }; /* how long a request that waits may do so with a revoked token */

/* What the caller sees of models and data sets. */
struct store_viewer access_viewer(const struct http_request *request, const struct api *api);
/* E_FORBIDDEN unless the caller owns it or is an administrator. */
bool check_owner(const struct http_request *request, const char *owner, const char *what,
                 struct error *err);

/* ---- objects ---- */

extern const struct schema job_schema, job_progress_schema, run_schema, run_progress_schema,
    artifact_schema;

bool add_job(struct json *object, struct api *api, struct database *database,
             const struct job_row *row, struct arena *arena, struct error *err);
/* The same from the row's specification as it was before it was printed. */
bool add_job_of(struct json *object, struct api *api, struct database *database,
                const struct job_row *row, const struct json *spec, struct arena *arena,
                struct error *err);
bool add_run(struct json *object, struct api *api, struct database *database,
             const struct run_row *row, struct arena *arena, struct error *err);

bool find_job(struct http_request *request, struct api *api, const char *id,
              struct database **out_database, struct job_row *out_row, struct error *err);
/* The run that the path names. */
bool find_run(struct http_request *request, struct api *api, struct database **out_database,
              struct run_row *out_row, struct error *err);

/* "progress" of a job: runs by state, fraction, seconds left. */
void add_job_progress(struct json *object, struct api *api, const struct job_row *row);
/* "progress" of a run; `step` NULL: it does not run. */
void add_run_progress(struct json *object, const char *step,
                      const struct ticket_progress *progress);

/* Name, media type, bytes and id of each. */
void add_artifacts(struct json *list, const struct artifact_row *rows, size_t count);
/* Time of a row, null for 0. */
void add_time(struct json *object, const char *key, int64_t unix_ms);
/* The problem of a failed run, null without. */
void add_run_problem(struct json *object, const char *key, const struct run_problem *problem);

/* ---- submission ---- */

struct job_spec;

/* E_INVALID, with the pointer of the field, unless model and data exist for the viewer and fit each
 * other. Fills in scale and zero point of the data sets where the specification leaves them open.
 */
bool check_fit(struct api *api, struct database *database, const struct store_viewer *viewer,
               struct job_spec *spec, struct arena *arena, struct error *err);

/* ---- changes of the queue ---- */

/* Suspends the request until the change that it returns is answered, then `next` is called; the
 * caller starts the change at once. NULL when memory is out. */
struct jobs_change *change_suspend(struct http_request *request, http_handler *next,
                                   struct error *err);
/* In `next`: false with the reason when the change failed. */
bool change_check(const struct http_request *request, struct error *err);

/* ---- waiting ---- */

enum { CHANGED_JOBS_MAX = 64 };
struct changed_jobs {
    char ids[CHANGED_JOBS_MAX][JOB_ID_BYTES];
    size_t count;
    bool overflow; /* there are more, or all have changed */
};

struct waiter {
    struct http_request *request;
    const char *owner; /* the request's */
    char job[JOB_ID_BYTES];
    struct changed_jobs *jobs; /* of one that waits for any job; else NULL */
    bool changed;              /* since it was listed, or since it was last asked */
    bool pauses;               /* a change does not wake it */
    struct waiter *previous, *next;
};

void waiters_init(struct api *api);
void waiters_finish(struct api *api);
/* E_UNAVAILABLE when there are too many, E_LIMIT when they are too many of its owner. */
bool waiter_add(struct api *api, struct waiter *waiter, struct error *err);
void waiter_remove(struct api *api, struct waiter *waiter);
/* Suspends the request until the job changes or time is up; false when it has changed already. In a
 * stream `next` is NULL. */
bool waiter_sleep(struct api *api, struct waiter *waiter, http_handler *next, int64_t timeout_ms);
/* Suspends a stream for a time; changes are noted, but do not wake it. */
void waiter_pause(struct api *api, struct waiter *waiter, int64_t timeout_ms);
/* Which jobs have changed since the waiter was last asked. */
void waiter_take_jobs(struct api *api, struct waiter *waiter, struct changed_jobs *out_jobs);
/* The same as waiter_take_change, but the change is not forgotten. */
bool waiter_has_changed(struct api *api, struct waiter *waiter);
/* True when the job has changed since the waiter was listed or last asked. */
bool waiter_take_change(struct api *api, struct waiter *waiter);
