/* Submitting jobs: what is refused, with its pointer; idempotency keys; limits; forms. */

#include "service.h"

#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct {
    const char *pattern, *replacement; /* in the specification */
    const char *fragment, *pointer;
} bad_specs[] = {
    {"\"seeds\"", "\"seedz\"", "\"seedz\" is not a known field; did you mean \"seeds\"?", "/seedz"},
    {"\"bits\":4", "\"bits\":17", "weights.bits is 17; 2 to 8 and 32 are supported",
     "/pipeline/weights/bits"},
    {"\"bits\":4", "\"bitz\":4", "\"weights.bitz\" is not a known field", "/pipeline/weights/bitz"},
    {"\"seeds\":1", "\"seeds\":0", "\"seeds\" is 0", "/seeds"},
    {"{\"weights\":", "{\"layers\":[{\"match\":\"last\"},{\"match\":\"conv*\"}],\"weights\":",
     "no layer is called 'conv*', or fits it as a pattern; there are stem, depthwise, pointwise, "
     "dense",
     "/pipeline/layers/1/match"},
    {"{\"weights\":{",
     "{\"layers\":[{\"match\":\"first\",\"weights\":{\"scheme\":\"asymmetric\"}}],\"weights\":{"
     "\"narrow\":true,",
     "weights.narrow is true with weights.scheme \"asymmetric\" for the layer",
     "/pipeline/layers/0/weights/scheme"},
    {"{\"weights\":", "{\"layers\":[{\"match\":\"first\",\"weights\":{\"bits\":9}}],\"weights\":",
     "weights.bits is 9; 2 to 8 and 32 are supported", "/pipeline/layers/0/weights/bits"},
};

/* The text with the first occurrence of `pattern` replaced. */
static const char *replace(const char *text, const char *pattern, const char *replacement)
{
    const char *at = strstr(text, pattern);
    ck_assert_msg(at != NULL, "\"%s\" has no \"%s\"", text, pattern);
    return arena_printf(service.arena, NULL, "%.*s%s%s", (int)(at - text), text, replacement,
                        at + strlen(pattern));
}

static const struct json *refuse(const char *spec, int status, const char *fragment,
                                 const char *pointer)
{
    const struct json *problem =
        service_call(&service, "POST", "/v1/jobs", NULL, spec, strlen(spec), status);
    ck_assert_msg(support_contains(service_text(problem, "detail"), fragment),
                  "\"%s\" lacks \"%s\"", service_text(problem, "detail"), fragment);
    if (pointer != NULL)
        ck_assert_str_eq(service_text(problem, "pointer"), pointer);
    return problem;
}

START_TEST(a_bad_field_is_named_with_its_pointer)
{
    const char *spec =
        service_spec(&service, ",\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":4}}");
    refuse(replace(spec, bad_specs[_i].pattern, bad_specs[_i].replacement), 422,
           bad_specs[_i].fragment, bad_specs[_i].pointer);
}
END_TEST

START_TEST(ids_that_are_not_known_are_errors_of_their_field)
{
    const char *spec = service_spec(&service, "");
    refuse(replace(spec, "\"model\":\"sha256:",
                   "\"model\":\"sha256:00000000000000000000000000000000"
                   "00000000000000000000000000000000\",\"name\":\""),
           422, "there is no model sha256:0000", "/model");
    const char *labels = strstr(spec, "\"labels\":\"") + strlen("\"labels\":\"");
    char id[72];
    (void)snprintf(id, sizeof(id), "%.71s", labels);
    refuse(replace(spec, id,
                   "sha256:1111111111111111111111111111111111111111111111111111111111111111"),
           422, "there is no data set sha256:1111", "/evaluation/labels");
}
END_TEST

START_TEST(data_that_does_not_fit_the_model_is_refused_with_the_numbers)
{
    const char *spec = service_spec(&service, "");
    const char *samples = service_upload(&service, "/v1/datasets", &service.files.calibration);
    const char *labels = service_upload(&service, "/v1/datasets", &service.files.labels);
    refuse(replace(spec, samples, labels), 422, "has labels only", "/calibration");
    refuse(replace(spec, labels, samples), 422, "is a data set of samples", "/evaluation/labels");
    const char *bare = arena_printf(service.arena, NULL, "\"labels\":\"%s\"", labels);
    refuse(replace(spec, bare, "\"scale\":1"), 422, "has no labels", "/evaluation");

    /* 12 samples of 3x8x8, read as one axis less */
    const struct sample_file wrong = {service.files.calibration.bytes,
                                      service.files.calibration.size};
    uint8_t *copy = arena_memdup(service.arena, wrong.bytes, wrong.size, NULL);
    char *shape = strstr((char *)copy + 10, "(12, 3, 8, 8)");
    ck_assert_ptr_nonnull(shape);
    memcpy(shape, "(12, 8, 8, 3)", 13);
    const struct sample_file moved = {copy, wrong.size};
    const char *transposed = service_upload(&service, "/v1/datasets", &moved);
    refuse(replace(spec, samples, transposed), 422,
           "samples are 8x8x3, but the network's input 'input' takes 3x8x8", "/calibration");
}
END_TEST

START_TEST(text_that_is_not_json_is_400_with_its_place)
{
    refuse("{\"model\": }", 400, "line 1, column 11", NULL);
    refuse("[]", 422, "an object is expected", NULL);
}
END_TEST

START_TEST(ten_megabytes_of_json_are_413)
{
    enum { SIZE = 10 * 1000 * 1000 };
    char *body = arena_alloc(service.arena, SIZE + 1, NULL);
    memset(body, ' ', SIZE);
    int fd = client_connect(service.port);
    client_send_text(
        fd, "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n");
    struct reply reply = client_receive(fd, false);
    ck_assert_int_eq(reply.status, 413);
    ck_assert_msg(support_contains(reply.body, "the body has 10000000 bytes; 1048576 are allowed"),
                  "%s", reply.body);
    reply_free(&reply);
    close(fd);
}
END_TEST

START_TEST(a_key_stands_for_one_request)
{
    const char *spec = service_spec(&service, ",\"seeds\":1");
    const char *header = "Idempotency-Key: k1\r\n";
    const struct json *first =
        service_call(&service, "POST", "/v1/jobs", header, spec, strlen(spec), 202);
    const struct json *second =
        service_call(&service, "POST", "/v1/jobs", header, spec, strlen(spec), 202);
    ck_assert_str_eq(service_text(first, "id"), service_text(second, "id"));
    const char *other = replace(spec, "\"seeds\":1", "\"seeds\":2");
    const struct json *problem =
        service_call(&service, "POST", "/v1/jobs", header, other, strlen(other), 422);
    ck_assert_str_eq(service_text(problem, "code"), "idempotency-key-reused");
    ck_assert_uint_eq(json_count(service_member(service_get(&service, "/v1/jobs", 200), "items")),
                      1);
}
END_TEST

struct racer {
    const char *spec;
    char job[64];
};

static void *race(void *context)
{
    struct racer *racer = context;
    struct reply reply = client_call(service.port, "POST", "/v1/jobs", "Idempotency-Key: race\r\n",
                                     racer->spec, strlen(racer->spec));
    char location[64];
    if (reply.status == 202 && reply_header(&reply, "Location", location, sizeof(location)) != NULL)
        (void)snprintf(racer->job, sizeof(racer->job), "%s", location + strlen("/v1/jobs/"));
    reply_free(&reply);
    return NULL;
}

START_TEST(requests_with_one_key_at_the_same_time_make_one_job)
{
    enum { RACERS = 8 };
    struct racer racers[RACERS] = {{0}};
    pthread_t threads[RACERS];
    const char *spec = service_spec(&service, ",\"seeds\":1");
    for (int i = 0; i < RACERS; i++) {
        racers[i].spec = spec;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_str_ne(racers[i].job, "");
        ck_assert_str_eq(racers[i].job, racers[0].job);
    }
}
END_TEST

START_TEST(more_queued_runs_than_the_owner_may_have_are_429)
{
    atomic_store(&service.mode, SERVICE_WAIT);
    const char *spec = service_spec(&service, ",\"seeds\":101");
    const struct json *problem =
        service_call(&service, "POST", "/v1/jobs", NULL, spec, strlen(spec), 429);
    ck_assert_str_eq(service_text(problem, "code"), "limit");
    atomic_store(&service.mode, SERVICE_SUCCEED);
}
END_TEST

/* ---- forms ---- */

static void add_part(struct text *form, const char *name, const void *bytes, size_t size)
{
    text_printf(form, "--XX\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", name);
    text_append(form, bytes, size);
    text_puts(form, "\r\n");
}

/* All parts but one; NULL: all. */
static const struct json *post_form(const char *spec, const char *without, const char *headers,
                                    int status)
{
    const struct {
        const char *name;
        const struct sample_file *file;
    } parts[] = {
        {"model", &service.files.model},
        {"calibration", &service.files.calibration},
        {"evaluation", &service.files.evaluation},
        {"evaluation_labels", &service.files.labels},
    };
    struct text form;
    text_init(&form, 4 << 20);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (without == NULL || strcmp(parts[i].name, without) != 0)
            add_part(&form, parts[i].name, parts[i].file->bytes, parts[i].file->size);
    add_part(&form, "spec", spec, strlen(spec));
    text_puts(&form, "--XX--\r\n");
    const char *all = arena_printf(service.arena, NULL,
                                   "Content-Type: multipart/form-data; boundary=XX\r\n%s", headers);
    const struct json *value =
        service_call(&service, "POST", "/v1/jobs", all, form.bytes, form.length, status);
    text_finish(&form);
    return value;
}

START_TEST(a_form_brings_everything_in_one_call)
{
    const struct json *job =
        post_form("{\"seeds\":2,\"calibration\":{\"scale\":0.5}}", NULL, "", 202);
    ck_assert_double_eq(service_number(service_member(job, "calibration"), "scale"), 0.5);
    ck_assert_str_eq(service_finish(&service, service_text(job, "id")), "succeeded");
    const struct json *first = post_form("{\"seeds\":2}", NULL, "Idempotency-Key: form\r\n", 202);
    const struct json *again = post_form("{\"seeds\":2}", NULL, "Idempotency-Key: form\r\n", 202);
    ck_assert_str_eq(service_text(first, "id"), service_text(again, "id"));
}
END_TEST

START_TEST(a_form_with_an_error_leaves_nothing_behind)
{
    const struct json *problem = post_form("{\"seedz\":2}", NULL, "", 422);
    ck_assert_str_eq(service_text(problem, "pointer"), "/seedz");
    problem = post_form("{\"seeds\":2,}", NULL, "", 400);
    ck_assert_str_eq(service_text(problem, "detail"),
                     "part \"spec\": line 1, column 12: a key in double quotes should be here, not "
                     "'}'; the comma before it is too many");
    problem = post_form("{\"seeds\":2}", "model", "", 422);
    ck_assert_str_eq(service_text(problem, "detail"), "the field \"model\" is missing");
    ck_assert_str_eq(service_text(problem, "pointer"), "/model");
    problem = post_form("{\"model\":\"sha256:1\"}", NULL, "", 422);
    ck_assert_msg(support_contains(service_text(problem, "detail"),
                                   "\"model\" comes as a part of the form and in the"),
                  "%s", service_text(problem, "detail"));
    problem = post_form("{}", "evaluation", "", 422);
    ck_assert_str_eq(service_text(problem, "detail"),
                     "the part \"evaluation_labels\" comes without samples: \"evaluation\" is no "
                     "part of the form, and the specification does not name it");
    ck_assert_uint_eq(json_count(service_member(service_get(&service, "/v1/models", 200), "items")),
                      0);
    ck_assert_uint_eq(
        json_count(service_member(service_get(&service, "/v1/datasets", 200), "items")), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit");
    TCase *tcase = tcase_create("submit");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_bad_field_is_named_with_its_pointer, 0,
                        (int)(sizeof(bad_specs) / sizeof(bad_specs[0])));
    tcase_add_test(tcase, ids_that_are_not_known_are_errors_of_their_field);
    tcase_add_test(tcase, data_that_does_not_fit_the_model_is_refused_with_the_numbers);
    tcase_add_test(tcase, text_that_is_not_json_is_400_with_its_place);
    tcase_add_test(tcase, ten_megabytes_of_json_are_413);
    tcase_add_test(tcase, a_key_stands_for_one_request);
    tcase_add_test(tcase, requests_with_one_key_at_the_same_time_make_one_job);
    tcase_add_test(tcase, more_queued_runs_than_the_owner_may_have_are_429);
    tcase_add_test(tcase, a_form_brings_everything_in_one_call);
    tcase_add_test(tcase, a_form_with_an_error_leaves_nothing_behind);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
