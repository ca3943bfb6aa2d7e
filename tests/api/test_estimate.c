/* POST /v1/jobs/estimate: what a job would take, and that it is refused as a submission is. */

#include "service.h"

#include "support.h"

#include <math.h>
#include <string.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct json *estimate(const char *more)
{
    const char *spec = service_spec(&service, more);
    return service_call(&service, "POST", "/v1/jobs/estimate", NULL, spec, strlen(spec), 200);
}

static void compute(const char *more)
{
    const char *job = service_submit(&service, service_spec(&service, more));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
}

static const char two_variants[] = ",\"seeds\":3,\"pipeline\":{\"weights\":{\"bits\":[2,4]}}";
static const char rounded[] = ",\"seeds\":1,\"pipeline\":{\"optimize\":{\"variable\":\"round\"}}";

/* Laws: nothing is submitted; what is not known rests on multiply-accumulates, and grows with the
 * runs; memory is planned. */
START_TEST(without_earlier_runs_products_are_counted)
{
    const struct json *one = estimate(rounded);
    const struct json *many = estimate(two_variants);
    ck_assert_double_eq(service_number(many, "variants"), 2);
    ck_assert_double_eq(service_number(many, "runs"), 6);
    ck_assert_double_gt(service_number(one, "seconds"), 0);
    /* 6 runs on the 2 workers of the service. */
    ck_assert_double_eq_tol(service_number(many, "seconds"), 3 * service_number(one, "seconds"),
                            1e-9);
    ck_assert(support_contains(service_text(many, "basis"), "multiply-accumulates"));
    ck_assert_double_gt(service_number(many, "memory_bytes"), 1 << 20);
    ck_assert_int_eq(json_type(service_member(many, "problem")), JSON_NULL);
    ck_assert_uint_eq(json_count(service_member(service_get(&service, "/v1/jobs", 200), "items")),
                      0);
}
END_TEST

/* Law: a method that trains takes longer than one that solves, by the iterations. */
START_TEST(methods_have_their_own_cost)
{
    double layers = service_number(estimate(rounded), "seconds");
    double some =
        service_number(estimate(",\"seeds\":1,\"pipeline\":{\"optimize\":{\"variable\":\"weights\","
                                "\"granularity\":\"block\",\"iterations\":1000}}"),
                       "seconds");
    double more =
        service_number(estimate(",\"seeds\":1,\"pipeline\":{\"optimize\":{\"variable\":\"weights\","
                                "\"granularity\":\"block\",\"iterations\":10000}}"),
                       "seconds");
    ck_assert_double_gt(some, layers);
    ck_assert_double_gt(more, 5 * some);
}
END_TEST

static double memory_of(const char *variables)
{
    const char *more = arena_printf(service.arena, NULL,
                                    ",\"pipeline\":{\"optimize\":{\"variable\":%s},"
                                    "\"postprocess\":{\"bias\":\"none\"}}",
                                    variables);
    return service_number(estimate(more), "memory_bytes");
}

/* Law: the largest variant counts. */
START_TEST(memory_is_that_of_the_largest_variant)
{
    double none = memory_of("\"none\""), bits = memory_of("\"bits\"");
    ck_assert_double_ne(none, bits);
    ck_assert_double_eq(memory_of("[\"none\",\"bits\"]"), fmax(none, bits));
}
END_TEST

/* Law: a job that is accepted but will fail for want of memory has an estimate, which says so. */
START_TEST(what_can_not_fit_is_told)
{
    const struct json *none = estimate(",\"memory_limit\":16");
    ck_assert_int_eq(json_type(service_member(none, "memory_bytes")), JSON_NULL);
    ck_assert(support_contains(service_text(none, "problem"), "16 MiB are allowed"));
}
END_TEST

/* Law: a run of the service takes 1.5 s; the next one with this method too, however many bits it
 * has. */
START_TEST(earlier_runs_with_the_method_are_what_counts)
{
    compute(rounded);
    const struct json *known = estimate(two_variants);
    ck_assert_double_eq_tol(service_number(known, "seconds"), 6 * 1.5 / 2, 1e-9);
    ck_assert(support_contains(service_text(known, "basis"), "earlier runs of this model"));
    ck_assert(!support_contains(service_text(known, "basis"), "multiply-accumulates"));
    /* Half of these variants was never run. */
    const struct json *half =
        estimate(",\"seeds\":1,\"pipeline\":{\"optimize\":{\"variable\":[\"round\",\"weights\"]}}");
    ck_assert(support_contains(service_text(half, "basis"), "for 1 of 2 variants earlier runs"));
    ck_assert_double_ge(service_number(half, "seconds"), 1.5); /* of the one that is known */
}
END_TEST

static const struct {
    const char *pattern, *replacement;
} bad_specs[] = {
    {"\"seeds\":1", "\"seedz\":1"},
    {"\"seeds\":1", "\"seeds\":0"},
    {"\"seeds\":1", "\"priority\":101"},
    {"\"variable\":\"round\"", "\"variable\":\"square\""},
    {"\"model\":\"sha256:", "\"model\":\"sha256:0"},
    {"\"calibration\":", "\"calibrasion\":"},
    {"{\"optimize\"", "{\"layers\":[{\"match\":\"nowhere\"}],\"optimize\""},
};

/* Law: what a submission refuses an estimate refuses, in the same words. */
START_TEST(bad_specifications_are_refused_as_by_a_submission)
{
    const char *spec = service_spec(&service, rounded);
    const char *at = strstr(spec, bad_specs[_i].pattern);
    ck_assert_ptr_nonnull(at);
    spec = arena_printf(service.arena, NULL, "%.*s%s%s", (int)(at - spec), spec,
                        bad_specs[_i].replacement, at + strlen(bad_specs[_i].pattern));
    struct reply submitted =
        client_call(service.port, "POST", "/v1/jobs", NULL, spec, strlen(spec));
    struct reply estimated =
        client_call(service.port, "POST", "/v1/jobs/estimate", NULL, spec, strlen(spec));
    ck_assert_int_ge(submitted.status, 400);
    ck_assert_int_eq(estimated.status, submitted.status);
    ck_assert_str_eq(estimated.body, submitted.body);
    reply_free(&submitted);
    reply_free(&estimated);
}
END_TEST

START_TEST(a_form_is_refused)
{
    static const char header[] = "Content-Type: multipart/form-data; boundary=x\r\n";
    const struct json *problem =
        service_call(&service, "POST", "/v1/jobs/estimate", header, "--x--", 5, 422);
    ck_assert(support_contains(service_text(problem, "detail"), "as JSON"));
}
END_TEST

/* Law: who sees nothing of others may ask all the same, and learns nothing from others' runs. */
START_TEST(others_runs_tell_nothing_in_private)
{
    static const char anna[] = "Authorization: Bearer anna-token\r\n";
    static const char bert[] = "Authorization: Bearer bert-token\r\n";
    service_stop(&service);
    const struct service_options options = {.tokens = true, .private = true};
    service_start_with(&service, &options);
    service_add_token(&service, "anna", "submit", "anna-token");
    service_add_token(&service, "bert", "submit", "bert-token");
    const char *spec = NULL;
    const struct json *answer = NULL;
    for (int i = 0; i < 2; i++) { /* both have the same files */
        const char *who = i == 0 ? anna : bert;
        const struct sample_file *model = &service.files.model, *data = &service.files.calibration;
        const struct json *stored =
            service_call(&service, "POST", "/v1/models", who, model->bytes, model->size, 201);
        spec = arena_printf(service.arena, NULL,
                            "{\"model\":\"%s\",\"calibration\":\"%s\",\"seeds\":1}",
                            service_text(stored, "id"),
                            service_text(service_call(&service, "POST", "/v1/datasets", who,
                                                      data->bytes, data->size, 201),
                                         "id"));
    }
    answer = service_call(&service, "POST", "/v1/jobs", anna, spec, strlen(spec), 202);
    const char *target =
        arena_printf(service.arena, NULL, "/v1/jobs/%s?wait=10", service_text(answer, "id"));
    (void)service_call(&service, "GET", target, anna, NULL, 0, 200); /* to its end */
    answer = service_call(&service, "POST", "/v1/jobs/estimate", anna, spec, strlen(spec), 200);
    ck_assert(support_contains(service_text(answer, "basis"), "earlier runs"));
    answer = service_call(&service, "POST", "/v1/jobs/estimate", bert, spec, strlen(spec), 200);
    ck_assert(support_contains(service_text(answer, "basis"), "multiply-accumulates"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("estimate");
    TCase *tcase = tcase_create("estimate");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_earlier_runs_products_are_counted);
    tcase_add_test(tcase, methods_have_their_own_cost);
    tcase_add_test(tcase, memory_is_that_of_the_largest_variant);
    tcase_add_test(tcase, what_can_not_fit_is_told);
    tcase_add_test(tcase, earlier_runs_with_the_method_are_what_counts);
    tcase_add_loop_test(tcase, bad_specifications_are_refused_as_by_a_submission, 0,
                        (int)(sizeof(bad_specs) / sizeof(bad_specs[0])));
    tcase_add_test(tcase, a_form_is_refused);
    tcase_add_test(tcase, others_runs_tell_nothing_in_private);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
