/* What earlier runs took: by method, the newest, and only what the viewer may know. */

#include "ptqd/store/run_times.h"

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
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

/* A job of one run that took so long; what its choices don't say its specification does. */
static void compute(const char *owner, const char *choices, double seconds)
{
    char id[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert job = store_fixture_job(&fixture, owner, 1, 1);
    const char *const variants[] = {choices};
    job.row.spec = "{\"pipeline\":{\"samples\":\"all\",\"optimize\":{\"variable\":\"round\"}}}";
    job.choices = variants;
    store_fixture_submit(&fixture, &job, id);
    ck_assert(store_fixture_claim(&fixture, &run));
    const struct run_outcome outcome = {.seconds = seconds, .result = "{}"};
    ck_assert_ok(store_fixture_succeed(&fixture, run.id, &outcome, &err), &err);
}

static const struct run_times *find(const struct store_viewer *viewer, const char *choices,
                                    size_t groups)
{
    struct run_times *times;
    size_t count;
    const char *method;
    struct database *database = store_fixture_reader(&fixture);
    ck_assert_ok(
        run_times_list(database, viewer, fixture.model, fixture.arena, &times, &count, &err), &err);
    ck_assert_uint_eq(count, groups);
    ck_assert_ok(run_times_method(database, choices, fixture.arena, &method, &err), &err);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(times[i].method, method) == 0)
            return &times[i];
    }
    return NULL;
}

static const struct store_viewer everybody = {.owner = "ada"};
static const char round_choices[] = "{\"samples\":\"all\",\"optimize.variable\":\"round\"}";
static const char bits_choices[] = "{\"samples\":\"all\",\"optimize.variable\":\"bits\"}";

/* Law: seconds are the mean of the runs with the method, whether it was swept
 * or not. */
START_TEST(runs_are_told_apart_by_method)
{
    compute("ada", "{}", 1.0);
    compute("ada", "{\"optimize.variable\":\"round\"}", 3.0);
    compute("ada", "{\"optimize.variable\":\"bits\"}", 10.0);
    const struct run_times *times = find(&everybody, round_choices, 2);
    ck_assert_ptr_nonnull(times);
    ck_assert_int_eq(times->runs, 2);
    ck_assert_double_eq(times->seconds, 2.0);
    times = find(&everybody, bits_choices, 2);
    ck_assert_ptr_nonnull(times);
    ck_assert_double_eq(times->seconds, 10.0);
    ck_assert_ptr_null(find(&everybody, "{\"optimize.variable\":\"grid\"}", 2));
}
END_TEST

/* Law: of others, one who sees nothing of them learns nothing. */
START_TEST(others_runs_are_seen_by_who_may)
{
    const struct store_viewer alone = {.owner = "bert", .own_only = true};
    compute("ada", "{}", 1.0);
    ck_assert_ptr_nonnull(find(&everybody, round_choices, 1));
    ck_assert_ptr_null(find(&alone, round_choices, 0));
    compute("bert", "{}", 5.0);
    ck_assert_double_eq(find(&alone, round_choices, 1)->seconds, 5.0);
}
END_TEST

/* Law: a run that did not succeed tells nothing, and neither does another model's. */
START_TEST(only_successes_count)
{
    char id[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert job = store_fixture_job(&fixture, "ada", 1, 2);
    store_fixture_submit(&fixture, &job, id);
    ck_assert(store_fixture_claim(&fixture, &run));
    ck_assert_ok(store_fixture_fail(&fixture, run.id, &err), &err);
    find(&everybody, round_choices, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_times");
    TCase *tcase = tcase_create("run_times");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, runs_are_told_apart_by_method);
    tcase_add_test(tcase, others_runs_are_seen_by_who_may);
    tcase_add_test(tcase, only_successes_count);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
