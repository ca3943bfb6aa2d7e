/* The object behind every route, the answer to an error, and the list of tables. */

#include "api_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <stdlib.h>

static const struct http_table *const tables[] = {
    &model_routes,   &dataset_routes, &job_routes,   &run_routes,   &detail_routes,
    &report_routes,  &service_routes, &event_routes, &queue_routes, &metrics_routes,
    &openapi_routes, &web_routes,     &me_routes,    NULL,
};

const struct http_table *const *api_tables(void)
{
    return tables;
}

enum { ANSWERS_BYTES = 32 << 20 }; /* a hundred pages of a hundred jobs, or 10 000 jobs */

bool api_create(const struct api_options *options, struct api **out_api, struct error *err)
{
    struct api *api = calloc(1, sizeof(*api));
    if (api == NULL)
        return FAIL(err, E_MEMORY, "no memory for the REST interface");
    api->options = *options;
    api->imports.limit_bytes = options->import_bytes;
    atomic_store(&api->open, options->open);
    api->started_ms = clock_unix_ms();
    if (!answer_cache_create(ANSWERS_BYTES, &api->answers, err) ||
        !document_create(&api->document, err)) {
        document_destroy(&api->document);
        answer_cache_destroy(api->answers);
        free(api);
        return false;
    }
    waiters_init(api);
    *out_api = api;
    return true;
}

void api_destroy(struct api *api)
{
    if (api == NULL)
        return;
    waiters_finish(api);
    document_destroy(&api->document);
    answer_cache_destroy(api->answers);
    free(api);
}

void api_set_ready(struct api *api, bool ready)
{
    atomic_store(&api->ready, ready);
}

void api_set_server(struct api *api, struct http_server *server)
{
    atomic_store(&api->server, server);
}

void api_problem(struct http_request *request, void *context, const struct error *error)
{
    (void)context;
    int status = problem_status_of(error);
    if (status == 500 || status == 507 || error->internal)
        log_failure("api", http_path(request), error);
    if (status == 401)
        http_add_header(request, "WWW-Authenticate", "Bearer");
    if (status == 429 || status == 503)
        http_add_header(request, "Retry-After", "10");

    struct json *object = json_object(http_arena(request));
    problem_add(object, error);
    size_t size;
    const char *text = json_print_string(object, http_arena(request), &size, NULL);
    static const char starved[] = "{\"title\":\"Service Unavailable\",\"status\":503,"
                                  "\"code\":\"memory\",\"detail\":\"not enough memory\"}";
    if (text != NULL)
        http_answer(request, status, "application/problem+json", text, size, false);
    else
        http_answer(request, 503, "application/problem+json", starved, sizeof(starved) - 1, false);
}
