#include "service.h"

#include "support.h"

#include "ptqd/api/api.h"
#include "ptqd/api/details.h"
#include "ptqd/api/result.h"
#include "ptqd/base/digest.h"
#include "ptqd/http/listen.h"
#include "ptqd/http/server.h"
#include "ptqd/jobs/jobs.h"
#include "ptqd/store/blob.h"
#include "ptqd/store/token_row.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- runs ---- */

/* Result and details of a run. */
static bool make_result(const struct run_ticket *ticket, struct run_outcome *outcome,
                        struct error *err)
{
    struct memory_tensor tensors[] = {{"x", 200}, {"y", 200}};
    struct memory_step step = {"stem", "Conv", 400, 1600, tensors, 2};
    const int32_t iterations[] = {0, 500};
    const float values[] = {0.25F, 0.1F};
    struct run_loss loss = {"stem", "round", "layer-wise", 2, iterations, values};
    struct run_detail *details;
    struct cost_layer cost_layer = {.name = "stem", .op = "Conv", .macs = 1000, .weight_bits = 4};
    struct cost cost = {.macs = 1000,
                        .bops = 16000,
                        .weight_bytes = 500,
                        .peak_bytes = 900,
                        .peak_layer = "stem",
                        .layers = &cost_layer,
                        .layer_count = 1};
    float scale = 0.5F;
    struct run_layer layer = {.name = "stem",
                              .op = "Conv",
                              .weight_sqnr_db = 20,
                              .weight_scales = &scale,
                              .weight_channels = 1};
    int32_t zero_point = 3;
    struct quant_layer quant_layer = {.name = "stem",
                                      .quantizer = {.format = {.bits = 4},
                                                    .low = -8,
                                                    .high = 7,
                                                    .channels = 1,
                                                    .scales = &scale,
                                                    .zero_points = &zero_point},
                                      .activation = -1};
    struct quant_network network = {.layers = &quant_layer, .layer_count = 1};
    struct layer_distribution distribution = {.weights = {.low = -4, .high = 3.5, .counts = {7}},
                                              .activations = {.low = 0, .high = 1}};
    struct run_result result = {
        .float_accuracy = 0.95,
        .accuracy = 0.9 - 0.01 * (double)ticket->seed,
        .loss = 0.05 + 0.01 * (double)ticket->seed,
        .agreement = 0.98,
        .output_sqnr_db = (double)INFINITY,
        .float_cost = cost,
        .cost = cost,
        .memory = {&step, 1},
        .losses = &loss,
        .loss_count = 1,
        .layers = &layer,
        .layer_count = 1,
        .distributions = &distribution,
        .network = &network,
        .steps = {{"solve", 0.5}},
        .step_count = 1,
        .seconds = 1.5,
        .predicted_bytes = 1000,
    };
    outcome->result = result_print(&result, ticket->arena, err);
    if (outcome->result == NULL ||
        !details_print(&result, ticket->arena, &details, &outcome->detail_count, err))
        return false;
    outcome->details = details;
    return true;
}

/* A blob with this text; its id is copied into the arena. */
static bool store_text(struct blobs *blobs, const char *text, struct arena *arena,
                       const char **out_id, struct error *err)
{
    struct blob_writer *writer;
    char id[DIGEST_ID_BYTES];
    uint64_t size;
    if (!blob_create(blobs, 0, &writer, err) || !blob_append(writer, text, strlen(text), err) ||
        !blob_commit(writer, id, &size, err))
        return false;
    *out_id = arena_strdup(arena, id, err);
    return *out_id != NULL;
}

static bool execute(void *context, const struct run_ticket *ticket, struct run_outcome *out_outcome,
                    struct error *err)
{
    struct service *service = context;
    struct ticket_progress progress = {
        .step = "optimize", .unit = 1, .units = 2, .fraction = 0.5, .seconds_left = 3};
    do { /* a first report in any case: a run that was seen running has a step */
        if (!ticket_report(ticket, &progress))
            return FAIL(err, E_CANCELLED, "told to stop");
    } while (atomic_load(&service->mode) == SERVICE_WAIT && usleep(2000) == 0);
    if (atomic_load(&service->mode) == SERVICE_FAIL && ticket->seed % 2 == 1)
        return FAIL(err, E_IO, "can't read '/secret/place/file'");
    if (atomic_load(&service->mode) == SERVICE_FAIL)
        return FAIL(err, E_UNSUPPORTED, "node 'x' (Foo) is not supported");
    if (service->executor != NULL)
        return service->executor->execute(service->executor->context, ticket, out_outcome, err);
    ticket_took(ticket, "optimize", 0.5);
    struct artifact_row *artifact = ARENA_NEW(ticket->arena, struct artifact_row, err);
    const char *blob = NULL;
    struct run_outcome outcome = {
        .accuracy = 0.9 - 0.01 * (double)ticket->seed,
        .loss = 0.05 + 0.01 * (double)ticket->seed,
        .agreement = 0.98,
        .seconds = 1.5,
        .artifacts = artifact,
        .artifact_count = 1,
    };
    if (artifact == NULL || !make_result(ticket, &outcome, err) ||
        !store_text(store_blobs(service->store), "0123456789", ticket->arena, &blob, err))
        return false;
    *artifact = (struct artifact_row){
        .name = "model.onnx", .media_type = "application/octet-stream", .blob = blob, .bytes = 10};
    if (atomic_load(&service->mode) == SERVICE_BARE)
        outcome.detail_count = 0;
    *out_outcome = outcome;
    return true;
}

/* ---- start and stop ---- */

static void start_server(struct service *service)
{
    struct error err = {0};
    struct http_options options = http_default_options;
    ck_assert_ok(http_listen("127.0.0.1", 0, &options.listen_fd, &err), &err);
    service->port = http_listen_port(options.listen_fd);
    options.tables = api_tables();
    options.context = service->api;
    options.problem = api_problem;
    options.authorize = api_authorize;
    ck_assert_ok(http_server_start(&options, &service->server, &err), &err);
    api_set_server(service->api, service->server);
}

void service_start(struct service *service, bool tokens)
{
    const struct service_options options = {.tokens = tokens, .limits = {.queued_runs = 100}};
    service_start_with(service, &options);
}

void service_start_with(struct service *service, const struct service_options *options)
{
    struct error err = {0};
    *service = (struct service){.arena = arena_create(0), .executor = options->executor};
    support_make_directory(service->directory, sizeof(service->directory));
    sample_files_create(service->arena, SERVICE_SAMPLES, &service->files);
    const struct store_options store_options = {.limits = options->limits};
    ck_assert_ok(store_open(service->directory, &store_options, &service->store, &err), &err);
    const struct jobs_options jobs_options = {.workers = 2,
                                              .executor = {.execute = execute, .context = service}};
    ck_assert_ok(jobs_create(service->store, &jobs_options, &service->jobs, &err), &err);
    const struct api_options api_options = {
        .store = service->store,
        .jobs = service->jobs,
        .open = !options->tokens,
        .private = options->private,
        .model_bytes = 1 << 20,
        .dataset_bytes = 1 << 20,
        .import_bytes = 64 << 20,
        .priority_limit = SERVICE_PRIORITY_LIMIT,
        .watchers = SERVICE_WATCHERS,
        .watchers_per_owner = options->watchers_per_owner,
        .heartbeat_ms = SERVICE_HEARTBEAT_MS,
    };
    ck_assert_ok(api_create(&api_options, &service->api, &err), &err);
    start_server(service);
    ck_assert_ok(jobs_start(service->jobs, &err), &err);
    api_set_ready(service->api, true);
}

void service_stop(struct service *service)
{
    api_set_server(service->api, NULL);
    http_server_stop(service->server, 2000);
    jobs_stop(service->jobs);
    api_destroy(service->api);
    jobs_destroy(service->jobs);
    store_close(service->store);
    support_remove_tree(service->directory);
    arena_destroy(service->arena);
}

static bool apply_token(struct database *database, void *context, struct error *err)
{
    return token_row_insert(database, context, err);
}

void service_add_limited(struct service *service, struct token_row *row, const char *token)
{
    struct error err = {0};
    char digest[DIGEST_HEX_BYTES];
    ck_assert_ok(digest_bytes(token, strlen(token), digest, &err), &err);
    row->digest = digest;
    ck_assert_ok(store_write_now(service->store, apply_token, row, &err), &err);
    row->digest = NULL;
}

void service_add_token(struct service *service, const char *name, const char *role,
                       const char *token)
{
    struct token_row row = {.name = name, .role = role};
    service_add_limited(service, &row, token);
}

/* ---- exchanges ---- */

const struct json *service_call(struct service *service, const char *method, const char *target,
                                const char *headers, const void *body, size_t size, int status)
{
    struct reply reply = client_call(service->port, method, target, headers, body, size);
    ck_assert_msg(reply.status == status, "%s %s: %d, not %d: %s", method, target, reply.status,
                  status, reply.body != NULL ? reply.body : "(no reply)");
    struct json *value = NULL;
    struct error err = {0};
    if (reply.size > 0)
        ck_assert_ok(json_parse(service->arena, reply.body, reply.size, NULL, &value, &err), &err);
    reply_free(&reply);
    return value;
}

const struct json *service_get(struct service *service, const char *target, int status)
{
    return service_call(service, "GET", target, NULL, NULL, 0, status);
}

const struct json *service_member(const struct json *object, const char *key)
{
    const struct json *member = json_find(object, key);
    ck_assert_msg(member != NULL, "there is no member \"%s\"", key);
    return member;
}

const char *service_text(const struct json *object, const char *key)
{
    const char *text = NULL;
    struct error err = {0};
    ck_assert_ok(json_as_string(service_member(object, key), &text, &err), &err);
    return text;
}

double service_number(const struct json *object, const char *key)
{
    double number = 0;
    struct error err = {0};
    ck_assert_ok(json_as_number(service_member(object, key), -1e300, 1e300, &number, &err), &err);
    return number;
}

const char *service_upload(struct service *service, const char *target,
                           const struct sample_file *file)
{
    struct reply reply = client_call(service->port, "POST", target, NULL, file->bytes, file->size);
    ck_assert_msg(reply.status == 200 || reply.status == 201, "POST %s: %d: %s", target,
                  reply.status, reply.body);
    struct json *value = NULL;
    struct error err = {0};
    ck_assert_ok(json_parse(service->arena, reply.body, reply.size, NULL, &value, &err), &err);
    reply_free(&reply);
    return service_text(value, "id");
}

const char *service_spec(struct service *service, const char *more)
{
    const char *model = service_upload(service, "/v1/models", &service->files.model);
    const char *calibration = service_upload(service, "/v1/datasets", &service->files.calibration);
    const char *evaluation = service_upload(service, "/v1/datasets", &service->files.evaluation);
    const char *labels = service_upload(service, "/v1/datasets", &service->files.labels);
    return arena_printf(service->arena, NULL,
                        "{\"model\":\"%s\",\"calibration\":\"%s\","
                        "\"evaluation\":{\"id\":\"%s\",\"labels\":\"%s\"}%s}",
                        model, calibration, evaluation, labels, more);
}

const char *service_submit(struct service *service, const char *spec)
{
    const struct json *job =
        service_call(service, "POST", "/v1/jobs", NULL, spec, strlen(spec), 202);
    return service_text(job, "id");
}

const char *service_finish(struct service *service, const char *job)
{
    const char *target = arena_printf(service->arena, NULL, "/v1/jobs/%s?wait=10", job);
    return service_text(service_get(service, target, 200), "state");
}
