/* Models and data sets that several owners hold. */

#include "store_fixture.h"
#include "support.h"

#include <string.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture); /* ada holds a model and two data sets */
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

struct call {
    const char *id, *owner, *name;
    double scale;
    bool known;
};

static bool hold_model(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    const struct model_row row = {.id = call->id,
                                  .owner = call->owner,
                                  .name = call->name,
                                  .format = "onnx",
                                  .detail = "{}",
                                  .bytes = 7};
    return model_row_insert(database, &row, &call->known, reason);
}

static bool hold_dataset(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    const struct dataset_row row = {.id = call->id,
                                    .owner = call->owner,
                                    .name = call->name,
                                    .detail = call->scale > 1 ? "{\"max\":2}" : "{\"max\":1}",
                                    .scale = call->scale,
                                    .bytes = 5,
                                    .samples = 10};
    return dataset_row_insert(database, &row, &call->known, reason);
}

static bool drop_model(struct database *database, void *context, struct error *reason)
{
    const struct call *call = context;
    return model_row_delete(database, call->id, call->owner, reason);
}

static bool drop_dataset(struct database *database, void *context, struct error *reason)
{
    const struct call *call = context;
    return dataset_row_delete(database, call->id, call->owner, reason);
}

static bool hold(const char *owner, bool *out_known)
{
    struct call call = {.id = fixture.model, .owner = owner, .name = owner};
    bool ok = store_write_now(fixture.store, hold_model, &call, &err);
    *out_known = call.known;
    return ok;
}

static bool drop(const char *owner)
{
    struct call call = {.id = fixture.model, .owner = owner};
    return store_write_now(fixture.store, drop_model, &call, &err);
}

/* Whose the model is for the viewer; NULL when it is not there. */
static const char *seen_by(const char *owner, bool own_only)
{
    struct model_row row;
    struct error reason = {.message = ""};
    const struct store_viewer viewer = {.owner = owner, .own_only = own_only};
    if (model_row_find(store_fixture_reader(&fixture), &viewer, fixture.model, fixture.arena, &row,
                       &reason))
        return row.owner;
    ck_assert_int_eq(reason.code, E_NOT_FOUND);
    return NULL;
}

/* Law: a model belongs to everybody who uploaded it, and to nobody else. */
START_TEST(a_model_belongs_to_each_who_uploaded_it)
{
    bool known;
    ck_assert_ptr_null(seen_by("bob", true));
    ck_assert_str_eq(seen_by("bob", false), "ada");
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert(!known);
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert(known);
    ck_assert_str_eq(seen_by("bob", true), "bob");
    ck_assert_str_eq(seen_by("bob", false), "bob");
    ck_assert_str_eq(seen_by("ada", false), "ada");
    ck_assert_str_eq(seen_by("eve", false), "ada");
    ck_assert_ptr_null(seen_by("eve", true));

    struct model_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    const struct store_viewer bob = {.owner = "bob", .own_only = true};
    const struct store_viewer *viewers[] = {&bob, NULL};
    for (size_t v = 0; v < 2; v++) {
        ck_assert_ok(model_row_list(store_fixture_reader(&fixture), viewers[v], NULL, fixture.arena,
                                    &rows, &count, next, &err),
                     &err);
        ck_assert_uint_eq(count, 1);
        ck_assert_str_eq(rows[0].owner, v == 0 ? "bob" : "ada");
        ck_assert_str_eq(rows[0].name, v == 0 ? "bob" : "net");
    }
}
END_TEST

static bool nothing(struct database *database, void *context, struct error *reason)
{
    (void)database;
    (void)context;
    (void)reason;
    return true;
}

static bool file_is_there(void)
{
    const char *path;
    struct error reason;
    /* The writer removes files after its answer: two more answers, and it has. */
    for (int i = 0; i < 2; i++)
        ck_assert_ok(store_write_now(fixture.store, nothing, NULL, &err), &err);
    return blob_path(store_blobs(fixture.store), fixture.model, fixture.arena, &path, &reason);
}

START_TEST(a_model_goes_with_its_last_holder)
{
    bool known;
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert_fails(drop("eve"), &err, E_NOT_FOUND, "there is no model sha256:");
    ck_assert_ok(drop("ada"), &err);
    ck_assert_str_eq(seen_by("ada", false), "bob");
    ck_assert(file_is_there());
    ck_assert_ok(drop("bob"), &err);
    ck_assert_ptr_null(seen_by("bob", false));
    ck_assert(!file_is_there());
}
END_TEST

START_TEST(a_model_can_be_taken_from_everybody)
{
    bool known;
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert_ok(drop(NULL), &err);
    ck_assert_ptr_null(seen_by("ada", false));
    ck_assert(!file_is_there());
}
END_TEST

/* Law: who has a job that needs the model keeps it; who has none may let go, unless it is the last
 * holder and anybody's job needs it. */
START_TEST(a_holder_keeps_what_their_jobs_need)
{
    bool known;
    char job[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    ck_assert_ok(hold("bob", &known), &err);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert_fails(drop("ada"), &err, E_CONFLICT, "job 'j1' needs the model");
    ck_assert_fails(drop(NULL), &err, E_CONFLICT, "job 'j1' needs the model");
    ck_assert_str_eq(seen_by("ada", true), "ada");
    ck_assert_ok(drop("bob"), &err);

    struct job_insert others = store_fixture_job(&fixture, "bob", 1, 1);
    store_fixture_submit(&fixture, &others, job);
    int64_t runs;
    ck_assert_ok(store_fixture_cancel(&fixture, "j1", &runs, &err), &err);
    ck_assert_fails(drop("ada"), &err, E_CONFLICT, "job 'j2' needs the model");
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert_ok(drop("ada"), &err);
}
END_TEST

START_TEST(each_holder_of_a_data_set_has_a_scale)
{
    struct call bob = {.id = fixture.calibration, .owner = "bob", .name = "mine", .scale = 2};
    ck_assert_ok(store_write_now(fixture.store, hold_dataset, &bob, &err), &err);
    const char *const owners[] = {"ada", "bob", "eve"};
    for (size_t i = 0; i < 3; i++) {
        struct dataset_row row;
        const struct store_viewer viewer = {.owner = owners[i]};
        ck_assert_ok(dataset_row_find(store_fixture_reader(&fixture), &viewer, fixture.calibration,
                                      fixture.arena, &row, &err),
                     &err);
        ck_assert_double_eq(row.scale, i == 1 ? 2 : 1);
        ck_assert_str_eq(row.name, i == 1 ? "mine" : "data");
        ck_assert_str_eq(row.detail, i == 1 ? "{\"max\":2}" : "{}");
    }
    struct dataset_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    const struct store_viewer own = {.owner = "bob", .own_only = true};
    ck_assert_ok(dataset_row_list(store_fixture_reader(&fixture), &own, NULL, fixture.arena, &rows,
                                  &count, next, &err),
                 &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_ok(store_write_now(fixture.store, drop_dataset, &bob, &err), &err);
    ck_assert_fails(store_write_now(fixture.store, drop_dataset, &bob, &err), &err, E_NOT_FOUND,
                    "there is no data set sha256:");
}
END_TEST

START_TEST(bytes_count_for_each_holder)
{
    bool known;
    fixture.limits.stored_bytes = 20; /* ada has 17 */
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    struct call bob = {.id = fixture.calibration, .owner = "bob", .name = "", .scale = 1};
    ck_assert_ok(hold("bob", &known), &err);
    ck_assert_ok(store_write_now(fixture.store, hold_dataset, &bob, &err), &err);
    bob.id = fixture.evaluation;
    ck_assert_ok(store_write_now(fixture.store, hold_dataset, &bob, &err), &err);
    bob.id = fixture.model;
    ck_assert_fails(store_write_now(fixture.store, hold_dataset, &bob, &err), &err, E_LIMIT,
                    "5 bytes more than the 17 that 'bob' has stored are above the limit of 20");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("holders");
    TCase *cases = tcase_create("holders");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_model_belongs_to_each_who_uploaded_it);
    tcase_add_test(cases, a_model_goes_with_its_last_holder);
    tcase_add_test(cases, a_model_can_be_taken_from_everybody);
    tcase_add_test(cases, a_holder_keeps_what_their_jobs_need);
    tcase_add_test(cases, each_holder_of_a_data_set_has_a_scale);
    tcase_add_test(cases, bytes_count_for_each_holder);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
