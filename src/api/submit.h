#pragma once

/* POST /v1/jobs, by JSON (submit.c) or by form (submit_form.c). */

#include "api_private.h"

http_handler submit_begin, submit_handle;
extern const struct schema job_form_schema;
/* POST /v1/jobs/estimate. */
http_handler estimate_handle;
extern const struct schema estimate_schema;

bool form_begin(struct http_request *request, struct api *api, struct error *err);
http_handler form_handle;

/* What came: the specification, and the bytes that an idempotency key stands for. */
struct job_request {
    const struct json *object;
    const void *bytes;
    size_t size;
};

/* E_INVALID for a priority that only administrators may give: before everybody else's jobs. */
bool check_priority(const struct http_request *request, const struct api *api, int64_t priority,
                    struct error *err);

struct job_spec;
/* All that is checked of a specification, but for the limits of the queue. */
bool check_submission(struct http_request *request, struct api *api, struct database *database,
                      const struct json *object, struct job_spec *out_spec, struct error *err);

struct prepared_job {
    struct job_insert insert;
    const struct json *spec;     /* with every default: what insert.row.spec says */
    char replayed[JOB_ID_BYTES]; /* of the key's earlier job; "": there is none */
};

/* Checks a specification and makes what the store takes, unless the key has a job already. */
bool prepare_job(struct http_request *request, struct api *api, const struct job_request *wanted,
                 struct prepared_job *out_prepared, struct error *err);

/* An error of the insertion as an error of the request; always false. */
bool submit_error(const struct error *error, struct error *err);

/* 202, Location, the job. */
bool reply_submitted(struct http_request *request, struct api *api,
                     const struct prepared_job *prepared, const struct job_inserted *inserted,
                     struct error *err);
/* The same of a job that the key made before. */
bool reply_replayed(struct http_request *request, struct api *api, const char *job,
                    struct error *err);
