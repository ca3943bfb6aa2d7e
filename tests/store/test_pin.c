/* Between the blob and the row that names it. */

#include "store_fixture.h"
#include "support.h"

#include <uv.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static bool insert(struct database *database, void *context, struct error *reason)
{
    bool known;
    const struct model_row row = {
        .id = context, .name = "", .owner = "ada", .format = "onnx", .detail = "{}", .bytes = 1};
    return model_row_insert(database, &row, &known, reason);
}

static bool remove_row(struct database *database, void *context, struct error *reason)
{
    return model_row_delete(database, context, NULL, reason);
}

static bool nothing(struct database *database, void *context, struct error *reason)
{
    (void)database;
    (void)context;
    (void)reason;
    return true;
}

/* Returns when the writer has looked for blobs without a name after everything before this. */
static void wait_for_collection(void)
{
    for (int i = 0; i < 2; i++)
        ck_assert_ok(store_write_now(fixture.store, nothing, NULL, &err), &err);
}

static bool blob_is_there(const char *id)
{
    struct error reason;
    const char *path;
    return blob_path(store_blobs(fixture.store), id, fixture.arena, &path, &reason);
}

/* Law: a deletion of the same content between a blob and its row does not take the blob away. */
START_TEST(a_blob_is_there_until_its_row_is)
{
    char id[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "a model", id); /* known content, sent again */
    ck_assert_str_eq(id, fixture.model);
    ck_assert_ok(store_write_now(fixture.store, remove_row, id, &err), &err);
    wait_for_collection();
    ck_assert(blob_is_there(id));
    ck_assert_ok(store_write_now(fixture.store, insert, id, &err), &err);
    blob_unpin(store_blobs(fixture.store), id);
    wait_for_collection();
    ck_assert(blob_is_there(id));

    ck_assert_ok(store_write_now(fixture.store, remove_row, id, &err), &err);
    wait_for_collection();
    ck_assert(!blob_is_there(id));
}
END_TEST

START_TEST(a_blob_that_gets_no_row_goes_when_it_is_unpinned)
{
    char id[DIGEST_ID_BYTES], other[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "nobody's", id);
    store_fixture_blob(&fixture, "somebody's", other);
    wait_for_collection();
    ck_assert(blob_is_there(id));
    blob_unpin(store_blobs(fixture.store), id);
    store_collect(fixture.store);
    wait_for_collection();
    ck_assert(!blob_is_there(id));
    ck_assert(blob_is_there(other));
    blob_unpin(store_blobs(fixture.store), other);
}
END_TEST

/* The row was deleted before the blob was unpinned: nobody else would look at it. */
START_TEST(a_blob_whose_row_has_gone_meanwhile_goes_when_it_is_unpinned)
{
    char id[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "short-lived", id);
    ck_assert_ok(store_write_now(fixture.store, insert, id, &err), &err);
    ck_assert_ok(store_write_now(fixture.store, remove_row, id, &err), &err);
    wait_for_collection();
    ck_assert(blob_is_there(id));
    blob_unpin(store_blobs(fixture.store), id);
    wait_for_collection();
    ck_assert(!blob_is_there(id));
}
END_TEST

enum { ROUNDS = 200 };

static void upload_again_and_again(void *context)
{
    int *failures = context;
    for (int i = 0; i < ROUNDS; i++) {
        char id[DIGEST_ID_BYTES];
        struct error reason;
        store_fixture_blob(&fixture, "contested", id);
        *failures += !store_write_now(fixture.store, insert, id, &reason);
        blob_unpin(store_blobs(fixture.store), id);
        (void)store_write_now(fixture.store, remove_row, id, &reason); /* the other may be first */
    }
}

/* Law: whoever uploads gets the row, however often others upload and delete the same content. */
START_TEST(uploads_and_deletions_of_one_content_do_not_meet)
{
    enum { THREADS = 3 };
    uv_thread_t threads[THREADS];
    int failures[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(uv_thread_create(&threads[i], upload_again_and_again, &failures[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(uv_thread_join(&threads[i]), 0);
        ck_assert_int_eq(failures[i], 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pin");
    TCase *cases = tcase_create("pin");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_blob_is_there_until_its_row_is);
    tcase_add_test(cases, a_blob_that_gets_no_row_goes_when_it_is_unpinned);
    tcase_add_test(cases, a_blob_whose_row_has_gone_meanwhile_goes_when_it_is_unpinned);
    tcase_add_test(cases, uploads_and_deletions_of_one_content_do_not_meet);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
