/* Models, data sets and tokens. */

#include "ptqd/store/token_row.h"
#include "store_fixture.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

struct call {
    const struct model_row *model;
    const struct dataset_row *dataset;
    const struct token_row *token;
    const char *id, *owner; /* owner NULL: everybody */
    bool known;
};

static bool insert_model(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return model_row_insert(database, call->model, &call->known, reason);
}

static bool insert_dataset(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return dataset_row_insert(database, call->dataset, &call->known, reason);
}

static bool insert_token(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return token_row_insert(database, call->token, reason);
}

static bool delete_model(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return model_row_delete(database, call->id, call->owner, reason);
}

static bool delete_dataset(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return dataset_row_delete(database, call->id, call->owner, reason);
}

static bool delete_token(struct database *database, void *context, struct error *reason)
{
    struct call *call = context;
    return token_row_delete(database, call->id, reason);
}

static bool write_model(const struct model_row *row, bool *out_known)
{
    struct call call = {.model = row};
    bool ok = store_write_now(fixture.store, insert_model, &call, &err);
    *out_known = call.known;
    return ok;
}

static bool write_by_id(bool (*apply)(struct database *, void *, struct error *), const char *id)
{
    struct call call = {.id = id};
    return store_write_now(fixture.store, apply, &call, &err);
}

/* A model of its own, numbered. */
static struct model_row make_model(int number, const char *owner, char id[static DIGEST_ID_BYTES])
{
    char text[32];
    (void)snprintf(text, sizeof(text), "model %d", number);
    store_fixture_blob(&fixture, text, id);
    return (struct model_row){
        .id = id,
        .name = "m",
        .owner = owner,
        .format = "tflite",
        .detail = "{\"macs\":12}",
        .bytes = 1000,
    };
}

START_TEST(a_model_is_found_as_it_was_inserted)
{
    char id[DIGEST_ID_BYTES];
    bool known;
    struct model_row row = make_model(1, "ada", id), found;
    ck_assert_ok(write_model(&row, &known), &err);
    ck_assert(!known);
    ck_assert_ok(model_row_find(store_fixture_reader(&fixture), NULL, id, fixture.arena, &found,
                                &err),
                 &err);
    ck_assert_str_eq(found.id, id);
    ck_assert_str_eq(found.name, "m");
    ck_assert_str_eq(found.owner, "ada");
    ck_assert_str_eq(found.format, "tflite");
    ck_assert_str_eq(found.detail, "{\"macs\":12}");
    ck_assert_int_eq(found.bytes, 1000);
    ck_assert_int_gt(found.created_ms, INT64_C(1500000000000));
}
END_TEST

START_TEST(a_model_that_is_known_stays_as_it_was)
{
    struct model_row row, again = {.id = fixture.model, .name = "other", .owner = "ada"};
    bool known;
    ck_assert_ok(write_model(&again, &known), &err);
    ck_assert(known);
    ck_assert_ok(model_row_find(store_fixture_reader(&fixture), NULL, fixture.model, fixture.arena,
                                &row, &err),
                 &err);
    ck_assert_str_eq(row.name, "net");
}
END_TEST

START_TEST(a_model_without_its_blob_is_refused)
{
    static const char id[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct model_row row = {.id = id, .name = "", .owner = "", .format = "", .detail = ""};
    bool known;
    ck_assert_fails(write_model(&row, &known), &err, E_NOT_FOUND, id);
}
END_TEST

START_TEST(a_data_set_is_found_as_it_was_inserted)
{
    char id[DIGEST_ID_BYTES];
    struct dataset_row found;
    store_fixture_blob(&fixture, "numbers", id);
    struct dataset_row row = {
        .id = id,
        .name = "d",
        .owner = "ada",
        .detail = "{}",
        .bytes = 9,
        .samples = 77,
        .scale = 0.0078125,
        .zero_point = -3.5,
    };
    struct call call = {.dataset = &row};
    ck_assert_ok(store_write_now(fixture.store, insert_dataset, &call, &err), &err);
    ck_assert_ok(dataset_row_find(store_fixture_reader(&fixture), NULL, id, fixture.arena, &found,
                                  &err),
                 &err);
    ck_assert_int_eq(found.samples, 77);
    ck_assert(found.scale == 0.0078125);
    ck_assert(found.zero_point == -3.5);

    struct dataset_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    ck_assert_ok(dataset_row_list(store_fixture_reader(&fixture), NULL, NULL, fixture.arena, &rows,
                                  &count, next, &err),
                 &err);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(rows[0].id, id);
    ck_assert_str_eq(next, "");
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    struct database *database = store_fixture_reader(&fixture);
    struct model_row model;
    struct dataset_row dataset;
    ck_assert_fails(model_row_find(database, NULL, "x", fixture.arena, &model, &err), &err,
                    E_NOT_FOUND, "there is no model x");
    ck_assert_fails(dataset_row_find(database, NULL, "x", fixture.arena, &dataset, &err), &err,
                    E_NOT_FOUND, "there is no data set x");
    ck_assert_fails(write_by_id(delete_model, "x"), &err, E_NOT_FOUND, "there is no model x");
    ck_assert_fails(write_by_id(delete_dataset, "x"), &err, E_NOT_FOUND, "there is no data set x");
}
END_TEST

/* Law: the pages together are the list, newest first, whatever the size of a page. */
START_TEST(pages_follow_each_other_without_gap_or_overlap)
{
    enum { MODELS = 7 };
    char ids[MODELS][DIGEST_ID_BYTES];
    bool known;
    for (int i = 0; i < MODELS; i++) {
        struct model_row row = make_model(i, "bob", ids[i]);
        ck_assert_ok(write_model(&row, &known), &err);
    }
    const struct store_viewer bob = {.owner = "bob", .own_only = true};
    const struct store_viewer *viewers[] = {&bob, NULL};
    for (int64_t run = 2; run < 2 * (MODELS + 2); run++) {
        char cursor[STORE_CURSOR_BYTES] = "";
        int expected = MODELS, v = (int)run % 2, limit = (int)run / 2;
        do {
            struct store_page page = {.limit = limit, .cursor = cursor};
            struct model_row *rows;
            size_t count;
            ck_assert_ok(model_row_list(store_fixture_reader(&fixture), viewers[v], &page,
                                        fixture.arena, &rows, &count, cursor, &err),
                         &err);
            ck_assert_uint_le(count, (size_t)limit);
            for (size_t i = 0; i < count; i++)
                ck_assert_str_eq(rows[i].id, --expected < 0 ? fixture.model : ids[expected]);
        } while (cursor[0] != '\0');
        ck_assert_int_eq(expected, v == 0 ? 0 : -1); /* the fixture's model is ada's */
    }
}
END_TEST

START_TEST(a_page_that_makes_no_sense_is_refused)
{
    struct database *database = store_fixture_reader(&fixture);
    struct model_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    struct store_page large = {.limit = 1001}, negative = {.limit = -1}, strange = {.cursor = "x"};
    ck_assert_fails(model_row_list(database, NULL, &large, fixture.arena, &rows, &count, next,
                                   &err),
                    &err, E_INVALID, "limit is 1001; 1 to 1000 rows");
    ck_assert_fails(model_row_list(database, NULL, &negative, fixture.arena, &rows, &count, next,
                                   &err),
                    &err, E_INVALID, "limit is -1");
    ck_assert_fails(model_row_list(database, NULL, &strange, fixture.arena, &rows, &count, next,
                                   &err),
                    &err, E_INVALID, "\"x\" is no cursor");
}
END_TEST

/* Law: what a queued or running job names can't be deleted; when the job has ended, it can. */
START_TEST(what_a_job_needs_is_not_deleted)
{
    const struct {
        const char *id, *what;
        bool (*apply)(struct database *, void *, struct error *);
    } needed[] = {{fixture.model, "model", delete_model},
                  {fixture.calibration, "data set", delete_dataset},
                  {fixture.evaluation, "data set", delete_dataset}};
    char job[JOB_ID_BYTES], message[64];
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, job);
    for (int running = 0; running < 2; running++) {
        for (size_t i = 0; i < 3; i++) {
            (void)snprintf(message, sizeof(message), "job '%s' needs the %s", job, needed[i].what);
            ck_assert_fails(write_by_id(needed[i].apply, needed[i].id), &err, E_CONFLICT, message);
        }
        if (!running)
            ck_assert(store_fixture_claim(&fixture, &run));
    }
    ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ok(write_by_id(needed[i].apply, needed[i].id), &err);
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).state, JOB_FAILED);
    store_fixture_check(&fixture);
}
END_TEST

static bool blob_is_there(const char *id)
{
    struct error reason;
    const char *path;
    return blob_path(store_blobs(fixture.store), id, fixture.arena, &path, &reason);
}

static bool nothing(struct database *database, void *context, struct error *reason)
{
    (void)database;
    (void)context;
    (void)reason;
    return true;
}

/* The writer removes blobs between two groups: after one more write it is done. */
static void wait_for_removal(void)
{
    ck_assert_ok(store_write_now(fixture.store, nothing, NULL, &err), &err);
}

START_TEST(a_blob_goes_with_the_last_row_that_names_it)
{
    /* The same file as a model and as a data set. */
    struct dataset_row row = {
        .id = fixture.model,
        .name = "",
        .owner = "ada",
        .detail = "{}",
        .scale = 1,
    };
    struct call call = {.dataset = &row};
    ck_assert_ok(store_write_now(fixture.store, insert_dataset, &call, &err), &err);
    ck_assert_ok(write_by_id(delete_model, fixture.model), &err);
    wait_for_removal();
    ck_assert(blob_is_there(fixture.model));
    ck_assert_ok(write_by_id(delete_dataset, fixture.model), &err);
    wait_for_removal();
    ck_assert(!blob_is_there(fixture.model));
}
END_TEST

START_TEST(an_owner_may_store_so_many_bytes)
{
    fixture.limits.stored_bytes = 2500;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    char ids[4][DIGEST_ID_BYTES];
    bool known;
    for (int i = 0; i < 2; i++) {
        struct model_row row = make_model(i, "bob", ids[i]);
        ck_assert_ok(write_model(&row, &known), &err);
    }
    struct model_row third = make_model(2, "bob", ids[2]), other = make_model(3, "eve", ids[3]);
    ck_assert_fails(write_model(&third, &known), &err, E_LIMIT,
                    "1000 bytes more than the 2000 that 'bob' has stored are above the limit of "
                    "2500");
    ck_assert_ok(write_model(&other, &known), &err);
}
END_TEST

START_TEST(tokens_are_found_by_digest_only)
{
    struct token_row ada = {.name = "ada", .role = "admin", .digest = "00aa"}, found, *rows;
    struct call call = {.token = &ada};
    bool is_there;
    size_t count;
    struct database *database = store_fixture_reader(&fixture);
    ck_assert_ok(store_write_now(fixture.store, insert_token, &call, &err), &err);
    ck_assert_ok(token_row_find(database, "00aa", fixture.arena, &found, &is_there, &err), &err);
    ck_assert(is_there);
    ck_assert_str_eq(found.name, "ada");
    ck_assert_str_eq(found.role, "admin");
    ck_assert_ok(token_row_find(database, "ada", fixture.arena, &found, &is_there, &err), &err);
    ck_assert(!is_there);

    ck_assert_fails(store_write_now(fixture.store, insert_token, &call, &err), &err, E_CONFLICT,
                    "there is a token 'ada' already");
    ck_assert_ok(token_row_list(database, fixture.arena, &rows, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_ok(write_by_id(delete_token, "ada"), &err);
    ck_assert_fails(write_by_id(delete_token, "ada"), &err, E_NOT_FOUND, "no token 'ada'");
}
END_TEST

/* Law: digests that begin alike are told apart; only the whole digest finds a token. */
START_TEST(tokens_whose_digests_begin_alike_are_told_apart)
{
    static const char *const digests[] = {"0123456789aa", "0123456789ab", "01234567ffff"};
    static const char *const names[] = {"ada", "bob", "eve"};
    static const char *const strangers[] = {"0123456789ac", "0123456789a", "01234567", "", "0123"};
    struct database *database = store_fixture_reader(&fixture);
    struct token_row found;
    bool is_there;
    ck_assert_ok(token_row_any(database, &is_there, &err), &err);
    ck_assert(!is_there);
    for (size_t i = 0; i < 3; i++) {
        struct token_row row = {.name = names[i], .role = "read", .digest = digests[i]};
        struct call call = {.token = &row};
        ck_assert_ok(store_write_now(fixture.store, insert_token, &call, &err), &err);
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ok(token_row_find(database, digests[i], fixture.arena, &found, &is_there, &err),
                     &err);
        ck_assert(is_there);
        ck_assert_str_eq(found.name, names[i]);
    }
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        ck_assert_ok(token_row_find(database, strangers[i], fixture.arena, &found, &is_there, &err),
                     &err);
        ck_assert(!is_there);
    }
    ck_assert_ok(token_row_any(database, &is_there, &err), &err);
    ck_assert(is_there);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object rows");
    TCase *cases = tcase_create("rows");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_model_is_found_as_it_was_inserted);
    tcase_add_test(cases, a_model_that_is_known_stays_as_it_was);
    tcase_add_test(cases, a_model_without_its_blob_is_refused);
    tcase_add_test(cases, a_data_set_is_found_as_it_was_inserted);
    tcase_add_test(cases, what_is_not_there_is_not_found);
    tcase_add_test(cases, pages_follow_each_other_without_gap_or_overlap);
    tcase_add_test(cases, a_page_that_makes_no_sense_is_refused);
    tcase_add_test(cases, what_a_job_needs_is_not_deleted);
    tcase_add_test(cases, a_blob_goes_with_the_last_row_that_names_it);
    tcase_add_test(cases, an_owner_may_store_so_many_bytes);
    tcase_add_test(cases, tokens_are_found_by_digest_only);
    tcase_add_test(cases, tokens_whose_digests_begin_alike_are_told_apart);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
