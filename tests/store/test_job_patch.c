/* What can be changed of a job that is there, and what follows from it. */

#include "store_fixture.h"

#include "support.h"

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
    const char *id;
    const struct job_patch *patch;
};

static bool apply(struct database *database, void *context, struct error *error)
{
    const struct call *call = context;
    return job_row_patch(database, call->id, call->patch, error);
}

static bool patch_job(const char *id, const struct job_patch *patch)
{
    struct call call = {id, patch};
    return store_write_now(fixture.store, apply, &call, &err);
}

static const char *submit(const char *spec)
{
    static const struct job_label labels[] = {{"team", "red"}, {"sort", "old"}};
    static char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    insert.row.name = "first";
    insert.row.spec = spec;
    insert.labels = labels;
    insert.label_count = 2;
    store_fixture_submit(&fixture, &insert, id);
    return id;
}

static size_t count_labelled(const char *label)
{
    const struct job_filter filter = {.label = label, .owner = "ada"};
    struct job_row *rows;
    size_t count;
    char next[STORE_CURSOR_BYTES];
    ck_assert_ok(job_row_list(store_fixture_reader(&fixture), &filter, NULL, fixture.arena, &rows,
                              &count, next, &err),
                 &err);
    return count;
}

/* Law: what is given changes, in the columns and in the specification; everything else stays, to
 * the character. */
START_TEST(only_what_is_given_changes)
{
    const struct job_label labels[] = {{"team", "blue \"x\""}, {"new", ""}};
    struct job_patch patch = {.has_priority = true, .priority = 7, .revision = -1};
    submit("{\"name\":\"first\",\"labels\":{\"team\":\"red\"},\"priority\":0,\"rate\":4.50e-3}");
    int64_t revision = store_fixture_find_job(&fixture, "j1").revision;
    ck_assert_ok(patch_job("j1", &patch), &err);
    struct job_row row = store_fixture_find_job(&fixture, "j1");
    ck_assert_int_eq(row.priority, 7);
    ck_assert_str_eq(row.name, "first");
    ck_assert_int_gt(row.revision, revision);
    ck_assert_str_eq(row.spec, "{\"name\":\"first\",\"labels\":{\"team\":\"red\"},\"priority\":7,"
                               "\"rate\":4.50e-3}");

    patch = (struct job_patch){
        .name = "second", .has_labels = true, .labels = labels, .label_count = 2, .revision = -1};
    ck_assert_ok(patch_job("j1", &patch), &err);
    row = store_fixture_find_job(&fixture, "j1");
    ck_assert_int_eq(row.priority, 7);
    ck_assert_str_eq(row.name, "second");
    ck_assert_str_eq(row.spec, "{\"name\":\"second\",\"labels\":{\"new\":\"\",\"team\":\"blue "
                               "\\\"x\\\"\"},\"priority\":7,\"rate\":4.50e-3}");
    ck_assert_uint_eq(count_labelled("team=red"), 0);
    ck_assert_uint_eq(count_labelled("sort"), 0);
    ck_assert_uint_eq(count_labelled("team=blue \"x\""), 1);
    ck_assert_uint_eq(count_labelled("new"), 1);

    patch = (struct job_patch){.has_labels = true, .revision = -1};
    ck_assert_ok(patch_job("j1", &patch), &err);
    ck_assert_uint_eq(count_labelled("new"), 0);
    ck_assert_ptr_nonnull(strstr(store_fixture_find_job(&fixture, "j1").spec, "\"labels\":{}"));
    store_fixture_check(&fixture);
}
END_TEST

/* Law: the next run is that of the job that is first now. */
START_TEST(the_order_of_the_queue_follows)
{
    struct run_row run;
    const struct job_patch last = {.has_priority = true, .priority = -1, .revision = -1};
    const struct job_patch first = {.has_priority = true, .priority = 1, .revision = -1};
    for (int i = 0; i < 3; i++)
        submit("{}");
    ck_assert_ok(patch_job("j1", &last), &err);
    ck_assert_ok(patch_job("j3", &first), &err);
    static const char *const order[] = {"j3-v000-s0", "j2-v000-s0", "j1-v000-s0"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(store_fixture_claim(&fixture, &run));
        ck_assert_str_eq(run.id, order[i]);
    }
}
END_TEST

/* Law: who means another revision changes nothing. */
START_TEST(a_change_that_comes_too_late_is_not_made)
{
    submit("{}");
    struct job_patch mine = {.name = "mine",
                             .revision = store_fixture_find_job(&fixture, "j1").revision};
    struct job_patch yours = {.name = "yours", .revision = mine.revision};
    ck_assert_ok(patch_job("j1", &mine), &err);
    ck_assert_fails(patch_job("j1", &yours), &err, E_PRECONDITION, "'j1' has changed meanwhile");
    ck_assert_str_eq(store_fixture_find_job(&fixture, "j1").name, "mine");
    ck_assert_fails(patch_job("j9", &yours), &err, E_NOT_FOUND, "there is no job 'j9'");
}
END_TEST

static bool arm(struct database *database, void *context, struct error *error)
{
    (void)database;
    (void)error;
    store_fixture_arm(&fixture, *(const int *)context);
    return true;
}

/* Law: a change that fails on the way has changed nothing. */
START_TEST(a_step_that_fails_leaves_the_job_as_it_was)
{
    const struct job_label label = {"team", "blue"};
    const struct job_patch patch = {
        .name = "second", .has_labels = true, .labels = &label, .label_count = 1, .revision = -1};
    submit("{}");
    struct job_row before = store_fixture_find_job(&fixture, "j1");
    int step = 1;
    for (bool done = false; !done; step++) {
        ck_assert_ok(store_write_now(fixture.store, arm, &step, &err), &err);
        done = patch_job("j1", &patch);
        ck_assert(done || atomic_load(&fixture.fault.struck));
        store_fixture_arm(&fixture, 0);
        if (!done) {
            struct job_row row = store_fixture_find_job(&fixture, "j1");
            ck_assert_str_eq(row.spec, before.spec);
            ck_assert_int_eq(row.revision, before.revision);
        }
    }
    ck_assert_int_gt(step, 6);
    ck_assert_str_eq(store_fixture_find_job(&fixture, "j1").name, "second");
    store_fixture_check(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job patch");
    TCase *cases = tcase_create("job patch");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, only_what_is_given_changes);
    tcase_add_test(cases, the_order_of_the_queue_follows);
    tcase_add_test(cases, a_change_that_comes_too_late_is_not_made);
    tcase_add_test(cases, a_step_that_fails_leaves_the_job_as_it_was);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
