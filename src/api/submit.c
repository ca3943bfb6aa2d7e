/* POST /v1/jobs: from a specification to a job on disk.
 *
 * A JSON body is the fast way: the request is checked on its HTTP thread from rows alone, waits
 * suspended for the writer's commit, and is answered then. A form carries files as well and is
 * handled on the pool (submit_form.c).
 */

#include "submit.h"

#include "ptqd/base/digest.h"
#include "ptqd/jobs/spec.h"

#include <inttypes.h>
#include <string.h>

/* The key of the request, checked; NULL without one. */
static bool read_key(struct http_request *request, const char **out_key, struct error *err)
{
    enum { KEY_MAX_BYTES = 200 };
    const char *key = http_header(request, "Idempotency-Key");
    if (key != NULL && (key[0] == '\0' || strlen(key) > KEY_MAX_BYTES))
        return FAIL(err, E_INVALID, "Idempotency-Key has %zu bytes; 1 to %d are allowed",
                    strlen(key), KEY_MAX_BYTES);
    *out_key = key;
    return true;
}

/* Notes key and digest in the insertion, and whether the key has a job already. */
static bool apply_key(struct http_request *request, struct database *database,
                      const struct job_request *wanted, struct job_insert *insert,
                      char out_replayed[static JOB_ID_BYTES], struct error *err)
{
    const char *key;
    char digest[DIGEST_HEX_BYTES];
    bool found = false;
    out_replayed[0] = '\0';
    if (!read_key(request, &key, err))
        return false;
    if (key == NULL)
        return true;
    if (!digest_bytes(wanted->bytes, wanted->size, digest, err))
        return false;
    insert->key = key;
    insert->request_digest = arena_strdup(http_arena(request), digest, err);
    if (insert->request_digest == NULL ||
        !job_key_find(database, http_owner(request), key, digest, out_replayed, &found, err))
        return false;
    if (!found)
        out_replayed[0] = '\0';
    return true;
}

bool check_priority(const struct http_request *request, const struct api *api, int64_t priority,
                    struct error *err)
{
    if (http_role(request) == ACCESS_ADMIN || priority <= api->options.priority_limit)
        return true;
    FAIL(err, E_INVALID, "priority is %" PRId64 "; for \"%s\" it is at most %" PRId64, priority,
         http_owner(request), api->options.priority_limit);
    return error_at(err, "/priority");
}

bool check_submission(struct http_request *request, struct api *api, struct database *database,
                      const struct json *object, struct job_spec *out_spec, struct error *err)
{
    static const struct job_spec_options options = {.allow_paths = false};
    const struct store_viewer viewer = access_viewer(request, api);
    struct arena *arena = http_arena(request);
    return job_spec_parse(object, &options, arena, out_spec, err) &&
           check_priority(request, api, out_spec->priority, err) &&
           check_fit(api, database, &viewer, out_spec, arena, err);
}

/* The pipeline with its defaults, which are most of a specification and the same for all who give
 * the same, which most often is none: kept by what is given, unless that is long. */
static const char *pipeline_text(struct api *api, const struct json *object,
                                 const struct job_spec *spec, struct arena *arena)
{
    enum { GIVEN_BYTES_MAX = 4096 };
    static const struct answer_version always = {.store = 0};
    const struct json *given = json_find(object, "pipeline");
    size_t size = 0;
    const char *text = given == NULL ? "" : json_print_string(given, arena, &size, NULL);
    const char *key = text == NULL ? NULL : arena_printf(arena, NULL, "pipeline %s", text);
    if (key == NULL || size > GIVEN_BYTES_MAX)
        return job_spec_pipeline(spec, arena);
    struct answer_text *kept = answer_cache_find(api->answers, key, always, 0);
    const char *pipeline = kept != NULL ? arena_strndup(arena, kept->text, kept->size, NULL)
                                        : job_spec_pipeline(spec, arena);
    if (kept == NULL && pipeline != NULL)
        answer_cache_put(api->answers, key, always, INT64_MAX,
                         &(struct answer_draft){pipeline, strlen(pipeline), "", 0});
    answer_cache_release(kept);
    return pipeline;
}

bool prepare_job(struct http_request *request, struct api *api, const struct job_request *wanted,
                 struct prepared_job *out_prepared, struct error *err)
{
    struct arena *arena = http_arena(request);
    struct prepared_job prepared = {.spec = NULL};
    struct job_insert keyed = {0};
    struct job_spec spec;
    struct database *database;
    if (!store_reader(api->options.store, &database, err) ||
        !apply_key(request, database, wanted, &keyed, prepared.replayed, err))
        return false;
    if (prepared.replayed[0] == '\0') {
        if (!check_submission(request, api, database, wanted->object, &spec, err))
            return false;
        prepared.spec =
            job_spec_json(&spec, pipeline_text(api, wanted->object, &spec, arena), arena);
        if (!job_spec_insert(&spec, prepared.spec, arena, &prepared.insert, err))
            return false;
        prepared.insert.row.owner = http_owner(request);
        prepared.insert.key = keyed.key;
        prepared.insert.request_digest = keyed.request_digest;
    }
    *out_prepared = prepared;
    return true;
}

/* The row was there a moment ago, when the specification was checked. */
bool submit_error(const struct error *error, struct error *err)
{
    *err = *error;
    if (err->code == E_NOT_FOUND)
        err->code = E_INVALID;
    return false;
}

static bool reply_job(struct http_request *request, struct api *api, const struct job_row *row,
                      const struct json *object, struct error *err)
{
    const char *location = arena_printf(http_arena(request), err, "/v1/jobs/%s", row->id);
    if (location == NULL)
        return false;
    http_add_header(request, "Location", location);
    reply_retry_after(request, jobs_job_progress(api->options.jobs, row).eta_seconds);
    return reply_json(request, 202, object, err);
}

/* Nothing is read: after each commit the database would be, page by page. */
bool reply_submitted(struct http_request *request, struct api *api,
                     const struct prepared_job *prepared, const struct job_inserted *inserted,
                     struct error *err)
{
    if (inserted->replayed)
        return reply_replayed(request, api, inserted->id, err);
    struct arena *arena = http_arena(request);
    struct json *object = json_object(arena);
    const struct job_row row = job_row_of(&prepared->insert, inserted);
    return add_job_of(object, api, NULL, &row, prepared->spec, arena, err) &&
           reply_job(request, api, &row, object, err);
}

bool reply_replayed(struct http_request *request, struct api *api, const char *job,
                    struct error *err)
{
    struct arena *arena = http_arena(request);
    struct json *object = json_object(arena);
    struct database *database;
    struct job_row row;
    if (!find_job(request, api, job, &database, &row, err) ||
        !add_job(object, api, database, &row, arena, err))
        return false;
    http_add_header(request, "Idempotency-Replayed", "true");
    return reply_job(request, api, &row, object, err);
}

/* ---- a JSON body ---- */

struct submission {
    struct jobs_change change;
    struct prepared_job prepared;
    struct error error;
    bool failed;
};

static void on_submitted(void *context, const struct error *failure)
{
    struct http_request *request = context;
    struct submission *submission = http_state(request);
    submission->failed = failure != NULL;
    if (failure != NULL)
        submission->error = *failure;
    http_resume(request);
}

static bool after_submission(struct http_request *request, void *context, struct error *err)
{
    const struct submission *submission = http_state(request);
    if (submission->failed)
        return submit_error(&submission->error, err);
    return reply_submitted(request, context, &submission->prepared, &submission->change.inserted,
                           err);
}

static bool post_json(struct http_request *request, struct api *api, struct error *err)
{
    struct submission *submission = ARENA_NEW(http_arena(request), struct submission, err);
    if (submission == NULL)
        return false;
    struct json *object;
    size_t size;
    const char *body = http_body(request, &size);
    struct prepared_job *prepared = &submission->prepared;
    if (!json_parse(http_arena(request), body, size, NULL, &object, err))
        return false;
    const struct job_request wanted = {.object = object, .bytes = body, .size = size};
    if (!prepare_job(request, api, &wanted, prepared, err))
        return false;
    if (prepared->replayed[0] != '\0')
        return reply_replayed(request, api, prepared->replayed, err);
    submission->change.done = on_submitted;
    submission->change.context = request;
    http_set_state(request, submission, NULL);
    /* Suspended first: the answer may come before jobs_submit returns. */
    http_suspend(request, after_submission, HTTP_NO_TIMEOUT);
    jobs_submit(api->options.jobs, &prepared->insert, &submission->change);
    return true;
}

bool submit_begin(struct http_request *request, void *context, struct error *err)
{
    return !http_body_is(request, "multipart/form-data") || form_begin(request, context, err);
}

bool submit_handle(struct http_request *request, void *context, struct error *err)
{
    if (http_body_is(request, "multipart/form-data"))
        return http_block(request, form_handle, err);
    return post_json(request, context, err);
}
