/* The queue with an executor that does as it is told. */

#include "fake_executor.h"
#include "store_fixture.h"
#include "support.h"

#include "ptqd/jobs/jobs.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_fixture fixture;
static struct fake_executor fake;
static struct jobs *jobs;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    jobs_destroy(jobs);
    fake_executor_finish(&fake);
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

static void create(int64_t workers, enum fake_mode mode)
{
    fake_executor_init(&fake, mode);
    struct jobs_options options = {
        .workers = workers,
        .executor = fake_executor_interface(&fake),
    };
    ck_assert_ok(jobs_create(fixture.store, &options, &jobs, &err), &err);
}

static void start(void)
{
    ck_assert_ok(jobs_start(jobs, &err), &err);
}

static void submit(const char *owner, size_t variants, size_t seeds, char id[JOB_ID_BYTES])
{
    struct jobs_change change = {.done = NULL};
    struct job_insert insert = store_fixture_job(&fixture, owner, variants, seeds);
    jobs_submit(jobs, &insert, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    memcpy(id, change.job, JOB_ID_BYTES);
}

static bool cancel(const char *id, int64_t *out_runs)
{
    struct jobs_change change = {.done = NULL};
    jobs_cancel(jobs, id, &change);
    bool ok = jobs_wait(&change, &err);
    *out_runs = change.runs;
    return ok;
}

/* Waits until the job has ended; its row. */
static struct job_row wait_for_end(const char *id)
{
    enum { DEADLINE_MS = 20000 };
    uint64_t end_ns = uv_hrtime() + UINT64_C(1000000) * DEADLINE_MS;
    for (;;) {
        uint64_t seen = jobs_changes(jobs);
        struct job_row row = store_fixture_find_job(&fixture, id);
        if (row.state != JOB_QUEUED && row.state != JOB_RUNNING)
            return row;
        ck_assert_msg(uv_hrtime() < end_ns, "job %s does not end", id);
        (void)jobs_wait_change(jobs, seen, DEADLINE_MS);
    }
}

/* ---- the ordinary course ---- */

START_TEST(every_run_of_a_job_is_executed_and_recorded)
{
    char id[JOB_ID_BYTES], blob[DIGEST_ID_BYTES];
    store_fixture_blob(&fixture, "graph", blob);
    create(3, FAKE_SUCCEED);
    fake.artifact_blob = blob;
    start();
    submit("ada", 2, 3, id);
    struct job_row row = wait_for_end(id);
    ck_assert_int_eq(row.state, JOB_SUCCEEDED);
    ck_assert_int_eq(row.counts.succeeded, 6);

    struct run_row run = store_fixture_find_run(&fixture, "j1-v001-s2");
    ck_assert_int_eq(run.state, RUN_SUCCEEDED);
    ck_assert_int_eq(run.attempts, 1);
    ck_assert(run.accuracy == 0.5);
    ck_assert(isnan(run.loss));
    ck_assert_str_eq(run.summary, "{\"seed\":2}");
    ck_assert_int_eq(strncmp(run.worker, "worker-", 7), 0);
    struct artifact_row artifact;
    ck_assert_ok(artifact_row_find(store_fixture_reader(&fixture), run.id, "model.onnx",
                                   fixture.arena, &artifact, &err),
                 &err);
    ck_assert_str_eq(artifact.blob, blob);
}
END_TEST

START_TEST(jobs_that_wait_at_the_start_are_taken_up)
{
    char id[JOB_ID_BYTES];
    create(2, FAKE_SUCCEED);
    submit("ada", 1, 2, id);
    ck_assert_int_eq(store_fixture_find_job(&fixture, id).state, JOB_QUEUED);
    start();
    ck_assert_int_eq(wait_for_end(id).state, JOB_SUCCEEDED);
}
END_TEST

START_TEST(one_worker_runs_oldest_first)
{
    static const char *const order[] = {"j1-v000-s0", "j1-v001-s0", "j1-v000-s1", "j1-v001-s1",
                                        "j2-v000-s0"};
    char first[JOB_ID_BYTES], second[JOB_ID_BYTES];
    create(1, FAKE_SUCCEED);
    submit("ada", 2, 2, first);
    submit("ada", 1, 1, second);
    start();
    (void)wait_for_end(second); /* the second ends after the first */
    ck_assert_int_eq(fake.count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(fake.runs[i], order[i]);
}
END_TEST

/* Law: with two workers and two owners each owner has one, however many runs the first has. */
START_TEST(owners_share_the_workers)
{
    char ada[JOB_ID_BYTES], bob[JOB_ID_BYTES];
    create(2, FAKE_WAIT);
    submit("ada", 4, 2, ada);
    submit("bob", 1, 1, bob);
    start();
    ck_assert(fake_executor_wait_started(&fake, 2));
    ck_assert_int_eq(store_fixture_find_job(&fixture, ada).counts.running, 1);
    ck_assert_int_eq(store_fixture_find_job(&fixture, bob).counts.running, 1);
    struct jobs_load load = jobs_load(jobs);
    ck_assert_int_eq(load.workers, 2);
    ck_assert_int_eq(load.busy, 2);
    fake_executor_release(&fake);
    (void)wait_for_end(ada);
    (void)wait_for_end(bob);
}
END_TEST

START_TEST(a_run_that_fails_keeps_the_problem)
{
    char id[JOB_ID_BYTES];
    create(1, FAKE_FAIL);
    start();
    submit("ada", 1, 1, id);
    ck_assert_int_eq(wait_for_end(id).state, JOB_FAILED);
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s0");
    ck_assert_str_eq(run.problem.code, "unsupported");
    ck_assert_str_eq(run.problem.message, "operator 'Magic' is not supported");
}
END_TEST

START_TEST(a_result_that_can_not_be_stored_is_a_failure)
{
    static const char unknown[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char id[JOB_ID_BYTES];
    create(1, FAKE_SUCCEED);
    fake.artifact_blob = unknown;
    start();
    submit("ada", 1, 1, id);
    ck_assert_int_eq(wait_for_end(id).state, JOB_FAILED);
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s0");
    ck_assert_str_eq(run.problem.code, "not-found");
    ck_assert_ptr_nonnull(strstr(run.problem.message, "artifact 'model.onnx'"));
}
END_TEST

static void break_the_next_write(void *context, const struct run_ticket *ticket)
{
    struct store_fixture *broken = context;
    (void)ticket;
    atomic_store(&broken->fault.countdown, 1);
}

/* Law: hours of work are not lost because the disk is full for a moment. */
START_TEST(a_result_that_can_not_be_written_now_is_written_later)
{
    char id[JOB_ID_BYTES];
    create(1, FAKE_SUCCEED);
    fake.started = break_the_next_write;
    fake.context = &fixture;
    start();
    submit("ada", 1, 1, id);
    ck_assert_int_eq(wait_for_end(id).state, JOB_SUCCEEDED);
    ck_assert(atomic_load(&fixture.fault.struck));
    ck_assert_int_eq(fake.count, 1);
}
END_TEST

/* ---- what users do ---- */

/* Law: a second after the answer to a cancellation nothing of the job runs any more. */
START_TEST(a_cancelled_job_ends_within_a_second)
{
    char id[JOB_ID_BYTES];
    int64_t runs;
    create(2, FAKE_WAIT);
    start();
    submit("ada", 2, 2, id);
    ck_assert(fake_executor_wait_started(&fake, 2));
    ck_assert_ok(cancel(id, &runs), &err);
    ck_assert_int_eq(runs, 4);
    uint64_t answered_ns = uv_hrtime();
    struct job_row row = wait_for_end(id);
    double seconds = (double)(uv_hrtime() - answered_ns) * 1e-9;
    ck_assert_msg(support_short() || seconds < 1, "it took %.3f s", seconds);
    ck_assert_int_eq(row.state, JOB_CANCELLED);
    ck_assert_int_eq(row.counts.cancelled, 4);
    ck_assert_fails(cancel(id, &runs), &err, E_CONFLICT, "job 'j1' has ended");
}
END_TEST

/* Law: a cancellation that meets a run between its claim and its start finds it all the same. The
 * two are written in one group here; mostly the claim is the first of it, and if not it finds
 * nothing. */
START_TEST(a_cancellation_never_misses_a_run_that_was_just_claimed)
{
    enum { ROUNDS = 20, YIELDS = 1000 };
    create(1, FAKE_WAIT);
    for (int i = 0; i < ROUNDS; i++) {
        char id[JOB_ID_BYTES];
        struct store_holder holder;
        struct jobs_change change = {.done = NULL};
        submit("ada", 1, 1, id);
        store_holder_begin(&fixture, &holder);
        start();
        for (int yields = 0; yields < YIELDS; yields++)
            (void)sched_yield(); /* always succeeds */
        jobs_cancel(jobs, id, &change);
        store_holder_end(&fixture, &holder);
        ck_assert_ok(jobs_wait(&change, &err), &err);
        ck_assert_int_eq(change.runs, 1);
        ck_assert_int_eq(wait_for_end(id).state, JOB_CANCELLED);
        jobs_stop(jobs);
    }
}
END_TEST

START_TEST(other_jobs_go_on_when_one_is_cancelled)
{
    char first[JOB_ID_BYTES], second[JOB_ID_BYTES];
    int64_t runs;
    create(2, FAKE_WAIT);
    start();
    submit("ada", 1, 1, first);
    submit("ada", 1, 1, second);
    ck_assert(fake_executor_wait_started(&fake, 2));
    ck_assert_ok(cancel(first, &runs), &err);
    ck_assert_int_eq(wait_for_end(first).state, JOB_CANCELLED);
    ck_assert_int_eq(store_fixture_find_job(&fixture, second).state, JOB_RUNNING);
    fake_executor_release(&fake);
    ck_assert_int_eq(wait_for_end(second).state, JOB_SUCCEEDED);
}
END_TEST

START_TEST(a_retry_runs_what_failed_again)
{
    char id[JOB_ID_BYTES];
    struct jobs_change change = {.done = NULL};
    create(1, FAKE_FAIL);
    start();
    submit("ada", 1, 2, id);
    ck_assert_int_eq(wait_for_end(id).state, JOB_FAILED);
    atomic_store(&fake.mode, FAKE_SUCCEED);
    jobs_retry(jobs, id, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    ck_assert_int_eq(change.runs, 2);
    ck_assert_int_eq(wait_for_end(id).state, JOB_SUCCEEDED);
    ck_assert_int_eq(store_fixture_find_run(&fixture, "j1-v000-s0").attempts, 2);
}
END_TEST

START_TEST(a_job_that_has_ended_can_be_deleted)
{
    char id[JOB_ID_BYTES];
    struct jobs_change change = {.done = NULL};
    create(1, FAKE_SUCCEED);
    start();
    submit("ada", 1, 1, id);
    (void)wait_for_end(id);
    jobs_delete(jobs, id, &change);
    ck_assert_ok(jobs_wait(&change, &err), &err);
    jobs_delete(jobs, id, &change);
    ck_assert_fails(jobs_wait(&change, &err), &err, E_NOT_FOUND, "there is no job 'j1'");
    jobs_delete(jobs, "a name that is longer than any id could be", &change);
    ck_assert_fails(jobs_wait(&change, &err), &err, E_NOT_FOUND, "there is no job 'a name");
}
END_TEST

struct answered {
    uv_sem_t semaphore;
    bool failed;
    char job[JOB_ID_BYTES];
    struct jobs_change change;
};

static void note_answer(void *context, const struct error *failure)
{
    struct answered *answered = context;
    answered->failed = failure != NULL;
    memcpy(answered->job, answered->change.job, JOB_ID_BYTES);
    uv_sem_post(&answered->semaphore);
}

START_TEST(an_answer_may_come_by_callback)
{
    struct answered answered = {.failed = true};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    ck_assert_int_eq(uv_sem_init(&answered.semaphore, 0), 0);
    create(1, FAKE_SUCCEED);
    answered.change = (struct jobs_change){.done = note_answer, .context = &answered};
    jobs_submit(jobs, &insert, &answered.change);
    uv_sem_wait(&answered.semaphore);
    ck_assert(!answered.failed);
    ck_assert_str_eq(answered.job, "j1");
    uv_sem_destroy(&answered.semaphore);
}
END_TEST

/* ---- progress ---- */

struct listening {
    struct jobs_listener listener;
    atomic_int calls;
};

static void note_change(void *context, const char *job)
{
    struct listening *listening = context;
    if (strcmp(job, "j1") == 0)
        atomic_fetch_add(&listening->calls, 1);
}

START_TEST(progress_is_there_while_a_run_runs)
{
    char id[JOB_ID_BYTES];
    struct ticket_progress progress;
    struct listening listening = {.calls = 0};
    listening.listener = (struct jobs_listener){.changed = note_change, .context = &listening};
    create(1, FAKE_WAIT);
    jobs_listen(jobs, &listening.listener);
    start();
    submit("ada", 1, 2, id);
    ck_assert(!jobs_run_progress(jobs, "j1-v000-s1", &progress));
    do { /* the first report comes soon after the start */
        uint64_t seen = jobs_changes(jobs);
        if (jobs_run_progress(jobs, "j1-v000-s0", &progress) && progress.units > 0)
            break;
        ck_assert_uint_ne(jobs_wait_change(jobs, seen, 20000), seen);
    } while (true);
    ck_assert_str_eq(progress.step, "optimize");
    ck_assert_int_eq(progress.unit, 1);
    ck_assert_int_eq(progress.units, 2);
    ck_assert(progress.fraction == 0.5);

    struct job_row row = store_fixture_find_job(&fixture, id);
    struct job_progress job = jobs_job_progress(jobs, &row);
    ck_assert(job.fraction == 0.25);
    ck_assert(job.eta_seconds >= 0);
    /* Whatever lies between the job's start and the runs of now, a pause or a night without the
     * daemon, is not in the estimate. */
    row.started_ms -= INT64_C(8) * 3600 * 1000;
    ck_assert_double_lt(jobs_job_progress(jobs, &row).eta_seconds, 3600);
    /* The row may know already that the run has ended. */
    row.counts.running--;
    row.counts.succeeded++;
    ck_assert(jobs_job_progress(jobs, &row).fraction == 0.5);
    fake_executor_release(&fake);
    row = wait_for_end(id);
    job = jobs_job_progress(jobs, &row);
    ck_assert(job.fraction == 1);
    ck_assert(job.eta_seconds == 0);

    jobs_stop(jobs);
    ck_assert(!jobs_run_progress(jobs, "j1-v000-s0", &progress));
    /* Submitted, and for each run: claimed, reported, ended. */
    ck_assert_int_ge(atomic_load(&listening.calls), 7);
    jobs_unlisten(jobs, &listening.listener);
    int calls = atomic_load(&listening.calls);
    submit("ada", 1, 1, id);
    ck_assert_int_eq(atomic_load(&listening.calls), calls);
}
END_TEST

START_TEST(a_queued_job_has_no_estimate)
{
    char id[JOB_ID_BYTES];
    create(1, FAKE_SUCCEED);
    submit("ada", 1, 1, id);
    struct job_row row = store_fixture_find_job(&fixture, id);
    struct job_progress job = jobs_job_progress(jobs, &row);
    ck_assert(job.fraction == 0);
    ck_assert(isnan(job.eta_seconds));
}
END_TEST

START_TEST(waiting_for_a_change_has_a_deadline)
{
    create(1, FAKE_SUCCEED);
    uint64_t seen = jobs_changes(jobs);
    ck_assert_uint_eq(jobs_wait_change(jobs, seen, 0), seen);
    ck_assert_uint_eq(jobs_wait_change(jobs, seen, 10), seen);
}
END_TEST

/* ---- stopping and dying ---- */

START_TEST(a_stop_puts_running_runs_back_and_a_start_takes_them_up)
{
    char id[JOB_ID_BYTES];
    create(2, FAKE_WAIT);
    start();
    submit("ada", 1, 2, id);
    ck_assert(fake_executor_wait_started(&fake, 2));
    jobs_stop(jobs);
    struct job_row row = store_fixture_find_job(&fixture, id);
    ck_assert_int_eq(row.counts.queued, 2);
    ck_assert_int_eq(jobs_load(jobs).busy, 0);

    fake_executor_release(&fake);
    start();
    ck_assert_int_eq(wait_for_end(id).state, JOB_SUCCEEDED);
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s0");
    ck_assert_int_eq(run.attempts, 2);
    ck_assert_int_eq(run.crashes, 0);
}
END_TEST

/* Law: what an executor keeps to go on with a run is discarded at the run's end, whatever it is,
 * and not when the run only goes back to the queue. */
START_TEST(what_is_kept_of_a_run_is_discarded_at_its_end)
{
    char id[JOB_ID_BYTES];
    int64_t runs;
    create(1, FAKE_SUCCEED);
    start();
    submit("ada", 1, 2, id);
    (void)wait_for_end(id);
    atomic_store(&fake.mode, FAKE_FAIL);
    submit("ada", 1, 1, id);
    (void)wait_for_end(id);
    atomic_store(&fake.mode, FAKE_WAIT);
    submit("ada", 1, 1, id);
    ck_assert(fake_executor_wait_started(&fake, 4));
    ck_assert_ok(cancel(id, &runs), &err);
    (void)wait_for_end(id);
    submit("ada", 1, 1, id);
    ck_assert(fake_executor_wait_started(&fake, 5));
    jobs_stop(jobs); /* the last one goes back */
    ck_assert_int_eq(store_fixture_find_job(&fixture, id).state, JOB_QUEUED);
    ck_assert_int_eq(atomic_load(&fake.discarded), 4);
}
END_TEST

START_TEST(a_number_of_workers_out_of_range_is_refused)
{
    struct jobs_options options = {.workers = 257};
    struct jobs *none;
    create(1, FAKE_SUCCEED);
    ck_assert_fails(jobs_create(fixture.store, &options, &none, &err), &err, E_INVALID,
                    "257 workers; 1 to 256 are supported");
}
END_TEST

static void print_start(void *context, const struct run_ticket *ticket)
{
    const int *fd = context;
    (void)ticket;
    if (write(*fd, "s", 1) != 1)
        _exit(1);
}

/* In a child: runs the queue until it is killed, printing a byte when a run starts. */
_Noreturn static void serve_for_ever(int fd)
{
    store_fixture_open(&fixture);
    create(1, FAKE_WAIT);
    fake.started = print_start;
    fake.context = &fd;
    start();
    for (;;)
        (void)pause(); /* returns for no signal that is handled here */
}

static void run_and_die(void)
{
    int pipe_fds[2];
    char byte;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)close(pipe_fds[0]); /* the parent's end */
        serve_for_ever(pipe_fds[1]);
    }
    (void)close(pipe_fds[1]); /* the child's end */
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    (void)close(pipe_fds[0]); /* read to its end */
}

/* Law: after kill -9 a run starts again; after the third it is failed and says why. */
START_TEST(a_run_that_kills_the_daemon_three_times_is_failed)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
    store_fixture_close(&fixture);
    fixture.limits.run_crashes = 3; /* of the stores that are opened from now on */
    for (int i = 0; i < 3; i++)
        run_and_die();
    store_fixture_open(&fixture);
    create(1, FAKE_SUCCEED);
    start();
    ck_assert_int_eq(wait_for_end(id).state, JOB_FAILED);
    ck_assert_int_eq(fake.count, 0);
    struct run_row run = store_fixture_find_run(&fixture, "j1-v000-s0");
    ck_assert_int_eq(run.attempts, 3);
    ck_assert_str_eq(run.problem.message,
                     "the daemon died 3 times while this run was running, without a "
                     "checkpoint in between");
}
END_TEST

START_TEST(a_run_that_the_daemon_died_in_is_done_again)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 2);
    store_fixture_submit(&fixture, &insert, id);
    store_fixture_close(&fixture);
    run_and_die();
    store_fixture_open(&fixture);
    create(1, FAKE_SUCCEED);
    start();
    ck_assert_int_eq(wait_for_end(id).state, JOB_SUCCEEDED);
    ck_assert_str_eq(fake.runs[0], "j1-v000-s0");
    ck_assert_int_eq(fake.attempts[0], 2);
    ck_assert_int_eq(fake.attempts[1], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jobs");
    TCase *course = tcase_create("course");
    TCase *users = tcase_create("users");
    TCase *progress = tcase_create("progress");
    TCase *stops = tcase_create("stops");
    TCase *all[] = {course, users, progress, stops};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        tcase_set_timeout(all[i], 30);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_test(course, every_run_of_a_job_is_executed_and_recorded);
    tcase_add_test(course, jobs_that_wait_at_the_start_are_taken_up);
    tcase_add_test(course, one_worker_runs_oldest_first);
    tcase_add_test(course, owners_share_the_workers);
    tcase_add_test(course, a_run_that_fails_keeps_the_problem);
    tcase_add_test(course, a_result_that_can_not_be_stored_is_a_failure);
    tcase_add_test(course, a_result_that_can_not_be_written_now_is_written_later);
    tcase_add_test(users, a_cancelled_job_ends_within_a_second);
    tcase_add_test(users, a_cancellation_never_misses_a_run_that_was_just_claimed);
    tcase_add_test(users, other_jobs_go_on_when_one_is_cancelled);
    tcase_add_test(users, a_retry_runs_what_failed_again);
    tcase_add_test(users, a_job_that_has_ended_can_be_deleted);
    tcase_add_test(users, an_answer_may_come_by_callback);
    tcase_add_test(progress, progress_is_there_while_a_run_runs);
    tcase_add_test(progress, a_queued_job_has_no_estimate);
    tcase_add_test(progress, waiting_for_a_change_has_a_deadline);
    tcase_add_test(stops, a_stop_puts_running_runs_back_and_a_start_takes_them_up);
    tcase_add_test(stops, what_is_kept_of_a_run_is_discarded_at_its_end);
    tcase_add_test(stops, a_number_of_workers_out_of_range_is_refused);
    tcase_add_test(stops, a_run_that_kills_the_daemon_three_times_is_failed);
    tcase_add_test(stops, a_run_that_the_daemon_died_in_is_done_again);
    return support_run(suite);
}
