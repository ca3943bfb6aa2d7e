/* The queue as clients steer it: pauses, priorities, and who may. */

#include "service.h"

#include "event_client.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
    atomic_store(&service.mode, SERVICE_WAIT);
}

static void setup_tokens(void)
{
    service_start(&service, true);
    service_add_token(&service, "anna", "submit", "anna-token");
    service_add_token(&service, "root", "admin", "root-token");
}

static void teardown(void)
{
    service_stop(&service);
}

static const char anna[] = "Authorization: Bearer anna-token\r\n";
static const char root[] = "Authorization: Bearer root-token\r\n";

static const struct json *post(const char *target, int status)
{
    return service_call(&service, "POST", target, NULL, "", 0, status);
}

static bool flag(const struct json *object, const char *key)
{
    bool value = false;
    struct error err = {0};
    ck_assert_ok(json_as_bool(service_member(object, key), &value, &err), &err);
    return value;
}

static const char *target_of(const char *job, const char *rest)
{
    return arena_printf(service.arena, NULL, "/v1/jobs/%s%s", job, rest);
}

/* Waits until the queue runs so many. */
static const struct json *wait_for_running(int running)
{
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; client_now_ms() < end; usleep(5000)) {
        const struct json *queue = service_get(&service, "/v1/queue", 200);
        if ((int)service_number(queue, "running") == running &&
            (int)json_count(service_member(queue, "runs")) == running)
            return queue;
    }
    ck_abort_msg("the queue does not run %d", running);
    return NULL;
}

START_TEST(the_queue_is_paused_and_resumed)
{
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":3"));
    const struct json *queue = wait_for_running(2);
    ck_assert(!flag(queue, "paused"));
    ck_assert_double_eq(service_number(queue, "workers"), 2);
    ck_assert_double_eq(service_number(queue, "queued"), 1);
    const struct json *run = json_first(service_member(queue, "runs"));
    ck_assert_str_eq(service_text(run, "job"), job);
    ck_assert(json_find(service_member(run, "progress"), "step") != NULL);

    struct event_client client;
    struct event event;
    event_client_open(&client, service.port, "/v1/events", NULL);
    ck_assert(event_client_find(&client, "snapshot", &event));
    ck_assert(support_contains(event.data, "{\"paused\":false"));
    event_free(&event);
    ck_assert(flag(post("/v1/queue/pause?now=yes", 200), "paused"));
    queue = wait_for_running(0);
    ck_assert_double_eq(service_number(queue, "queued"), 3);
    ck_assert(event_client_find(&client, "snapshot", &event));
    ck_assert_msg(support_contains(event.data, "{\"paused\":true"), "%s", event.data);
    event_free(&event);
    event_client_close(&client);
    ck_assert(!flag(post("/v1/queue/resume", 200), "paused"));
    wait_for_running(2);
    post("/v1/queue/pause?now=maybe", 422);
    post("/v1/queue/pause?then=1", 422);
}
END_TEST

START_TEST(a_job_is_paused_and_resumed)
{
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":3"));
    wait_for_running(2);
    ck_assert(!flag(service_get(&service, target_of(job, ""), 200), "paused"));
    ck_assert(flag(post(target_of(job, "/pause"), 200), "paused"));
    atomic_store(&service.mode, SERVICE_SUCCEED); /* the two that run end, the third waits */
    const struct json *progress;
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    do {
        ck_assert(client_now_ms() < end);
        progress = service_member(service_get(&service, target_of(job, ""), 200), "progress");
    } while (service_number(progress, "succeeded") < 2);
    ck_assert_double_eq(service_number(progress, "queued"), 1);
    ck_assert_double_eq(service_number(progress, "running"), 0);
    ck_assert(!flag(post(target_of(job, "/resume"), 200), "paused"));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    post(target_of(job, "/pause"), 409);
    post(target_of("j99", "/pause"), 404);
}
END_TEST

static const char *retry_after(const char *method, const char *target, const char *body)
{
    static char value[16];
    struct reply reply =
        client_call(service.port, method, target, NULL, body, body != NULL ? strlen(body) : 0);
    ck_assert_int_eq(reply.status / 100, 2);
    const char *found = reply_header(&reply, "Retry-After", value, sizeof(value));
    reply_free(&reply);
    return found;
}

/* Law: what is not finished says when to ask again; what is finished does not. */
START_TEST(unfinished_work_says_when_to_ask_again)
{
    const char *spec = service_spec(&service, ",\"seeds\":3");
    service_call(&service, "POST", "/v1/queue/pause", NULL, "", 0, 200);
    ck_assert_str_eq(retry_after("POST", "/v1/jobs", spec), "5"); /* nothing is known yet */
    service_call(&service, "POST", "/v1/queue/resume", NULL, "", 0, 200);
    wait_for_running(2);
    ck_assert_str_eq(retry_after("GET", "/v1/runs/j1-v000-s2", NULL), "5");
    const struct json *progress; /* 3 seconds are left of it */
    do
        progress = service_member(service_get(&service, "/v1/runs/j1-v000-s0", 200), "progress");
    while (service_number(progress, "unit") < 1);
    ck_assert_str_eq(retry_after("GET", "/v1/runs/j1-v000-s0", NULL), "2");
    ck_assert_ptr_nonnull(retry_after("GET", "/v1/jobs/j1", NULL));
    ck_assert_ptr_null(retry_after("GET", "/v1/jobs/j1?wait=1", NULL));
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_finish(&service, "j1");
    ck_assert_ptr_null(retry_after("GET", "/v1/jobs/j1", NULL));
    ck_assert_ptr_null(retry_after("GET", "/v1/runs/j1-v000-s0", NULL));
}
END_TEST

/* Laws: who submits can't put his job before everybody's; may put it behind; an administrator may
 * both. The refusal names the limit. */
START_TEST(priorities_have_a_limit)
{
    service_call(&service, "POST", "/v1/models", root, service.files.model.bytes,
                 service.files.model.size, 201);
    const struct json *data =
        service_call(&service, "POST", "/v1/datasets", root, service.files.calibration.bytes,
                     service.files.calibration.size, 201);
    const struct json *models = service_call(&service, "GET", "/v1/models", root, NULL, 0, 200);
    const char *model = service_text(json_first(service_member(models, "items")), "id");
    static const struct {
        const char *headers;
        int priority, status;
    } rows[] = {
        {anna, SERVICE_PRIORITY_LIMIT, 202},
        {anna, SERVICE_PRIORITY_LIMIT + 1, 422},
        {anna, -100, 202},
        {root, 100, 202},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *spec = arena_printf(service.arena, NULL,
                                        "{\"model\":\"%s\",\"calibration\":\"%s\",\"priority\":%d}",
                                        model, service_text(data, "id"), rows[i].priority);
        const struct json *answer = service_call(&service, "POST", "/v1/jobs", rows[i].headers,
                                                 spec, strlen(spec), rows[i].status);
        if (rows[i].status != 422)
            continue;
        ck_assert_str_eq(service_text(answer, "pointer"), "/priority");
        ck_assert_str_eq(service_text(answer, "detail"),
                         "priority is 6; for \"anna\" it is at most 5");
    }
}
END_TEST

START_TEST(only_administrators_pause_the_queue)
{
    service_call(&service, "POST", "/v1/queue/pause", anna, "", 0, 403);
    service_call(&service, "POST", "/v1/queue/resume", anna, "", 0, 403);
    service_call(&service, "POST", "/v1/queue/pause", root, "", 0, 200);
    service_call(&service, "POST", "/v1/queue/resume", root, "", 0, 200);
    service_call(&service, "GET", "/v1/queue", anna, NULL, 0, 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("queue");
    TCase *tcase = tcase_create("queue");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_queue_is_paused_and_resumed);
    tcase_add_test(tcase, a_job_is_paused_and_resumed);
    tcase_add_test(tcase, unfinished_work_says_when_to_ask_again);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, priorities_have_a_limit);
    tcase_add_test(tokens, only_administrators_pause_the_queue);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
