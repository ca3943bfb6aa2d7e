/* /openapi.json is what the service does: real requests of every route, computed by real runs, are
 * held against the document, and everything that the document says of a success must be shown. */

#include "event_client.h"
#include "openapi_check.h"
#include "service.h"

#include "runner.h"
#include "support.h"

#include "ptqd/api/api.h"
#include "ptqd/flow/shared.h"
#include "ptqd/http/route.h"
#include "ptqd/jobs/admission.h"
#include "ptqd/nn/npy.h"

#include <string.h>

static struct service service;
static struct openapi openapi;
static struct runner runner;

/* What is there, by the names that targets and bodies have for it: "<model>". */
static struct things {
    const char *model, *data, *evaluation, *labels, *job, *large, *cursor;
} things;

static const struct {
    const char *name;
    const char **value;
} names[] = {
    {"<model>", &things.model},   {"<data>", &things.data}, {"<evaluation>", &things.evaluation},
    {"<labels>", &things.labels}, {"<job>", &things.job},   {"<large>", &things.large},
    {"<cursor>", &things.cursor},
};

/* The text with what is there in place of its names. */
static const char *fill(const char *text)
{
    const char *filled = "";
    while (text != NULL && *text != '\0') {
        size_t plain = strcspn(text, "<");
        const char *value = "", *at = text + plain;
        for (size_t i = 0; *at != '\0' && i < sizeof(names) / sizeof(names[0]); i++) {
            if (strncmp(at, names[i].name, strlen(names[i].name)) == 0)
                value = *names[i].value;
        }
        ck_assert_msg(value != NULL, "%s is not there yet", at);
        filled = arena_printf(service.arena, NULL, "%s%.*s%s", filled, (int)plain, text, value);
        text = at + strcspn(at, ">") + (*at != '\0');
    }
    return filled;
}

/* ---- requests that are made one after the other ---- */

#define FILES "\"model\":\"<model>\",\"calibration\":\"<data>\""
#define SPEC                                                                                       \
    "{" FILES ",\"evaluation\":{\"id\":\"<evaluation>\",\"labels\":\"<labels>\"},\"seeds\":2,"     \
    "\"name\":\"first\",\"labels\":{\"team\":\"a\"},\"pipeline\":{\"weights\":{\"bits\":[4,8]},"   \
    "\"layers\":[{\"match\":\"first\",\"weights\":{\"bits\":8}}],"                                 \
    "\"report\":{\"sensitivity\":true}}}"
#define SMALL "{" FILES ",\"seeds\":[7]}"
#define FORM  "--XX\r\nContent-Disposition: form-data; name=\"spec\"\r\n\r\n" SMALL "\r\n--XX--\r\n"

/* Tables for people. */
#define TABLES(pattern, target)                                                                    \
    {"GET", pattern, target, .headers = "Accept: text/markdown\r\n", .status = 200},               \
    {                                                                                              \
        "GET", pattern, target, .headers = "Accept: text/plain\r\n", .status = 200                 \
    }

static struct sample_file other_model; /* the same network with a comment */
static struct sample_file filling;     /* leaves no room for another file */

static const struct step {
    const char *method, *pattern;
    const char *target;             /* NULL: the pattern */
    const char *headers;            /* whole lines; NULL: none */
    const struct sample_file *file; /* as the body */
    const char *body;               /* or this; NULL: none */
    int status;
    enum service_mode mode; /* of the runs, from now on */
    const char **keep;      /* "id" of the answer; NULL: not needed */
} steps[] = {
    {"GET", "/openapi.json", .status = 200},
    {"GET", "/openapi.json", .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/", .status = 200},
    {"GET", "/", .headers = "Accept: text/html\r\n", .status = 200},
    {"GET", "/", .headers = "Accept: text/html\r\nIf-None-Match: *\r\n", .status = 304},
    {"GET", "/web/{name}", "/web/app.js", .status = 200},
    {"GET", "/web/{name}", "/web/app.js", .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/web/{name}", "/web/index.html", .status = 200},
    {"GET", "/web/{name}", "/web/style.css", .status = 200},
    {"GET", "/web/{name}", "/web/icon.svg", .status = 200},
    {"GET", "/web/{name}", "/web/inter.woff2", .status = 200},
    {"GET", "/web/{name}", "/web/nothing.js", .status = 404},
    {"GET", "/healthz", .status = 200},
    {"GET", "/readyz", .status = 200},
    {"GET", "/v1/me", .status = 200},
    {"GET", "/metrics", .status = 200},
    {"GET", "/v1/catalog", .status = 200},
    {"GET", "/v1/catalog", .headers = "If-None-Match: *\r\n", .status = 304},

    {"POST", "/v1/models", .body = "nonsense", .status = 400},
    {"POST", "/v1/models", "/v1/models?id=sha256:1", .body = "nonsense", .status = 422},
    {"POST", "/v1/models", "/v1/models?name=net", .file = &service.files.model, .status = 201,
     .keep = &things.model},
    {"POST", "/v1/models", "/v1/models?id=<model>", .status = 200},
    {"POST", "/v1/models", .file = &other_model, .status = 201},
    {"GET", "/v1/models", "/v1/models?limit=1", .status = 200, .keep = &things.cursor},
    {"GET", "/v1/models", "/v1/models?cursor=<cursor>", .status = 200},
    {"GET", "/v1/models", "/v1/models?cursor=nonsense", .status = 422},
    {"GET", "/v1/models/{id}", "/v1/models/<model>", .status = 200},
    {"GET", "/v1/models/{id}/graph", "/v1/models/<model>/graph", .status = 200},
    {"GET", "/v1/models/{id}/graph", "/v1/models/<model>/graph", .headers = "If-None-Match: *\r\n",
     .status = 304},
    {"GET", "/v1/models/{id}/file", "/v1/models/<model>/file", .status = 200},
    {"GET", "/v1/models/{id}/file", "/v1/models/<model>/file", .headers = "Range: bytes=1-2\r\n",
     .status = 206},
    {"GET", "/v1/models/{id}/file", "/v1/models/<model>/file", .headers = "If-None-Match: *\r\n",
     .status = 304},

    {"POST", "/v1/datasets", "/v1/datasets?name=c&scale=1&zero_point=0",
     .file = &service.files.calibration, .status = 201, .keep = &things.data},
    {"POST", "/v1/datasets", .file = &service.files.evaluation, .status = 201,
     .keep = &things.evaluation},
    {"POST", "/v1/datasets", .file = &service.files.labels, .status = 201, .keep = &things.labels},
    {"POST", "/v1/datasets", "/v1/datasets?id=<data>", .status = 200},
    {"POST", "/v1/datasets", "/v1/datasets?scale=2", .file = &service.files.calibration,
     .status = 409},
    {"POST", "/v1/datasets", .body = "\x93NUMPY", .status = 400},
    {"GET", "/v1/datasets", "/v1/datasets?limit=1", .status = 200, .keep = &things.cursor},
    {"GET", "/v1/datasets", "/v1/datasets?cursor=<cursor>", .status = 200},
    {"GET", "/v1/datasets/{id}", "/v1/datasets/<data>", .status = 200},
    {"GET", "/v1/datasets/{id}", "/v1/datasets/<labels>", .status = 200},
    {"GET", "/v1/datasets/{id}/file", "/v1/datasets/<data>/file", .status = 200},
    {"GET", "/v1/datasets/{id}/file", "/v1/datasets/<data>/file", .headers = "Range: bytes=1-2\r\n",
     .status = 206},
    {"GET", "/v1/datasets/{id}/file", "/v1/datasets/<data>/file", .headers = "If-None-Match: *\r\n",
     .status = 304},

    {"POST", "/v1/jobs/estimate", .body = SMALL, .status = 200},
    {"POST", "/v1/jobs/estimate", .body = "{\"seedz\":1}", .status = 422},
    {"POST", "/v1/jobs/estimate", .body = "[", .status = 400},
    {"POST", "/v1/jobs", .body = "{\"seedz\":1}", .status = 422},
    {"POST", "/v1/jobs", .body = "[", .status = 400},
    {"POST", "/v1/jobs", .body = "{" FILES ",\"seeds\":1000}", .status = 429},
    {"POST", "/v1/jobs", .headers = "Content-Type: multipart/form-data; boundary=XX\r\n",
     .body = FORM, .status = 202, .keep = &things.job},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>?wait=10", .status = 200},
    {"POST", "/v1/jobs", .headers = "Idempotency-Key: 1\r\n", .body = SPEC, .status = 202,
     .keep = &things.job},
    {"POST", "/v1/jobs", .headers = "Idempotency-Key: 1\r\n", .body = SPEC, .status = 202},
    {"POST", "/v1/jobs", .headers = "Idempotency-Key: 1\r\n", .body = SMALL, .status = 422},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>?wait=10", .status = 200},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>", .headers = "If-None-Match: *\r\n", .status = 304},
    {"PATCH", "/v1/jobs/{id}", "/v1/jobs/<job>",
     .body = "{\"name\":\"second\",\"labels\":{\"team\":\"a\"},\"priority\":1}", .status = 200},
    {"PATCH", "/v1/jobs/{id}", "/v1/jobs/<job>", .headers = "If-Match: \"old\"\r\n",
     .body = "{\"priority\":2}", .status = 412},
    {"PATCH", "/v1/jobs/{id}", "/v1/jobs/<job>", .body = "{\"seeds\":2}", .status = 422},
    {"GET", "/v1/jobs", "/v1/jobs?limit=1&owner=local&label=team=a&text=sec&state=succeeded",
     .status = 200},
    {"GET", "/v1/jobs", "/v1/jobs?limit=1", .status = 200, .keep = &things.cursor},
    {"GET", "/v1/jobs", "/v1/jobs?cursor=<cursor>", .status = 200},
    {"GET", "/v1/jobs/{id}/runs", "/v1/jobs/<job>/runs?limit=1&state=succeeded", .status = 200,
     .keep = &things.cursor},
    {"GET", "/v1/jobs/{id}/runs", "/v1/jobs/<job>/runs?cursor=<cursor>", .status = 200},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .status = 200},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .headers = "If-None-Match: *\r\n",
     .status = 304},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .headers = "Accept: text/csv\r\n",
     .status = 200},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .headers = "Accept: text/markdown\r\n",
     .status = 200},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .headers = "Accept: text/plain\r\n",
     .status = 200},
    {"GET", "/v1/runs/{id}", "/v1/runs/<job>-v000-s0?wait=1", .status = 200},
    {"GET", "/v1/runs/{id}", "/v1/runs/<job>-v000-s0", .headers = "If-None-Match: *\r\n",
     .status = 304},
    {"GET", "/v1/runs/{id}/layers", "/v1/runs/<job>-v000-s0/layers", .status = 200},
    {"GET", "/v1/runs/{id}/layers", "/v1/runs/<job>-v000-s0/layers",
     .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/v1/runs/{id}/layers", "/v1/runs/<job>-v000-s0/layers",
     .headers = "Accept: text/markdown\r\n", .status = 200},
    {"GET", "/v1/runs/{id}/layers", "/v1/runs/<job>-v000-s0/layers",
     .headers = "Accept: text/plain\r\n", .status = 200},
    {"GET", "/v1/runs/{id}/memory", "/v1/runs/<job>-v000-s0/memory", .status = 200},
    {"GET", "/v1/runs/{id}/memory", "/v1/runs/<job>-v000-s0/memory",
     .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/v1/runs/{id}/losses", "/v1/runs/<job>-v000-s0/losses", .status = 200},
    {"GET", "/v1/runs/{id}/losses", "/v1/runs/<job>-v000-s0/losses",
     .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/v1/runs/{id}/histograms", "/v1/runs/<job>-v000-s0/histograms", .status = 200},
    {"GET", "/v1/runs/{id}/histograms", "/v1/runs/<job>-v000-s0/histograms",
     .headers = "If-None-Match: *\r\n", .status = 304},
    {"GET", "/v1/runs/{id}/log", "/v1/runs/<job>-v000-s0/log", .status = 200},
    {"GET", "/v1/runs/{id}/log", "/v1/runs/<job>-v000-s0/log", .headers = "If-None-Match: *\r\n",
     .status = 304},
    {"GET", "/v1/runs/{id}/artifacts", "/v1/runs/<job>-v000-s0/artifacts", .status = 200},
    {"POST", "/v1/jobs/estimate", .body = SPEC, .status = 200},
    {"GET", "/v1/runs/{id}/artifacts/{name}", "/v1/runs/<job>-v000-s0/artifacts/model.onnx",
     .status = 200},
    {"GET", "/v1/runs/{id}/artifacts/{name}", "/v1/runs/<job>-v000-s0/artifacts/model.onnx",
     .headers = "Range: bytes=1-2\r\n", .status = 206},
    {"GET", "/v1/runs/{id}/artifacts/{name}", "/v1/runs/<job>-v000-s0/artifacts/model.onnx",
     .headers = "If-None-Match: *\r\n", .status = 304},
    TABLES("/v1/jobs", NULL),
    TABLES("/v1/jobs/{id}", "/v1/jobs/<job>"),
    TABLES("/v1/jobs/{id}/runs", "/v1/jobs/<job>/runs"),
    TABLES("/v1/runs/{id}", "/v1/runs/<job>-v000-s0"),
    TABLES("/v1/models", NULL),
    TABLES("/v1/datasets", NULL),
    TABLES("/v1/queue", NULL),
    {"POST", "/v1/jobs/{id}/retry", "/v1/jobs/<job>/retry", .status = 409},
    {"DELETE", "/v1/jobs/{id}", "/v1/jobs/<job>", .status = 204},

    /* a job that waits and runs */
    {"POST", "/v1/jobs", .body = SMALL, .status = 202, .mode = SERVICE_WAIT, .keep = &things.job},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>", .status = 200, .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}", "/v1/runs/<job>-v000-s7", .status = 200, .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}/layers", "/v1/runs/<job>-v000-s7/layers", .status = 409,
     .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}/memory", "/v1/runs/<job>-v000-s7/memory", .status = 409,
     .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}/losses", "/v1/runs/<job>-v000-s7/losses", .status = 409,
     .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}/histograms", "/v1/runs/<job>-v000-s7/histograms", .status = 409,
     .mode = SERVICE_WAIT},
    {"GET", "/v1/runs/{id}/log", "/v1/runs/<job>-v000-s7/log", .status = 200, .mode = SERVICE_WAIT},
    {"DELETE", "/v1/jobs/{id}", "/v1/jobs/<job>", .status = 409, .mode = SERVICE_WAIT},
    {"DELETE", "/v1/models/{id}", "/v1/models/<model>", .status = 409, .mode = SERVICE_WAIT},
    {"DELETE", "/v1/datasets/{id}", "/v1/datasets/<data>", .status = 409, .mode = SERVICE_WAIT},
    {"GET", "/v1/queue", .status = 200, .mode = SERVICE_WAIT},
    {"POST", "/v1/queue/pause", "/v1/queue/pause?now=false", .status = 200, .mode = SERVICE_WAIT},
    {"POST", "/v1/queue/resume", .status = 200, .mode = SERVICE_WAIT},
    {"POST", "/v1/jobs/{id}/pause", "/v1/jobs/<job>/pause?now=true", .status = 200,
     .mode = SERVICE_WAIT},
    {"POST", "/v1/jobs/{id}/resume", "/v1/jobs/<job>/resume", .status = 200, .mode = SERVICE_WAIT},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/<job>/cancel", .status = 200, .mode = SERVICE_WAIT},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>?wait=10", .status = 200, .mode = SERVICE_WAIT},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/<job>/cancel", .status = 409},
    {"POST", "/v1/jobs/{id}/pause", "/v1/jobs/<job>/pause", .status = 409},
    {"POST", "/v1/jobs/{id}/resume", "/v1/jobs/<job>/resume", .status = 409},

    /* a job that fails */
    {"POST", "/v1/jobs", .body = SMALL, .status = 202, .mode = SERVICE_FAIL, .keep = &things.job},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>?wait=10", .status = 200, .mode = SERVICE_FAIL},
    {"GET", "/v1/runs/{id}", "/v1/runs/<job>-v000-s7", .status = 200},
    {"GET", "/v1/jobs/{id}/report", "/v1/jobs/<job>/report", .status = 200},
    {"POST", "/v1/queue/pause", .status = 200},
    {"POST", "/v1/jobs", .body = "{" FILES ",\"seeds\":100}", .status = 202, .keep = &things.large},
    {"POST", "/v1/jobs/{id}/retry", "/v1/jobs/<job>/retry", .status = 429},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/<large>/cancel", .status = 200},
    {"POST", "/v1/queue/resume", .status = 200},
    {"POST", "/v1/jobs/{id}/retry", "/v1/jobs/<job>/retry", .status = 200},
    {"GET", "/v1/jobs/{id}", "/v1/jobs/<job>?wait=10", .status = 200},
};

static const struct step last_steps[] = {
    {"DELETE", "/v1/datasets/{id}", "/v1/datasets/<data>", .status = 204},
    {"DELETE", "/v1/models/{id}", "/v1/models/<model>", .status = 204},
    {"POST", "/v1/datasets", .file = &filling, .status = 201},
    {"POST", "/v1/datasets", .file = &service.files.calibration, .status = 429},
    {"POST", "/v1/models", .file = &service.files.model, .status = 429},
};

static struct reply call(const char *method, const char *target, const char *headers,
                         const char *body)
{
    return client_call(service.port, method, target, headers, body,
                       body != NULL ? strlen(body) : 0);
}

/* Remembers the id of an object, or the cursor of a page. */
static void keep(const struct reply *reply, const char **out)
{
    struct error err = {.message = ""};
    struct json *value;
    ck_assert_ok(json_parse(service.arena, reply->body, reply->size, NULL, &value, &err), &err);
    *out = service_text(value, out == &things.cursor ? "next" : "id");
}

static void take(const struct step *step)
{
    const char *target = fill(step->target != NULL ? step->target : step->pattern);
    const char *body = step->body != NULL ? fill(step->body) : NULL;
    const char *headers = step->headers != NULL ? fill(step->headers) : NULL;
    atomic_store(&service.mode, step->mode);
    struct reply reply = step->file == NULL
                             ? call(step->method, target, headers, body)
                             : client_call(service.port, step->method, target, headers,
                                           step->file->bytes, step->file->size);
    ck_assert_msg(reply.status == step->status, "%s %s: %d, not %d: %s", step->method, target,
                  reply.status, step->status, reply.body);
    openapi_check(&openapi, step->method, step->pattern, target, step->file != NULL ? "" : body,
                  &reply);
    if (step->keep != NULL)
        keep(&reply, step->keep);
    reply_free(&reply);
}

/* ---- streams ---- */

/* The id of the next event of this name. */
static const char *watch(struct event_client *client, const char *pattern, const char *name)
{
    struct event event;
    ck_assert_msg(event_client_find(client, name, &event), "%s: no event \"%s\"", pattern, name);
    openapi_check_event(&openapi, pattern, event.name, event.data);
    const char *id = arena_strdup(service.arena, event.id, NULL);
    event_free(&event);
    return id;
}

static void open_stream(struct event_client *client, const char *pattern, const char *target)
{
    char nothing[] = "";
    event_client_open(client, service.port, target, NULL);
    const struct reply opened = {.status = client->status, .head = client->head, .body = nothing};
    openapi_check(&openapi, "GET", pattern, target, NULL, &opened);
}

static void watch_jobs(void)
{
    static const char all[] = "/v1/events", one[] = "/v1/jobs/{id}/events";
    struct event_client jobs, job;
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *id = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    const char *events = arena_printf(service.arena, NULL, "/v1/jobs/%s/events", id);
    open_stream(&jobs, all, "/v1/events?owner=local");
    open_stream(&job, one, events);
    watch(&jobs, all, "snapshot");
    watch(&job, one, "job");
    watch(&job, one, "progress");
    atomic_store(&service.mode, SERVICE_SUCCEED);
    watch(&jobs, all, "progress");
    const char *end = watch(&job, one, "end");
    struct reply reply =
        call("GET", events, arena_printf(service.arena, NULL, "Last-Event-ID: %s\r\n", end), NULL);
    ck_assert_int_eq(reply.status, 204);
    openapi_check(&openapi, "GET", one, events, NULL, &reply);
    reply_free(&reply);
    service_call(&service, "DELETE", arena_printf(service.arena, NULL, "/v1/jobs/%s", id), NULL,
                 NULL, 0, 204);
    watch(&jobs, all, "deleted");
    event_client_close(&jobs);
    event_client_close(&job);
}

/* ---- the service ---- */

static struct sample_file add_comment(const struct sample_file *model)
{
    static const uint8_t comment[] = {6 << 3 | 2, 1, 'x'}; /* ModelProto.doc_string */
    uint8_t *bytes = arena_alloc(service.arena, model->size + sizeof(comment), NULL);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, model->bytes, model->size);
    memcpy(bytes + model->size, comment, sizeof(comment));
    return (struct sample_file){bytes, model->size + sizeof(comment)};
}

static struct sample_file make_labels(int64_t count)
{
    struct error err = {.message = ""};
    uint8_t *bytes = NULL;
    size_t size = 0;
    const int64_t *values = ARENA_ARRAY(service.arena, int64_t, count, &err);
    ck_assert_ok(values != NULL &&
                     npy_encode(service.arena, "<i8", 1, &count, values, &bytes, &size, &err),
                 &err);
    return (struct sample_file){bytes, size};
}

static void setup(void)
{
    static const struct jobs_executor executor = {.execute = runner_execute, .context = &runner};
    enum { RUN_BYTES = 256 << 20, STORED_BYTES = 64 << 10, FILLING = 6600 };
    const struct service_options options = {
        .limits = {.queued_runs = 100, .stored_bytes = STORED_BYTES},
        .executor = &executor,
    };
    struct error err = {.message = ""};
    service_start_with(&service, &options);
    runner = (struct runner){.blobs = store_blobs(service.store),
                             .shared = shared_create(RUN_BYTES),
                             .directory = service.directory,
                             .run_bytes = RUN_BYTES,
                             .checkpoint_seconds = 1000};
    ck_assert_ok(admission_create(2 * RUN_BYTES, &runner.admission, &err), &err);
    other_model = add_comment(&service.files.model);
    filling = make_labels(FILLING);
    openapi_fetch(&openapi, &service);
}

static void teardown(void)
{
    service_stop(&service);
    admission_destroy(runner.admission);
    shared_destroy(runner.shared);
}

START_TEST(every_route_answers_as_documented)
{
    const struct http_route *route;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        take(&steps[i]);
    watch_jobs();
    for (size_t i = 0; i < sizeof(last_steps) / sizeof(last_steps[0]); i++)
        take(&last_steps[i]);
    for (size_t i = 0; (route = http_route_at(api_tables(), i)) != NULL; i++)
        openapi_check_seen(&openapi, route->method, route->pattern, route->problems);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi_answers");
    TCase *tcase = tcase_create("openapi_answers");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_route_answers_as_documented);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
