/* Answers for people: the same as the JSON, as tables; and what people wrote stays text. */

#include "service.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
}

static void teardown(void)
{
    atomic_store(&service.mode, SERVICE_SUCCEED);
    service_stop(&service);
}

static const char plain[] = "Accept: text/plain\r\n";
static const char markdown[] = "Accept: text/markdown\r\n";

/* The text of an answer, in the test's arena. */
static const char *get_text(const char *target, const char *headers)
{
    struct reply reply = client_call(service.port, "GET", target, headers, NULL, 0);
    ck_assert_msg(reply.status == 200, "GET %s: %d: %s", target, reply.status, reply.body);
    const char *text = arena_strdup(service.arena, reply.body, NULL);
    reply_free(&reply);
    return text;
}

static const char *path(const char *collection, const char *id)
{
    return arena_printf(service.arena, NULL, "%s%s", collection, id);
}

static void check_text(const char *text, const char *fragment)
{
    ck_assert_msg(support_contains(text, fragment), "\"%s\" is missing in\n%s", fragment, text);
}

static const char *finished_job(const char *more)
{
    const char *job = service_submit(&service, service_spec(&service, more));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
    return job;
}

/* Law: who does not ask for text gets JSON; whoever does gets it, with its media type, and caches
 * are told that both are there. */
START_TEST(every_table_is_text_for_who_asks_for_it)
{
    const char *job = finished_job(",\"seeds\":1");
    const char *const targets[] = {
        "/v1/jobs",
        path("/v1/jobs/", job),
        arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=1", job),
        arena_printf(service.arena, NULL, "/v1/jobs/%s/runs", job),
        arena_printf(service.arena, NULL, "/v1/runs/%s-v000-s0", job),
        "/v1/models",
        "/v1/datasets",
        "/v1/queue",
    };
    static const struct {
        const char *headers, *type;
    } rows[] = {
        {NULL, "application/json"},
        {"Accept: */*\r\n", "application/json"},
        {"Accept: application/json, text/plain\r\n", "application/json"},
        {plain, "text/plain; charset=utf-8"},
        {markdown, "text/markdown; charset=utf-8"},
        {"Accept: text/html, text/plain;q=0.5\r\n", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
            char value[64];
            struct reply reply =
                client_call(service.port, "GET", targets[i], rows[j].headers, NULL, 0);
            ck_assert_msg(reply.status == 200, "%s: %d", targets[i], reply.status);
            ck_assert_str_eq(reply_header(&reply, "Content-Type", value, sizeof(value)),
                             rows[j].type);
            ck_assert_str_eq(reply_header(&reply, "Vary", value, sizeof(value)), "Accept");
            ck_assert_uint_gt(reply.size, 20);
            reply_free(&reply);
        }
        service_call(&service, "GET", targets[i], "Accept: image/png\r\n", NULL, 0, 406);
    }
}
END_TEST

START_TEST(a_finished_job_is_full_and_has_its_best_accuracy)
{
    const char *job = finished_job(",\"seeds\":2,\"name\":\"first try\"");
    const char *text = get_text("/v1/jobs", plain);
    check_text(text, "job  name       owner  state      progress            runs    left  best "
                     "accuracy %  created (UTC)\n");
    check_text(text, "j1   first try  local  succeeded  [##########] 100 %  2 of 2        90.00");
    text = get_text(path("/v1/jobs/", job), plain);
    check_text(text, "j1   first try  local  succeeded  [##########] 100 %  2 of 2        90.00");
    check_text(text, "\n\nrun         choices  seed  state ");
    check_text(text, "\nj1-v000-s0           0     succeeded  [##########] 100 %              "
                     "90.00       5.00  98.00        2 s\n"
                     "j1-v000-s1           1     succeeded  [##########] 100 %              "
                     "89.00       6.00  98.00        2 s\n");
    check_text(get_text("/v1/runs/j1-v000-s1", plain),
               "\n\nartifact    type                      size\n"
               "model.onnx  application/octet-stream  10 B\n");
    check_text(
        get_text("/v1/jobs", markdown),
        "| j1  | first try | local | succeeded | [##########] 100 % | 2 of 2 |      | 90.00");
}
END_TEST

/* Asks again when the text has changed, until it says so. */
static const char *wait_for_text(const char *target, const char *fragment)
{
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    for (;;) {
        const char *text = get_text(target, plain);
        if (support_contains(text, fragment))
            return text;
        ck_assert_msg(client_now_ms() < end, "\"%s\" is missing in\n%s", fragment, text);
    }
}

START_TEST(a_running_job_shows_how_far_it_is)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    const char *text = wait_for_text(path("/v1/jobs/", job), "running  [#####.....]  50 %  0 of 2");
    check_text(text, "running  [#####.....]  50 %  optimize 1/2  3 s");
    text = get_text("/v1/queue", plain);
    check_text(text, "open: 0 runs wait, 2 run on 2 workers\n\nrun         job  worker");
    check_text(text, "[#####.....]  50 %  optimize 1/2  3 s\n");
    check_text(get_text("/v1/jobs", plain), "[#####.....]  50 %  0 of 2  ");
    atomic_store(&service.mode, SERVICE_SUCCEED);
    check_text(get_text(arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=10", job), plain),
               "succeeded  [##########] 100 %");
}
END_TEST

START_TEST(a_text_has_a_tag_of_its_own)
{
    const char *target = path("/v1/jobs/", finished_job(",\"seeds\":1"));
    char tag[128], again[256];
    struct reply text = client_call(service.port, "GET", target, plain, NULL, 0);
    ck_assert_ptr_nonnull(reply_header(&text, "ETag", tag, sizeof(tag)));
    reply_free(&text);
    (void)snprintf(again, sizeof(again), "%sIf-None-Match: %s\r\n", plain, tag);
    text = client_call(service.port, "GET", target, again, NULL, 0);
    ck_assert_int_eq(text.status, 304);
    reply_free(&text);
    (void)snprintf(again, sizeof(again), "If-None-Match: %s\r\n", tag);
    struct reply json = client_call(service.port, "GET", target, again, NULL, 0);
    ck_assert_int_eq(json.status, 200);
    reply_free(&json);
}
END_TEST

START_TEST(a_failed_run_says_why_but_not_where)
{
    atomic_store(&service.mode, SERVICE_FAIL);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":2"));
    ck_assert_str_eq(service_finish(&service, job), "failed");
    check_text(get_text(path("/v1/jobs/", job), plain),
               "\n\nproblem: node 'x' (Foo) is not supported\n");
    check_text(get_text("/v1/jobs", plain), "2 of 2, 2 failed");
    const char *text = get_text("/v1/runs/j1-v000-s1", plain);
    check_text(text, "\nproblem: ");
    ck_assert(!support_contains(text, "secret"));
}
END_TEST

/* Law: whatever names are made of, a text has no control characters, and a table as many lines and
 * cells as without them. */
START_TEST(hostile_names_stay_text)
{
    static const char query[] = "/v1/models?name=%1B%5D0;x%07%0A%7C%20a%20%7C%E2%80%AE%3Cb%3E";
    service_upload(&service, query, &service.files.model);
    const char *job = finished_job(",\"seeds\":1,\"name\":\"\\u001b[2J\\r\\n| x | **y** "
                                   "<script>\\u202e\\u2028\\u009b\"");
    const char *const targets[] = {"/v1/jobs", path("/v1/jobs/", job), "/v1/models"};
    static const char *const forbidden[] = {"\x1b",         "\r",           "\x07",
                                            "\xe2\x80\xae", "\xe2\x80\xa8", "\xc2\x9b"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        for (int j = 0; j < 2; j++) {
            const char *text = get_text(targets[i], j == 0 ? plain : markdown);
            for (size_t k = 0; k < sizeof(forbidden) / sizeof(forbidden[0]); k++)
                ck_assert_msg(!support_contains(text, forbidden[k]), "%zu in\n%s", k, text);
        }
    }
    const char *text = get_text("/v1/jobs", markdown);
    check_text(text, "| \xef\xbf\xbd\\[2J\xef\xbf\xbd\xef\xbf\xbd\\| x \\| \\*\\*y\\*\\* "
                     "\\<script\\>\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd |");
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 3);
    check_text(get_text("/v1/models", plain), "]0;x\xef\xbf\xbd\xef\xbf\xbd| a |\xef\xbf\xbd<b>");
}
END_TEST

START_TEST(models_and_data_sets_say_what_they_are)
{
    service_spec(&service, "");
    const char *text = get_text("/v1/models", plain);
    check_text(text, "name  owner  format  input");
    check_text(text, "onnx");
    check_text(text, "sha256:");
    text = get_text("/v1/datasets", plain);
    check_text(text, "12       ");
    check_text(text, "5 classes");
}
END_TEST

START_TEST(a_page_says_where_the_next_one_is)
{
    finished_job(",\"seeds\":1");
    finished_job(",\"seeds\":1");
    check_text(get_text("/v1/jobs?limit=1", plain), "\nmore: ?cursor=2\n");
    ck_assert(!support_contains(get_text("/v1/jobs", plain), "more:"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("views");
    TCase *tcase = tcase_create("views");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_table_is_text_for_who_asks_for_it);
    tcase_add_test(tcase, a_finished_job_is_full_and_has_its_best_accuracy);
    tcase_add_test(tcase, a_running_job_shows_how_far_it_is);
    tcase_add_test(tcase, a_text_has_a_tag_of_its_own);
    tcase_add_test(tcase, a_failed_run_says_why_but_not_where);
    tcase_add_test(tcase, hostile_names_stay_text);
    tcase_add_test(tcase, models_and_data_sets_say_what_they_are);
    tcase_add_test(tcase, a_page_says_where_the_next_one_is);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
