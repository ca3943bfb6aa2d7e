/* What a run leaves beside its result: one call for each detail of api/details.h. */

#include "api_private.h"

#include "ptqd/api/details.h"
#include "ptqd/store/run_detail.h"

#include <string.h>

/* {"run": …, and what is stored}, which is sent as it is: it may be large, and nobody here reads
 * it. */
static bool reply_stored(struct http_request *request, const char *run, const char *value,
                         struct error *err)
{
    char etag[ANSWER_ETAG_BYTES];
    const char *text = arena_printf(http_arena(request), err, "{\"run\":\"%s\",%s", run, value + 1);
    if (text == NULL || !make_etag(text, strlen(text), etag, err))
        return false;
    http_set_etag(request, etag);
    http_answer(request, 200, "application/json", text, strlen(text), false);
    return true;
}

static bool reply_detail(struct http_request *request, struct api *api, const char *name,
                         struct error *err)
{
    struct arena *arena = http_arena(request);
    struct database *database;
    struct run_row row;
    const char *value;
    if (!find_run(request, api, &database, &row, err))
        return false;
    if (row.state != RUN_SUCCEEDED)
        return FAIL(err, E_CONFLICT, "run %s is %s; its \"%s\" is known when it has succeeded",
                    row.id, run_state_name(row.state), name);
    if (run_detail_find(database, row.id, name, arena, &value, err))
        return reply_stored(request, row.id, value, err);
    if (err == NULL || err->code != E_NOT_FOUND)
        return false;
    return FAIL(err, E_CONFLICT, "run %s was made by an earlier version, which kept no \"%s\"",
                row.id, name);
}

static bool get_memory(struct http_request *request, void *context, struct error *err)
{
    return reply_detail(request, context, "memory", err);
}

static bool get_losses(struct http_request *request, void *context, struct error *err)
{
    return reply_detail(request, context, "losses", err);
}

static bool get_histograms(struct http_request *request, void *context, struct error *err)
{
    return reply_detail(request, context, "histograms", err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/runs/{id}/memory",
     .access = ACCESS_READ,
     .handle = get_memory,
     .summary = "The activations in memory at each node of a run's network, in execution order",
     .replies = {{200, "The steps", .schema = &memory_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/losses",
     .access = ACCESS_READ,
     .handle = get_losses,
     .summary = "The loss of each unit of a run over the iterations in which it was optimized",
     .replies = {{200, "A curve for each unit", .schema = &losses_schema, .headers = {"ETag"}}},
     .problems = {409}},
    {.method = "GET",
     .pattern = "/v1/runs/{id}/histograms",
     .access = ACCESS_READ,
     .handle = get_histograms,
     .summary = "How the weights and the input of each layer of a run are distributed, in float",
     .replies = {{200, "Two histograms for each layer", .schema = &histograms_schema,
                  .headers = {"ETag"}}},
     .problems = {409}},
};
const struct http_table detail_routes = {routes, sizeof(routes) / sizeof(routes[0])};
