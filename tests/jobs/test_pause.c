/* Pausing: what is started while the queue, or a job, is paused, and what becomes of what runs. */

#include "fake_executor.h"
#include "store_fixture.h"
#include "support.h"

#include "ptqd/jobs/jobs.h"
#include "ptqd/store/queue_row.h"

#include <string.h>

static struct store_fixture fixture;
static struct fake_executor fake;
static struct jobs *jobs;
static struct error err;

static void create(int64_t workers)
{
    const struct jobs_options options = {
        .workers = workers,
        .executor = fake_executor_interface(&fake),
    };
    ck_assert_ok(jobs_create(fixture.store, &options, &jobs, &err), &err);
    ck_assert_ok(jobs_start(jobs, &err), &err);
}

static void setup(void)
{
    store_fixture_init(&fixture);
    fake_executor_init(&fake, FAKE_WAIT);
}

static void teardown(void)
{
    jobs_destroy(jobs);
    fake_executor_finish(&fake);
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static const char *submit(size_t seeds)
{
    static char ids[8][JOB_ID_BYTES];
    static int count;
    struct jobs_change change = {.done = NULL};
    struct job_insert insert = store_fixture_job(&fixture, "anna", 1, seeds);
    jobs_submit(jobs, &insert, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    return memcpy(ids[count++ % 8], change.job, JOB_ID_BYTES);
}

typedef void job_change(struct jobs *jobs, const char *job, struct jobs_change *change);
typedef void queue_change(struct jobs *jobs, struct jobs_change *change);

static bool change_job(job_change *start, const char *job, bool now)
{
    struct jobs_change change = {.done = NULL, .now = now};
    start(jobs, job, &change);
    return jobs_wait(&change, &err);
}

static void change_queue(queue_change *start, bool now)
{
    struct jobs_change change = {.done = NULL, .now = now};
    start(jobs, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
}

/* Waits until so many runs of the job are queued. */
static void wait_for_queued(const char *job, int64_t queued)
{
    enum { DEADLINE_MS = 20000 };
    uint64_t end_ns = uv_hrtime() + UINT64_C(1000000) * DEADLINE_MS;
    for (;;) {
        uint64_t seen = jobs_changes(jobs);
        if (store_fixture_find_job(&fixture, job).counts.queued == queued)
            return;
        ck_assert_msg(uv_hrtime() < end_ns, "%s has not %d queued runs", job, (int)queued);
        (void)jobs_wait_change(jobs, seen, DEADLINE_MS);
    }
}

/* When a write was answered that came later, every claim that was under way is answered, too. */
static int started_by_now(void)
{
    change_queue(jobs_pause_all, false);
    uv_mutex_lock(&fake.mutex);
    int count = fake.count;
    uv_mutex_unlock(&fake.mutex);
    return count;
}

static struct queue_row queue_now(void)
{
    struct queue_row row;
    ck_assert_ok(queue_row_read(store_fixture_reader(&fixture), &row, &err), &err);
    return row;
}

/* Laws: a paused queue takes jobs and starts none of their runs, after a restart as well; those
 * that run go on; resumed, it starts the others. */
START_TEST(a_paused_queue_starts_nothing)
{
    create(2);
    const char *job = submit(1);
    ck_assert(fake_executor_wait_started(&fake, 1));
    change_queue(jobs_pause_all, false);
    const char *later = submit(3);
    ck_assert_int_eq(started_by_now(), 1);
    ck_assert(queue_now().paused);
    ck_assert_int_eq(queue_now().queued, 3);
    ck_assert_int_eq(queue_now().running, 1);
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).state, JOB_RUNNING);
    ck_assert_int_eq(store_fixture_find_job(&fixture, later).state, JOB_QUEUED);

    jobs_destroy(jobs); /* the one that runs goes back */
    create(2);
    ck_assert_int_eq(started_by_now(), 1);
    ck_assert_int_eq(queue_now().queued, 4);
    change_queue(jobs_resume_all, false);
    ck_assert(!queue_now().paused);
    ck_assert(fake_executor_wait_started(&fake, 3));
    fake_executor_release(&fake);
    ck_assert(fake_executor_wait_started(&fake, 5));
}
END_TEST

/* Law: paused at once, what runs goes back to the queue, not to its end. */
START_TEST(a_queue_that_is_paused_at_once_gives_back_what_runs)
{
    create(2);
    const char *job = submit(2);
    ck_assert(fake_executor_wait_started(&fake, 2));
    change_queue(jobs_pause_all, true);
    wait_for_queued(job, 2);
    ck_assert_int_eq(started_by_now(), 2);
    ck_assert_int_eq(atomic_load(&fake.discarded), 0);
    change_queue(jobs_resume_all, false);
    ck_assert(fake_executor_wait_started(&fake, 4));
    ck_assert_int_eq(fake.attempts[3], 2);
}
END_TEST

/* Law: others pass a paused job, and it goes on when it is resumed. */
START_TEST(others_pass_a_paused_job)
{
    create(1);
    const char *job = submit(2);
    ck_assert(fake_executor_wait_started(&fake, 1));
    ck_assert_ok(change_job(jobs_pause, job, true), &err);
    ck_assert(store_fixture_find_job(&fixture, job).paused);
    wait_for_queued(job, 2);
    const char *other = submit(1);
    ck_assert(fake_executor_wait_started(&fake, 2));
    ck_assert_msg(strncmp(fake.runs[1], other, strlen(other)) == 0, "%s runs", fake.runs[1]);
    ck_assert_ok(change_job(jobs_resume, job, false), &err);
    ck_assert(!store_fixture_find_job(&fixture, job).paused);
    fake_executor_release(&fake);
    ck_assert(fake_executor_wait_started(&fake, 4));
}
END_TEST

/* Laws: a paused job can be cancelled; what has ended can't be paused; a retry starts it. */
START_TEST(a_paused_job_that_has_ended_is_not_paused_for_ever)
{
    atomic_store(&fake.mode, FAKE_FAIL);
    create(1);
    const char *job = submit(1);
    wait_for_queued(job, 0);
    while (store_fixture_find_job(&fixture, job).state != JOB_FAILED)
        (void)jobs_wait_change(jobs, jobs_changes(jobs), 10);
    ck_assert_fails(change_job(jobs_pause, job, false), &err, E_CONFLICT,
                    "nothing is left to pause");
    ck_assert_fails(change_job(jobs_resume, job, false), &err, E_CONFLICT, "to resume");
    ck_assert_fails(change_job(jobs_pause, "j99", false), &err, E_NOT_FOUND, "j99");

    atomic_store(&fake.mode, FAKE_WAIT);
    ck_assert_ok(change_job(jobs_retry, job, false), &err);
    ck_assert(fake_executor_wait_started(&fake, 2));
    ck_assert_ok(change_job(jobs_pause, job, false), &err);
    atomic_store(&fake.mode, FAKE_FAIL);
    ck_assert_ok(change_job(jobs_pause, job, true), &err); /* twice is harmless */
    wait_for_queued(job, 1);
    ck_assert_ok(change_job(jobs_cancel, job, false), &err);
    ck_assert_int_eq(store_fixture_find_job(&fixture, job).state, JOB_CANCELLED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pause");
    TCase *tcase = tcase_create("pause");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_paused_queue_starts_nothing);
    tcase_add_test(tcase, a_queue_that_is_paused_at_once_gives_back_what_runs);
    tcase_add_test(tcase, others_pass_a_paused_job);
    tcase_add_test(tcase, a_paused_job_that_has_ended_is_not_paused_for_ever);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
