/* What an owner may take: told to who asks, and kept to by the queue. */

#include "service.h"

#include "support.h"

#include "ptqd/store/token_row.h"

#include <string.h>

enum { STORED_BYTES = 50 * 1000, OWN_STORED_BYTES = 100 * 1000 };

static struct service service;

static const char anna[] = "Authorization: Bearer anna-token\r\n";
static const char bert[] = "Authorization: Bearer bert-token\r\n";
static const char root[] = "Authorization: Bearer root-token\r\n";

/* Anna's token has limits of its own; bert's has not. */
static void setup(void)
{
    const struct service_options options = {
        .tokens = true, .limits = {.queued_runs = 2, .stored_bytes = STORED_BYTES}};
    service_start_with(&service, &options);
    struct token_row row = {
        .name = "anna",
        .role = "submit",
        .quota = {.queued_runs = QUOTA_NONE, .running_runs = 1, .stored_bytes = OWN_STORED_BYTES}};
    service_add_limited(&service, &row, "anna-token");
    service_add_token(&service, "bert", "submit", "bert-token");
    service_add_token(&service, "root", "admin", "root-token");
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct json *me(const char *who, const char *part)
{
    const struct json *object = service_call(&service, "GET", "/v1/me", who, NULL, 0, 200);
    return part != NULL ? service_member(object, part) : object;
}

static const char *upload(const char *who, const char *target, const struct sample_file *file)
{
    return service_text(service_call(&service, "POST", target, who, file->bytes, file->size, 201),
                        "id");
}

static const struct json *submit(const char *who, int seeds, int status)
{
    const char *spec =
        arena_printf(service.arena, NULL, "{\"model\":\"%s\",\"calibration\":\"%s\",\"seeds\":%d}",
                     upload(who, "/v1/models", &service.files.model),
                     upload(who, "/v1/datasets", &service.files.calibration), seeds);
    return service_call(&service, "POST", "/v1/jobs", who, spec, strlen(spec), status);
}

START_TEST(who_asks_is_told_their_limits)
{
    ck_assert_str_eq(service_text(me(anna, NULL), "owner"), "anna");
    ck_assert_str_eq(service_text(me(anna, NULL), "role"), "submit");
    ck_assert(json_type(service_member(me(anna, "quotas"), "queued_runs")) == JSON_NULL);
    ck_assert_double_eq(service_number(me(anna, "quotas"), "running_runs"), 1);
    ck_assert_double_eq(service_number(me(anna, "quotas"), "stored_bytes"), OWN_STORED_BYTES);
    ck_assert_double_eq(service_number(me(anna, "quotas"), "priority"), SERVICE_PRIORITY_LIMIT);

    ck_assert_double_eq(service_number(me(bert, "quotas"), "queued_runs"), 2);
    ck_assert(json_type(service_member(me(bert, "quotas"), "running_runs")) == JSON_NULL);
    ck_assert_double_eq(service_number(me(bert, "quotas"), "stored_bytes"), STORED_BYTES);
    ck_assert_double_eq(service_number(me(bert, "quotas"), "model_bytes"), 1 << 20);
    ck_assert_double_eq(service_number(me(bert, "quotas"), "dataset_bytes"), 1 << 20);

    ck_assert_str_eq(service_text(me(root, NULL), "role"), "admin");
    ck_assert_double_eq(service_number(me(root, "quotas"), "priority"), 100);
}
END_TEST

/* Laws: a token's own limit of running runs holds for its owner alone, and what is used is what
 * there is. */
START_TEST(an_owner_runs_no_more_than_their_token_allows)
{
    service.mode = SERVICE_WAIT;
    submit(anna, 3, 202); /* two workers: but for the limit both were hers */
    submit(bert, 1, 202);
    for (long end = client_now_ms() + CLIENT_DEADLINE_MS;
         service_number(me(bert, "used"), "running_runs") != 1 ||
         service_number(me(anna, "used"), "running_runs") != 1;)
        ck_assert_int_lt(client_now_ms(), end);
    ck_assert_double_eq(service_number(me(anna, "used"), "queued_runs"), 2);
    ck_assert_double_eq(service_number(me(bert, "used"), "queued_runs"), 0);
    double bytes = (double)(service.files.model.size + service.files.calibration.size);
    ck_assert_double_eq(service_number(me(anna, "used"), "stored_bytes"), bytes);
    ck_assert_double_eq(service_number(me(root, "used"), "stored_bytes"), 0);
    service.mode = SERVICE_SUCCEED;
    const struct json *job =
        service_call(&service, "GET", "/v1/jobs/j1?wait=20", anna, NULL, 0, 200);
    ck_assert_str_eq(service_text(job, "state"), "succeeded");
}
END_TEST

START_TEST(an_owner_queues_no_more_than_their_token_allows)
{
    service.mode = SERVICE_WAIT;
    submit(anna, 20, 202);
    ck_assert(support_contains(service_text(submit(bert, 3, 429), "detail"),
                               "3 runs more than the 0 that 'bert' has queued are above the limit "
                               "of 2"));
    service.mode = SERVICE_SUCCEED;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("me");
    TCase *tcase = tcase_create("me");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_asks_is_told_their_limits);
    tcase_add_test(tcase, an_owner_runs_no_more_than_their_token_allows);
    tcase_add_test(tcase, an_owner_queues_no_more_than_their_token_allows);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
