/* The threads that compute, among the others. */

#include "fake_executor.h"
#include "store_fixture.h"
#include "support.h"

#include "ptqd/jobs/jobs.h"
#include "ptqd/store/queue_row.h"

#include <sys/resource.h>
#include <uv.h>

static struct store_fixture fixture;
static struct fake_executor fake;
static struct jobs *jobs;
static struct error err;
static atomic_int run_priority;
static unsigned cores = 2;

/* In place of libuv's. */
unsigned int uv_available_parallelism(void)
{
    return cores;
}

static void note_priority(void *context, const struct run_ticket *ticket)
{
    (void)context;
    (void)ticket;
    atomic_store(&run_priority, getpriority(PRIO_PROCESS, 0));
}

static void setup(void)
{
    store_fixture_init(&fixture);
    fake_executor_init(&fake, FAKE_SUCCEED);
    fake.started = note_priority;
    struct jobs_options options = {.workers = 1, .executor = fake_executor_interface(&fake)};
    ck_assert_ok(jobs_create(fixture.store, &options, &jobs, &err), &err);
    ck_assert_ok(jobs_start(jobs, &err), &err);
}

static void teardown(void)
{
    jobs_destroy(jobs);
    fake_executor_finish(&fake);
    store_fixture_finish(&fixture);
}

/* Law: runs are computed behind everything else, and nothing else falls behind with them. */
START_TEST(workers_give_way_to_all_other_threads)
{
    enum { STEPS = 10, LAST = 19 };
    int own = getpriority(PRIO_PROCESS, 0);
    struct jobs_change change = {.done = NULL};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    jobs_submit(jobs, &insert, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    ck_assert(fake_executor_wait_started(&fake, 1));
    jobs_stop(jobs); /* the run has ended then */
    ck_assert_int_eq(atomic_load(&run_priority), own + STEPS < LAST ? own + STEPS : LAST);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), own);
}
END_TEST

/* Law: without a number there is a worker for each core, up to as many as there may be. */
START_TEST(a_machine_may_have_any_number_of_cores)
{
    static const unsigned machines[] = {1, 2, JOBS_WORKERS_MAX, JOBS_WORKERS_MAX + 128};
    const struct jobs_options options = {.executor = fake_executor_interface(&fake)};
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct jobs *others;
        cores = machines[i];
        ck_assert_ok(jobs_create(fixture.store, &options, &others, &err), &err);
        int64_t most = JOBS_WORKERS_MAX, workers = jobs_load(others).workers;
        ck_assert_int_eq(workers, cores < most ? cores : most);
        jobs_destroy(others);
    }
}
END_TEST

static bool drain_and_fail(struct database *database, void *context, struct error *reason)
{
    (void)context;
    jobs_drain(jobs);
    return queue_row_pause(database, false, reason) && FAIL(reason, E_CONFLICT, "failed halfway");
}

static void wait_for_waiting(size_t writes)
{
    struct store_stats stats;
    do
        store_read_stats(fixture.store, &stats);
    while (stats.waiting < writes);
}

/* Law: a claim that was taken back with its group has not happened. The second time the group is
 * applied the queue drains, and the claim finds nothing. */
START_TEST(a_claim_that_was_taken_back_is_none)
{
    struct jobs_change change = {.done = NULL};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    struct store_write failing = {.apply = drain_and_fail};
    struct store_holder holder;
    struct jobs_stats stats;
    jobs_stop(jobs);
    jobs_submit(jobs, &insert, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    store_holder_begin(&fixture, &holder);
    ck_assert_ok(jobs_start(jobs, &err), &err);
    wait_for_waiting(1); /* the claim */
    store_submit(fixture.store, &failing);
    store_holder_end(&fixture, &holder);
    ck_assert_fails(store_wait(fixture.store, &failing, &err), &err, E_CONFLICT, "failed halfway");
    jobs_stop(jobs);
    jobs_read_stats(jobs, &stats);
    ck_assert_uint_eq(stats.requeued, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *cases = tcase_create("worker");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, workers_give_way_to_all_other_threads);
    tcase_add_test(cases, a_claim_that_was_taken_back_is_none);
    tcase_add_test(cases, a_machine_may_have_any_number_of_cores);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
