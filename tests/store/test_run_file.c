/* Checkpoints of runs as files. */

#include "ptqd/store/run_file.h"

#include "store_fixture.h"
#include "support.h"

#include "ptqd/base/file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

static void put(const char *run, const char *text)
{
    ck_assert_ok(run_file_write(fixture.directory, run, text, strlen(text), &err), &err);
}

/* The text of a run's file; NULL when there is none. */
static const char *get(const char *run)
{
    const uint8_t *bytes;
    size_t size;
    if (run_file_read(fixture.arena, fixture.directory, run, 1 << 20, &bytes, &size, &err))
        return arena_strndup(fixture.arena, (const char *)bytes, size, NULL);
    ck_assert_int_eq(err.code, E_NOT_FOUND);
    return NULL;
}

START_TEST(the_last_one_is_there_until_it_is_removed)
{
    ck_assert_ptr_null(get("j1-v000-s0"));
    put("j1-v000-s0", "one");
    put("j1-v001-s0", "other");
    put("j1-v000-s0", "the second");
    ck_assert_str_eq(get("j1-v000-s0"), "the second");
    for (int times = 0; times < 2; times++)
        ck_assert_ok(run_file_remove(fixture.directory, "j1-v000-s0", &err), &err);
    ck_assert_ptr_null(get("j1-v000-s0"));
    ck_assert_str_eq(get("j1-v001-s0"), "other");
}
END_TEST

START_TEST(those_of_a_job_are_removed_together)
{
    ck_assert_ok(run_file_remove_job(fixture.directory, "j1", &err), &err); /* no folder yet */
    put("j1-v000-s0", "one");
    put("j1-v001-s7", "other");
    put("j12-v000-s0", "another job's");
    put("j1-v000-s1.123-4.tmp", "being written");
    ck_assert_ok(run_file_remove_job(fixture.directory, "j1", &err), &err);
    ck_assert_ptr_null(get("j1-v000-s0"));
    ck_assert_ptr_null(get("j1-v001-s7"));
    ck_assert_str_eq(get("j12-v000-s0"), "another job's");
    ck_assert_str_eq(get("j1-v000-s1.123-4.tmp"), "being written");
}
END_TEST

START_TEST(one_that_is_too_large_is_refused)
{
    const uint8_t *bytes;
    size_t size;
    put("j1-v000-s0", "one");
    ck_assert_fails(run_file_read(fixture.arena, fixture.directory, "j1-v000-s0", 2, &bytes, &size,
                                  &err),
                    &err, E_TOO_LARGE, "3 bytes");
}
END_TEST

/* Law: what stays is what a queued or running run may go on from. */
START_TEST(only_files_of_unfinished_runs_stay)
{
    static const char *const gone[] = {"j1-v000-s0", "j1-v000-s1", "j1-v000-s2", "j7-v000-s0",
                                       "j1-v000-s3.123-4.tmp"};
    char job[JOB_ID_BYTES], path[512];
    struct run_row run;
    struct run_outcome outcome = {.result = "{}"};
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 5);
    store_fixture_submit(&fixture, &insert, job);
    for (int i = 0; i < 4; i++) { /* the fourth runs, the fifth is queued */
        ck_assert(store_fixture_claim(&fixture, &run));
        put(run.id, run.id);
    }
    put("j1-v000-s4", "queued");
    put("j7-v000-s0", "of no job");
    put("j1-v000-s3.123-4.tmp", "half-writt");
    ck_assert(store_fixture_succeed(&fixture, "j1-v000-s0", &outcome, &err));
    ck_assert(store_fixture_fail(&fixture, "j1-v000-s1", &err));
    ck_assert(store_fixture_cancelled(&fixture, "j1-v000-s2", &err));

    ck_assert_ok(run_file_collect(store_fixture_reader(&fixture), fixture.directory, &err), &err);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/checkpoints/%s", fixture.directory, gone[i]);
        ck_assert_msg(access(path, F_OK) != 0, "%s is still there", gone[i]);
    }
    ck_assert_str_eq(get("j1-v000-s3"), "j1-v000-s3");
    ck_assert_str_eq(get("j1-v000-s4"), "queued");
}
END_TEST

START_TEST(nothing_is_collected_where_nothing_was_kept)
{
    ck_assert_ok(run_file_collect(store_fixture_reader(&fixture), fixture.directory, &err), &err);
}
END_TEST

static bool apply_recover(struct database *database, void *context, struct error *reason)
{
    return run_row_recover(database, context, reason);
}

/* A crash and the next start; the crashes of the run are then so many. */
static void crash(const char *run, int64_t crashes)
{
    struct run_recovery recovery;
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    ck_assert_ok(run_file_recover(fixture.store, fixture.directory, &err), &err);
    ck_assert_ok(store_write_now(fixture.store, apply_recover, &recovery, &err), &err);
    ck_assert_int_eq(store_fixture_find_run(&fixture, run).crashes, crashes);
}

/* Law: crashes count from the last checkpoint on, and one checkpoint counts once. A run that comes
 * further each time is never failed for them. */
START_TEST(a_new_checkpoint_lets_crashes_count_anew)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    fixture.limits.run_crashes = 3;
    store_fixture_submit(&fixture, &insert, job);
    for (int i = 0; i < 5; i++) {
        ck_assert(store_fixture_claim(&fixture, &run));
        put(run.id, "a unit further");
        crash(run.id, 1);
        ck_assert(store_fixture_claim(&fixture, &run));
        crash(run.id, 2);
    }
    ck_assert(store_fixture_claim(&fixture, &run));
    crash(run.id, 3);
    ck_assert_int_eq(store_fixture_find_run(&fixture, run.id).state, RUN_FAILED);
    ck_assert_str_eq(get(run.id), "a unit further");
}
END_TEST

/* Law: the file of a run that was not running counts for nothing: it is new at the next crash. */
START_TEST(a_checkpoint_of_a_queued_run_counts_when_that_runs)
{
    char job[JOB_ID_BYTES];
    struct run_row run;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(store_fixture_claim(&fixture, &run));
    crash(run.id, 1);
    ck_assert(store_fixture_claim(&fixture, &run));
    put(run.id, "a unit further");
    ck_assert_ok(store_fixture_requeue(&fixture, run.id, &err), &err);
    crash(run.id, 1); /* nothing ran */
    ck_assert(store_fixture_claim(&fixture, &run));
    crash(run.id, 1);
    ck_assert(store_fixture_claim(&fixture, &run));
    crash(run.id, 2);
}
END_TEST

/* Replaces the file by "a…" and "b…" in turn, until it is killed. */
static void write_for_ever(const char *const texts[2])
{
    for (int turn = 0;; turn = !turn)
        put("j1-v000-s0", texts[turn]);
}

/* Law: killed at any moment, there is one of the two, whole. */
START_TEST(a_kill_leaves_the_old_one_or_the_new_one)
{
    enum { KILLS = 20, LENGTH = 100000 };
    static char a[LENGTH + 1], b[LENGTH / 2 + 1];
    const char *const texts[] = {a, b};
    memset(a, 'a', LENGTH);
    memset(b, 'b', LENGTH / 2);
    put("j1-v000-s0", a);
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_for_ever(texts);
        usleep((useconds_t)(500 + 700 * i)); /* a different moment each time; any will do */
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        const char *text = get("j1-v000-s0");
        ck_assert_ptr_nonnull(text);
        ck_assert(strcmp(text, a) == 0 || strcmp(text, b) == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run file");
    TCase *tcase = tcase_create("files");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_last_one_is_there_until_it_is_removed);
    tcase_add_test(tcase, those_of_a_job_are_removed_together);
    tcase_add_test(tcase, one_that_is_too_large_is_refused);
    tcase_add_test(tcase, only_files_of_unfinished_runs_stay);
    tcase_add_test(tcase, nothing_is_collected_where_nothing_was_kept);
    tcase_add_test(tcase, a_new_checkpoint_lets_crashes_count_anew);
    tcase_add_test(tcase, a_checkpoint_of_a_queued_run_counts_when_that_runs);
    tcase_add_test(tcase, a_kill_leaves_the_old_one_or_the_new_one);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
