/* Streams of events: what they tell, in which order, and who may have how many. */

#include "api_private.h"
#include "service.h"

#include "event_client.h"
#include "support.h"

#include "ptqd/http/server.h"
#include "ptqd/store/store.h"
#include "ptqd/store/token_row.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct service service;
static struct event_client client;
static struct event event;

static void setup(void)
{
    service_start(&service, false);
    atomic_store(&service.mode, SERVICE_WAIT);
}

static void setup_tokens(void)
{
    service_start(&service, true);
}

static void teardown(void)
{
    service_stop(&service);
}

static const char *events_of(const char *job)
{
    return arena_printf(service.arena, NULL, "/v1/jobs/%s/events", job);
}

static const struct json *data_of(const struct event *of)
{
    struct json *value = NULL;
    struct error err = {0};
    ck_assert_ok(json_parse(service.arena, of->data, strlen(of->data), NULL, &value, &err), &err);
    return value;
}

/* The next event that is no comment, as JSON; its name in `event`. */
static const struct json *next(void)
{
    bool found;
    while ((found = event_client_next(&client, &event)) && event.comment)
        event_free(&event);
    ck_assert_msg(found, "no event comes");
    const struct json *data = data_of(&event);
    free(event.data);
    event.data = NULL;
    return data;
}

/* The next event of this name. */
static const struct json *next_of(const char *name)
{
    const struct json *data;
    do
        data = next();
    while (strcmp(event.name, name) != 0);
    return data;
}

/* Law: a stream tells of the job as GET does, of each running run as its document does, and of the
 * end; then it ends. */
START_TEST(a_job_is_told_of_until_its_end)
{
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    event_client_open(&client, service.port, events_of(job), NULL);
    ck_assert_int_eq(client.status, 200);
    const struct json *first = next();
    ck_assert_str_eq(event.name, "job");
    ck_assert_str_ne(event.id, "");
    ck_assert_str_eq(service_text(first, "id"), job);
    ck_assert(service_member(first, "pipeline") != NULL);

    const struct json *runs, *progress;
    do {
        progress = next_of("progress");
        runs = service_member(progress, "runs");
    } while (json_count(runs) < 2);
    const struct json *run = json_first(runs);
    ck_assert_str_eq(service_text(progress, "state"), "running");
    const char *some = arena_printf(service.arena, NULL, "%s-v000-s", job);
    ck_assert(support_contains(service_text(run, "id"), some));
    const struct json *steps = service_member(run, "progress");
    /* The executor may not have said anything yet in the first one. */
    while (json_find(steps, "step") == NULL || service_number(steps, "unit") == 0)
        steps = service_member(json_first(service_member(next_of("progress"), "runs")), "progress");
    ck_assert_str_eq(service_text(steps, "step"), "optimize");
    ck_assert_double_eq(service_number(steps, "unit"), 1);
    ck_assert_double_eq(service_number(steps, "units"), 2);
    ck_assert_double_eq(service_number(steps, "eta_seconds"), 3);

    atomic_store(&service.mode, SERVICE_SUCCEED);
    const struct json *last = next_of("end");
    ck_assert_str_eq(service_text(last, "state"), "succeeded");
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s", job);
    ck_assert(json_equal(last, service_get(&service, target, 200)));
    struct event after;
    ck_assert(!event_client_next(&client, &after));
    ck_assert(client.whole);
    event_client_close(&client);
}
END_TEST

/* Law: who has seen the end is told to stay away; who has not gets it. */
START_TEST(a_finished_job_is_told_once)
{
    atomic_store(&service.mode, SERVICE_SUCCEED);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    service_finish(&service, job);
    event_client_open(&client, service.port, events_of(job), "Last-Event-ID: 1-2\r\n");
    next_of("end");
    const char *seen = arena_printf(service.arena, NULL, "Last-Event-ID: %s\r\n", event.id);
    event_client_close(&client);
    service_call(&service, "GET", events_of(job), seen, NULL, 0, 204);
    service_get(&service, "/v1/jobs/j99/events", 404);
    service_call(&service, "GET", events_of(job), "Accept: application/json\r\n", NULL, 0, 406);
}
END_TEST

/* Law: changes that come fast are told together. */
START_TEST(events_are_few)
{
    enum { MS = 1500, LEAST_MS = 250 };
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    event_client_open(&client, service.port, events_of(job), NULL);
    next();
    int count = 0;
    for (long start = client_now_ms(); client_now_ms() - start < MS; count++)
        next(); /* both runs tell of progress every 200 ms */
    ck_assert_int_ge(count, 1);
    ck_assert_int_le(count, MS / LEAST_MS + 2);
    event_client_close(&client);
}
END_TEST

START_TEST(all_jobs_are_told_of)
{
    const char *spec = service_spec(&service, ",\"seeds\":1");
    const char *old = service_submit(&service, spec);
    event_client_open(&client, service.port, "/v1/events", NULL);
    const struct json *items = service_member(next(), "items");
    ck_assert_str_eq(event.name, "snapshot");
    ck_assert_uint_eq(json_count(items), 1);
    ck_assert_str_eq(service_text(json_first(items), "id"), old);

    const char *new = service_submit(&service, spec);
    const struct json *progress;
    do
        progress = next_of("progress");
    while (strcmp(service_text(progress, "id"), new) != 0);
    atomic_store(&service.mode, SERVICE_SUCCEED);
    do
        progress = next_of("progress");
    while (strcmp(service_text(progress, "state"), "succeeded") != 0);
    service_finish(&service, old);
    service_finish(&service, new);
    service_call(&service, "DELETE", arena_printf(service.arena, NULL, "/v1/jobs/%s", new), NULL,
                 NULL, 0, 204);
    ck_assert_str_eq(service_text(next_of("deleted"), "id"), new);
    event_client_close(&client);
}
END_TEST

/* Law: of an owner without jobs nothing is told, whatever others do; only heartbeats come. */
START_TEST(jobs_of_others_can_be_left_out)
{
    event_client_open(&client, service.port, "/v1/events?owner=anna", NULL);
    ck_assert_uint_eq(json_count(service_member(next(), "items")), 0);
    service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    for (int i = 0; i < 3; i++) {
        ck_assert(event_client_next(&client, &event));
        ck_assert_msg(event.comment, "%s: %s", event.name, event.data);
        event_free(&event);
    }
    event_client_close(&client);
    service_get(&service, "/v1/events?color=red", 422);
}
END_TEST

/* Laws: there are no more watchers than allowed; one that has vanished makes room. */
START_TEST(watchers_are_limited_and_the_vanished_leave)
{
    struct event_client clients[SERVICE_WATCHERS];
    for (int i = 0; i < SERVICE_WATCHERS; i++) {
        event_client_open(&clients[i], service.port, "/v1/events", NULL);
        ck_assert_int_eq(clients[i].status, 200);
    }
    struct reply reply = client_get(service.port, "/v1/events");
    char value[32];
    ck_assert_int_eq(reply.status, 503);
    ck_assert_ptr_nonnull(reply_header(&reply, "Retry-After", value, sizeof(value)));
    ck_assert_msg(support_contains(reply.body, "4 connections watch"), "%s", reply.body);
    reply_free(&reply);
    event_client_close(&clients[0]);
    int status = 503;
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; status != 200 && client_now_ms() < end;) {
        event_client_open(&client, service.port, "/v1/events", NULL);
        status = client.status;
        event_client_close(&client);
        usleep(20000);
    }
    ck_assert_int_eq(status, 200);
    for (int i = 1; i < SERVICE_WATCHERS; i++)
        event_client_close(&clients[i]);
}
END_TEST

static bool remove_token(struct database *database, void *context, struct error *err)
{
    return token_row_delete(database, context, err);
}

START_TEST(a_revoked_token_ends_its_streams)
{
    static const char name[] = "anna", token[] = "secret-of-anna";
    struct error err = {0};
    service_add_token(&service, name, "read", token);
    service_get(&service, "/v1/events", 401);
    event_client_open(&client, service.port, "/v1/events",
                      "Authorization: Bearer secret-of-anna\r\n");
    ck_assert_int_eq(client.status, 200);
    next();
    ck_assert(event_client_next(&client, &event)); /* a heartbeat: it goes on */
    event_free(&event);
    char copy[sizeof(name)];
    memcpy(copy, name, sizeof(name));
    ck_assert_ok(store_write_now(service.store, remove_token, copy, &err), &err);
    while (event_client_next(&client, &event))
        event_free(&event);
    ck_assert(client.whole);
    event_client_close(&client);
}
END_TEST

/* Law: a stop ends streams; it does not wait for them. */
START_TEST(streams_end_when_the_service_stops)
{
    event_client_open(&client, service.port, "/v1/events", NULL);
    next();
    long start = client_now_ms();
    http_server_stop(service.server, 8000);
    ck_assert_int_lt(client_now_ms() - start, 4000);
    service.server = NULL;
    while (event_client_next(&client, &event))
        event_free(&event);
    ck_assert(client.whole);
    event_client_close(&client);
}
END_TEST

static void setup_private(void)
{
    const struct service_options options = {.tokens = true, .private = true};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "a-token");
    service_add_token(&service, "bert", "submit", "b-token");
}

static const char *upload_for(const char *who, const char *target, const struct sample_file *file)
{
    return service_text(service_call(&service, "POST", target, who, file->bytes, file->size, 201),
                        "id");
}

/* A specification with their own copies of the files. */
static const char *spec_for(const char *who)
{
    return arena_printf(service.arena, NULL, "{\"model\":\"%s\",\"calibration\":\"%s\"}",
                        upload_for(who, "/v1/models", &service.files.model),
                        upload_for(who, "/v1/datasets", &service.files.calibration));
}

/* A job that has ended. */
static const char *finish_for(const char *who, const char *spec)
{
    const char *id =
        service_text(service_call(&service, "POST", "/v1/jobs", who, spec, strlen(spec), 202),
                     "id");
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=10", id);
    service_call(&service, "GET", target, who, NULL, 0, 200);
    return id;
}

enum { SHARE = SERVICE_WATCHERS / 2 };

static void setup_shares(void)
{
    const struct service_options options = {.tokens = true, .watchers_per_owner = SHARE};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "a-token");
    service_add_token(&service, "bert", "submit", "b-token");
}

/* Law: one owner does not take the places of all others. */
START_TEST(an_owner_has_no_more_watchers_than_its_share)
{
    static const char anna[] = "Authorization: Bearer a-token\r\n";
    static const char bert[] = "Authorization: Bearer b-token\r\n";
    struct event_client hers[SHARE];
    for (size_t i = 0; i < SHARE; i++) {
        event_client_open(&hers[i], service.port, "/v1/events", anna);
        ck_assert_int_eq(hers[i].status, 200);
    }
    const struct json *problem = service_call(&service, "GET", "/v1/events", anna, NULL, 0, 429);
    ck_assert_str_eq(service_text(problem, "detail"),
                     "2 connections of \"anna\" watch events or wait already, as many as one may "
                     "have");
    event_client_open(&client, service.port, "/v1/events", bert);
    ck_assert_int_eq(client.status, 200);
    event_client_close(&client);
    for (size_t i = 0; i < SHARE; i++)
        event_client_close(&hers[i]);
}
END_TEST

/* Law: in private mode a stream tells of the watcher's jobs alone, also when others' are deleted.
 */
START_TEST(private_jobs_are_told_of_to_their_owner_alone)
{
    static const char anna[] = "Authorization: Bearer a-token\r\n";
    static const char bert[] = "Authorization: Bearer b-token\r\n";
    service_call(&service, "GET", "/v1/events?owner=anna", bert, NULL, 0, 403);
    event_client_open(&client, service.port, "/v1/events", bert);
    ck_assert_uint_eq(json_count(service_member(next(), "items")), 0);
    const char *hers = finish_for(anna, spec_for(anna));
    const char *target = arena_printf(service.arena, NULL, "/v1/jobs/%s", hers);
    service_call(&service, "DELETE", target, anna, NULL, 0, 204);
    const char *his = finish_for(bert, spec_for(bert));
    for (bool ended = false; !ended;) {
        const struct json *data = next();
        ck_assert_str_ne(event.name, "deleted");
        if (strcmp(event.name, "snapshot") == 0) {
            for (const struct json *v = json_first(service_member(data, "items")); v != NULL;
                 v = json_next(v))
                ck_assert_str_eq(service_text(v, "owner"), "bert");
            continue;
        }
        ck_assert_str_eq(service_text(data, "id"), his);
        ended = strcmp(service_text(data, "state"), "succeeded") == 0;
    }
    event_client_close(&client);
}
END_TEST

/* Law: jobs that are deleted at once are told of at once, not each with all that is left. */
START_TEST(jobs_that_went_together_make_one_snapshot)
{
    enum { GONE = 8, BATCH_MS = 250 };
    static const char anna[] = "Authorization: Bearer a-token\r\n";
    static const char bert[] = "Authorization: Bearer b-token\r\n";
    const char *spec = spec_for(anna);
    const char *targets[GONE];
    for (size_t i = 0; i < GONE; i++)
        targets[i] = arena_printf(service.arena, NULL, "/v1/jobs/%s", finish_for(anna, spec));
    event_client_open(&client, service.port, "/v1/events", bert);
    next();
    long start_ms = client_now_ms();
    for (size_t i = 0; i < GONE; i++)
        service_call(&service, "DELETE", targets[i], anna, NULL, 0, 204);
    const char *his = finish_for(bert, spec_for(bert));
    int snapshots = 0;
    for (bool ended = false; !ended || snapshots == 0;) {
        const struct json *data = next();
        bool snapshot = strcmp(event.name, "snapshot") == 0;
        snapshots += snapshot;
        ended |= !snapshot && strcmp(service_text(data, "id"), his) == 0 &&
                 strcmp(service_text(data, "state"), "succeeded") == 0;
    }
    ck_assert_int_le(snapshots, 2 + (client_now_ms() - start_ms) / BATCH_MS);
    event_client_close(&client);
}
END_TEST

static bool sleeps(void)
{
    return http_server_stats(service.server).suspended == 1;
}

/* What the one stream that there is has taken, while it sleeps; its thread goes through the lock of
 * the second look before it goes on. */
static size_t taken_by_stream(void)
{
    struct api *api = service.api;
    size_t bytes = 0;
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS; bytes == 0; usleep(1000)) {
        ck_assert_int_lt(client_now_ms(), end);
        pthread_mutex_lock(&api->waiters_lock);
        size_t seen =
            api->waiters != NULL && sleeps() ? arena_used(http_arena(api->waiters->request)) : 0;
        bytes = sleeps() ? seen : 0;
        pthread_mutex_unlock(&api->waiters_lock);
    }
    return bytes;
}

/* Law: a stream of a job that waits for weeks takes no more memory with each look at the token. */
START_TEST(a_quiet_stream_does_not_grow)
{
    enum { LOOKS = 3, HEARTBEATS = LOOKS * ACCESS_RENEW_MS / SERVICE_HEARTBEAT_MS };
    static const char bert[] = "Authorization: Bearer b-token\r\n";
    const char *spec = spec_for(bert);
    service_add_token(&service, "root", "admin", "r-token");
    service_call(&service, "POST", "/v1/queue/pause", "Authorization: Bearer r-token\r\n", "", 0,
                 200);
    const struct json *job =
        service_call(&service, "POST", "/v1/jobs", bert, spec, strlen(spec), 202);
    event_client_open(&client, service.port, events_of(service_text(job, "id")), bert);
    next();
    size_t before = 0;
    for (int i = 0; i < HEARTBEATS; i++) {
        ck_assert(event_client_next(&client, &event)); /* a comment */
        ck_assert(event.comment);
        event_free(&event);
        before = i == 0 ? taken_by_stream() : before;
    }
    ck_assert_uint_le(taken_by_stream(), before);
    event_client_close(&client);
}
END_TEST

static bool change_token(struct database *database, void *context, struct error *err)
{
    return token_row_change(database, context, err);
}

/* Law: who is administrator no more does not go on to see what others do. */
START_TEST(a_role_that_shows_less_ends_a_stream)
{
    struct token_row row = {.name = "root", .role = "admin"};
    struct error err = {0};
    service_add_limited(&service, &row, "secret-of-root");
    event_client_open(&client, service.port, "/v1/events",
                      "Authorization: Bearer secret-of-root\r\n");
    ck_assert_int_eq(client.status, 200);
    next();
    row.role = "read";
    ck_assert_ok(store_write_now(service.store, change_token, &row, &err), &err);
    long end = client_now_ms() + 5000; /* a second, on a machine that is busy */
    while (event_client_next(&client, &event)) {
        event_free(&event);
        ck_assert_int_lt(client_now_ms(), end);
    }
    ck_assert(client.whole);
    event_client_close(&client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_job_is_told_of_until_its_end);
    tcase_add_test(tcase, a_finished_job_is_told_once);
    tcase_add_test(tcase, events_are_few);
    tcase_add_test(tcase, all_jobs_are_told_of);
    tcase_add_test(tcase, jobs_of_others_can_be_left_out);
    tcase_add_test(tcase, watchers_are_limited_and_the_vanished_leave);
    tcase_add_test(tcase, streams_end_when_the_service_stops);
    suite_add_tcase(suite, tcase);
    TCase *tokens = tcase_create("tokens");
    tcase_set_timeout(tokens, 60);
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, a_revoked_token_ends_its_streams);
    suite_add_tcase(suite, tokens);
    TCase *private = tcase_create("private");
    tcase_set_timeout(private, 60);
    tcase_add_checked_fixture(private, setup_private, teardown);
    tcase_add_test(private, private_jobs_are_told_of_to_their_owner_alone);
    tcase_add_test(private, a_quiet_stream_does_not_grow);
    tcase_add_test(private, jobs_that_went_together_make_one_snapshot);
    tcase_add_test(private, a_role_that_shows_less_ends_a_stream);
    suite_add_tcase(suite, private);
    TCase *shares = tcase_create("shares");
    tcase_set_timeout(shares, 60);
    tcase_add_checked_fixture(shares, setup_shares, teardown);
    tcase_add_test(shares, an_owner_has_no_more_watchers_than_its_share);
    suite_add_tcase(suite, shares);
    return support_run(suite);
}
