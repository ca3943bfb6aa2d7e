#include "session.h"

#include "support.h"

#include <string.h>
#include <unistd.h>

static struct error err;

void session_open(struct session *session, int64_t samples)
{
    *session = (struct session){.arena = arena_create(0)};
    support_make_directory(session->directory, sizeof(session->directory));
    sample_files_create(session->arena, samples, &session->files);
}

void session_close(struct session *session)
{
    support_remove_tree(session->directory);
    arena_destroy(session->arena);
}

static const struct json *exchange(struct session *session, const char *method, const char *target,
                                   const void *body, size_t size, int status)
{
    struct reply reply =
        client_call(session->program.port, method, target, session->headers, body, size);
    ck_assert_msg(reply.status == status, "%s %s: %d %s", method, target, reply.status, reply.body);
    struct json *value = NULL;
    if (reply.size > 0)
        ck_assert_ok(json_parse(session->arena, reply.body, reply.size, NULL, &value, &err), &err);
    reply_free(&reply);
    return value;
}

const struct json *session_call(struct session *session, const char *method, const char *target,
                                const char *body, int status)
{
    return exchange(session, method, target, body, body != NULL ? strlen(body) : 0, status);
}

const struct json *session_get(struct session *session, const char *target)
{
    return session_call(session, "GET", target, NULL, 200);
}

const char *session_text(const struct json *object, const char *key)
{
    const char *text = NULL;
    ck_assert_ok(json_as_string(json_find(object, key), &text, &err), &err);
    return text;
}

double session_number(const struct json *object, const char *key)
{
    double number = 0;
    ck_assert_ok(json_as_number(json_find(object, key), -1e300, 1e300, &number, &err), &err);
    return number;
}

static const char *upload(struct session *session, const char *target,
                          const struct sample_file *file)
{
    struct reply reply = client_call(session->program.port, "POST", target, session->headers,
                                     file->bytes, file->size);
    ck_assert_msg(reply.status == 200 || reply.status == 201, "%d %s", reply.status, reply.body);
    struct json *value = NULL;
    ck_assert_ok(json_parse(session->arena, reply.body, reply.size, NULL, &value, &err), &err);
    reply_free(&reply);
    return session_text(value, "id");
}

const char *session_submit(struct session *session, const char *more)
{
    const struct sample_files *files = &session->files;
    const char *model = upload(session, "/v1/models", &files->model);
    const char *calibration = upload(session, "/v1/datasets", &files->calibration);
    const char *evaluation = upload(session, "/v1/datasets", &files->evaluation);
    const char *labels = upload(session, "/v1/datasets", &files->labels);
    const char *spec = arena_printf(session->arena, &err,
                                    "{\"model\":\"%s\",\"calibration\":\"%s\","
                                    "\"evaluation\":{\"id\":\"%s\",\"labels\":\"%s\"},%s}",
                                    model, calibration, evaluation, labels, more);
    return session_text(session_call(session, "POST", "/v1/jobs", spec, 202), "id");
}

const char *session_finish(struct session *session, const char *job)
{
    const char *target = arena_printf(session->arena, &err, "/v1/jobs/%s?wait=8", job);
    const char *state = "queued";
    for (int i = 0; i < 12 && (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0); i++)
        state = session_text(session_get(session, target), "state");
    return state;
}

const struct json *session_wait_for(struct session *session, const char *run, const char *step,
                                    int unit, double fraction)
{
    const char *target = arena_printf(session->arena, &err, "/v1/runs/%s", run);
    const char *seen = NULL;
    for (long end = client_now_ms() + 3L * CLIENT_DEADLINE_MS; client_now_ms() < end;) {
        const struct json *object = session_get(session, target);
        const struct json *progress = json_find(object, "progress");
        bool runs = strcmp(session_text(object, "state"), "running") == 0 &&
                    json_as_string(json_find(progress, "step"), &seen, &err);
        if (runs && (step == NULL || strcmp(seen, step) == 0) &&
            session_number(progress, "unit") > unit &&
            session_number(progress, "fraction") > fraction)
            return object;
        usleep(2000);
    }
    ck_abort_msg("%s has not come to \"%s\", but to \"%s\"", run, step, seen);
    return NULL;
}

const char *session_artifacts(struct session *session, const char *run)
{
    const struct json *object =
        session_get(session, arena_printf(session->arena, &err, "/v1/runs/%s", run));
    return json_print_string(json_find(object, "artifacts"), session->arena, NULL, &err);
}
