/* Whether model, data and rules of a job fit is answered from what was kept of the model, not from
 * its whole description; and a job that was just submitted is shown without reading it back. */

#include "api_private.h"
#include "service.h"
#include "support.h"

#include "ptqd/jobs/spec.h"
#include "ptqd/store/blob.h"
#include "ptqd/store/model_row.h"

#include <stdio.h>
#include <string.h>

enum { FEW_LAYERS = 4, MANY_LAYERS = 4000, ROUNDS = 25 };

static struct service service;
static struct error err;
static const char *calibration;

static void setup(void)
{
    service_start(&service, false);
    calibration = service_upload(&service, "/v1/datasets", &service.files.calibration);
}

static void teardown(void)
{
    service_stop(&service);
}

static bool insert(struct database *database, void *context, struct error *error)
{
    bool known;
    return model_row_insert(database, context, &known, error);
}

/* A model of which only the description is there. */
static const char *make_model(int layers)
{
    struct blob_writer *writer;
    char id[DIGEST_ID_BYTES], file[32];
    uint64_t size;
    (void)snprintf(file, sizeof(file), "a model of %d layers", layers);
    struct blobs *blobs = store_blobs(service.store);
    ck_assert_ok(blob_create(blobs, 0, &writer, &err) &&
                     blob_append(writer, file, strlen(file), &err) &&
                     blob_commit(writer, id, &size, &err),
                 &err);
    struct text list;
    text_init(&list, 64 << 20);
    for (int i = 0; i < layers; i++)
        text_printf(&list,
                    "%s{\\\"name\\\":\\\"layer_%d\\\",\\\"macs\\\":7,\\\"op\\\":\\\"%0*d\\\"}",
                    i == 0 ? "[" : ",", i, 200, 0);
    const char *detail = arena_printf(service.arena, &err,
                                      "{\"input\":{\"name\":\"x\",\"shape\":[1,3,8,8]},\"output\":{"
                                      "\"name\":\"y\",\"shape\":[1,5]},"
                                      "\"layers\":\"%s]\"}",
                                      list.bytes);
    text_finish(&list);
    struct model_row row = {.id = arena_strdup(service.arena, id, &err),
                            .name = "",
                            .owner = "local",
                            .format = "onnx",
                            .detail = detail,
                            .bytes = (int64_t)size};
    ck_assert_ok(store_write_now(service.store, insert, &row, &err), &err);
    blob_unpin(blobs, id);
    return row.id;
}

static bool text_fits(const char *text, struct job_spec *out_spec, struct error *error)
{
    static const struct job_spec_options options = {.allow_paths = false};
    const struct store_viewer viewer = {.owner = "local"};
    struct database *database;
    ck_assert_ok(job_spec_parse_text(text, strlen(text), &options, service.arena, out_spec, &err),
                 &err);
    ck_assert_ok(store_reader(service.store, &database, &err), &err);
    return check_fit(service.api, database, &viewer, out_spec, service.arena, error);
}

static bool fits_as(const char *model, const char *layers, struct job_spec *out_spec,
                    struct error *error)
{
    const char *text =
        arena_printf(service.arena, &err,
                     "{\"model\":\"%s\",\"calibration\":\"%s\",\"pipeline\":{\"layers\":[%s]}}",
                     model, calibration, layers);
    return text_fits(text, out_spec, error);
}

static bool fits(const char *model, const char *layers, struct error *error)
{
    struct job_spec spec;
    return fits_as(model, layers, &spec, error);
}

/* Of a check, the least of several. */
static double fit_seconds(const char *model, const char *layers)
{
    double least = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena_mark mark = arena_mark(service.arena);
        double start = support_cpu_seconds();
        ck_assert_ok(fits(model, layers, &err), &err);
        double seconds = support_cpu_seconds() - start;
        least = seconds < least ? seconds : least;
        arena_reset(service.arena, mark);
    }
    return least;
}

/* Law: but for the first time, a check does not read the page that the description has for each
 * layer: a thousand times as many layers cost only what their names are, and those only where rules
 * name some. */
START_TEST(a_check_costs_less_than_reading_the_description)
{
    static const char rule[] = "{\"match\":\"layer_3\",\"skip\":true}";
    const char *small = make_model(FEW_LAYERS), *large = make_model(MANY_LAYERS);
    double start = support_cpu_seconds();
    ck_assert_ok(fits(large, rule, &err), &err);
    double first_seconds = support_cpu_seconds() - start;
    double large_seconds = fit_seconds(large, rule), small_seconds = fit_seconds(small, rule);
    double plain_seconds = fit_seconds(large, "");
    printf("# %d layers: %.0f us, then %.0f us, without rules %.0f us; %d layers: %.0f us\n",
           MANY_LAYERS, 1e6 * first_seconds, 1e6 * large_seconds, 1e6 * plain_seconds, FEW_LAYERS,
           1e6 * small_seconds);
    ck_assert_double_lt(large_seconds, first_seconds / 3);
    ck_assert_double_lt(plain_seconds, large_seconds / 3);
}
END_TEST

/* Law: what is kept says the same as the description, of the rules, too; and who may not see the
 * model, or nobody any more, is told so nevertheless. */
START_TEST(what_is_kept_answers_as_the_description_does)
{
    const char *model = make_model(FEW_LAYERS);
    const char *target = arena_printf(service.arena, &err, "/v1/models/%s", model);
    for (int round = 0; round < 2; round++) {
        ck_assert_ok(fits(model, "{\"match\":\"layer_3\",\"skip\":true}", &err), &err);
        ck_assert_fails(fits(model, "{\"match\":\"layer_4\",\"skip\":true}", &err), &err, E_INVALID,
                        "layer_4");
        ck_assert_str_eq(err.pointer, "/pipeline/layers/0/match");
        ck_assert_ok(fits(model, "", &err), &err);
    }
    service_call(&service, "DELETE", target, NULL, NULL, 0, 204);
    ck_assert_fails(fits(model, "", &err), &err, E_INVALID, model);
    ck_assert_str_eq(err.pointer, "/model");
}
END_TEST

/* Law: of a data set that is deleted nothing is left, and one that comes again counts as it is now;
 * neither stands for a model. */
START_TEST(a_data_set_is_as_it_was_uploaded_last)
{
    const char *model = make_model(FEW_LAYERS);
    const char *target = arena_printf(service.arena, &err, "/v1/datasets/%s", calibration);
    struct job_spec spec;
    ck_assert_ok(fits_as(model, "", &spec, &err), &err);
    ck_assert_double_eq(spec.calibration.scale, 1);
    ck_assert_fails(fits(calibration, "", &err), &err, E_INVALID, calibration);
    ck_assert_str_eq(err.pointer, "/model");
    service_call(&service, "DELETE", target, NULL, NULL, 0, 204);
    ck_assert_fails(fits(model, "", &err), &err, E_INVALID, calibration);
    ck_assert_str_eq(err.pointer, "/calibration");
    service_upload(&service, "/v1/datasets?scale=0.5", &service.files.calibration);
    ck_assert_ok(fits_as(model, "", &spec, &err), &err);
    ck_assert_double_eq(spec.calibration.scale, 0.5);
}
END_TEST

/* Law: a scale of one specification is not that of the next about the same files. */
START_TEST(what_a_specification_says_is_not_kept)
{
    const char *model = make_model(FEW_LAYERS);
    const char *scaled =
        arena_printf(service.arena, &err,
                     "{\"model\":\"%s\",\"calibration\":{\"id\":\"%s\",\"scale\":0.25}}", model,
                     calibration);
    struct job_spec spec;
    for (int round = 0; round < 2; round++) {
        ck_assert_ok(text_fits(scaled, &spec, &err), &err);
        ck_assert_double_eq(spec.calibration.scale, 0.25);
        ck_assert_ok(fits_as(model, "", &spec, &err), &err);
        ck_assert_double_eq(spec.calibration.scale, 1);
    }
}
END_TEST

/* Law: the answer to a submission is the job as it is read later. */
START_TEST(a_new_job_is_shown_as_it_is_stored)
{
    static const char *const members[] = {"model",   "calibration", "evaluation",
                                          "seeds",   "pipeline",    "labels",
                                          "name",    "priority",    "owner",
                                          "created", "paused",      "cancel_requested"};
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *spec =
        service_spec(&service,
                     ",\"seeds\":[3,7],\"name\":\"\\u00fc \\\"x\\\"\",\"labels\":{\"team\":\"a\"},"
                     "\"pipeline\":{\"weights\":{\"bits\":[2,4]},\"layers\":[{\"match\":\"first\","
                     "\"weights\":{\"bits\":8}}]}");
    const struct json *told =
        service_call(&service, "POST", "/v1/jobs", NULL, spec, strlen(spec), 202);
    const struct json *read = service_get(
        &service, arena_printf(service.arena, &err, "/v1/jobs/%s", service_text(told, "id")), 200);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        ck_assert_msg(json_equal(service_member(told, members[i]),
                                 service_member(read, members[i])),
                      "%s", members[i]);
    atomic_store(&service.mode, SERVICE_SUCCEED);
}
END_TEST

/* Law: a kept pipeline stands for those who give the same, in any spelling, and for nobody else. */
START_TEST(a_pipeline_is_that_of_its_own_submission)
{
    static const struct {
        const char *given;
        double bits;
    } pipelines[] = {
        {"", 8},
        {",\"pipeline\":{\"weights\":{\"bits\":3}}", 3},
        {",\"pipeline\":{}", 8},
        {",\"pipeline\":{ \"weights\" : {\"bits\":3.0} }", 3},
        {",\"pipeline\":{\"weights\":{\"bits\":5}}", 5},
    };
    atomic_store(&service.mode, SERVICE_WAIT);
    for (size_t i = 0; i < 2 * sizeof(pipelines) / sizeof(pipelines[0]); i++) {
        size_t which = i % (sizeof(pipelines) / sizeof(pipelines[0]));
        const char *spec = service_spec(&service, pipelines[which].given);
        const struct json *told =
            service_call(&service, "POST", "/v1/jobs", NULL, spec, strlen(spec), 202);
        const struct json *weights = json_find(json_find(told, "pipeline"), "weights");
        double bits;
        ck_assert_ok(json_as_number(json_find(weights, "bits"), 2, 8, &bits, &err), &err);
        ck_assert_double_eq(bits, pipelines[which].bits);
    }
    atomic_store(&service.mode, SERVICE_SUCCEED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fit");
    TCase *tcase = tcase_create("fit");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_check_costs_less_than_reading_the_description);
    tcase_add_test(tcase, what_is_kept_answers_as_the_description_does);
    tcase_add_test(tcase, a_data_set_is_as_it_was_uploaded_last);
    tcase_add_test(tcase, what_a_specification_says_is_not_kept);
    tcase_add_test(tcase, a_new_job_is_shown_as_it_is_stored);
    tcase_add_test(tcase, a_pipeline_is_that_of_its_own_submission);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
