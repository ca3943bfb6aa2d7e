/* /v1/me: who asks, what they may take, and what they have taken. */

#include "api_private.h"

#include "ptqd/jobs/spec.h"
#include "ptqd/store/quota.h"

/* A limit, null where there is none. */
static void add_limit(struct json *object, const char *key, int64_t limit)
{
    if (limit > 0)
        json_add_integer(object, key, limit);
    else
        json_add_null(object, key);
}

static const struct schema_member quota_members[] = {
    {"queued_runs", .type = SCHEMA_INTEGER, .null = true},
    {"running_runs", .type = SCHEMA_INTEGER, .null = true},
    {"stored_bytes", .type = SCHEMA_INTEGER, .null = true, .help = "Models and data sets"},
    {"model_bytes", .type = SCHEMA_INTEGER, .help = "Of one file"},
    {"dataset_bytes", .type = SCHEMA_INTEGER, .help = "Of one file"},
    {"priority", .type = SCHEMA_INTEGER, .help = "The highest that a job may have"},
    {0},
};
static const struct schema quota_schema = {
    .name = "Quotas",
    .help = "What an owner may take; null: as much as there is",
    .members = quota_members,
};

static const struct schema_member used_members[] = {
    {"queued_runs", .type = SCHEMA_INTEGER},
    {"running_runs", .type = SCHEMA_INTEGER},
    {"stored_bytes", .type = SCHEMA_INTEGER},
    {0},
};
static const struct schema used_schema = {
    .name = "Used",
    .help = "What an owner has taken",
    .members = used_members,
};

static const struct schema_member me_members[] = {
    {"owner", .type = SCHEMA_STRING, .help = "The token's name; \"local\" without tokens"},
    {"role", .type = SCHEMA_STRING, .choices = api_role_names},
    {"quotas", .type = SCHEMA_OBJECT, .of = &quota_schema},
    {"used", .type = SCHEMA_OBJECT, .of = &used_schema},
    {0},
};
static const struct schema me_schema = {
    .name = "Me",
    .help = "Who asks",
    .members = me_members,
};

static bool get(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    const struct api_options *options = &api->options;
    const char *owner = http_owner(request);
    bool administers = http_role(request) == ACCESS_ADMIN;
    struct database *database;
    struct quota limits, used;
    if (!store_reader(options->store, &database, err) ||
        !quota_limits(database, owner, &limits, err) || !quota_used(database, owner, &used, err))
        return false;
    struct json *object = json_object(http_arena(request));
    json_add_string(object, "owner", owner);
    json_add_string(object, "role", api_role_name((enum api_access)http_role(request)));
    struct json *quotas = json_add_object(object, "quotas");
    add_limit(quotas, "queued_runs", limits.queued_runs);
    add_limit(quotas, "running_runs", limits.running_runs);
    add_limit(quotas, "stored_bytes", limits.stored_bytes);
    json_add_integer(quotas, "model_bytes", (int64_t)options->model_bytes);
    json_add_integer(quotas, "dataset_bytes", (int64_t)options->dataset_bytes);
    json_add_integer(quotas, "priority", administers ? JOB_PRIORITY_MAX : options->priority_limit);
    struct json *taken = json_add_object(object, "used");
    json_add_integer(taken, "queued_runs", used.queued_runs);
    json_add_integer(taken, "running_runs", used.running_runs);
    json_add_integer(taken, "stored_bytes", used.stored_bytes);
    return reply_json(request, 200, object, err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/v1/me",
     .access = ACCESS_READ,
     .handle = get,
     .summary = "Who asks: owner, role, quotas and what of them is used",
     .replies = {{200, "Who asks", .schema = &me_schema}}},
};
const struct http_table me_routes = {routes, sizeof(routes) / sizeof(routes[0])};
