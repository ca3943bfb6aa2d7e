/* A cancelled job ends within a second, whatever its run is at. What each step of a run does
 * between two questions is in test_phases.c. */

#include "session.h"

#include "support.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 48, CANCEL_MAX_MS = 1000, ATTEMPTS = 4 };

static struct session session;
static struct error err;

static void setup(void)
{
    static const char *const two[] = {"--workers", "2", NULL};
    session_open(&session, SAMPLES);
    program_serve_with(&session.program, session.directory, two);
}

static void teardown(void)
{
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
    session_close(&session);
}

/* Each would take minutes in that step. */
static const struct {
    const char *step, *pipeline;
} steps[] = {
    {"reconstruct", "\"optimize\":{\"variable\":\"round\",\"iterations\":100000}"},
    {"reconstruct", "\"optimize\":{\"variable\":\"weights\",\"iterations\":100000}"},
    {"train", "\"optimize\":{\"variable\":\"weights\",\"granularity\":\"block\","
              "\"iterations\":100000}"},
    {"train", "\"optimize\":{\"variable\":\"weights\",\"granularity\":\"network\","
              "\"epochs\":1000}"},
    {"tune", "\"optimize\":{\"variable\":\"none\"},\"postprocess\":{\"epochs\":1000}"},
};

/* Milliseconds from the request until the job has ended. */
static long cancel(const char *job)
{
    long start = client_now_ms();
    session_call(&session, "POST", arena_printf(session.arena, &err, "/v1/jobs/%s/cancel", job), "",
                 200);
    ck_assert_str_eq(session_finish(&session, job), "cancelled");
    return client_now_ms() - start;
}

/* On a loaded machine a second may pass without a share of it: the best of some attempts counts. */
START_TEST(a_job_is_cancelled_within_a_second_in_every_step)
{
    long least = -1;
    for (int i = 0; i < ATTEMPTS && (least < 0 || least >= CANCEL_MAX_MS); i++) {
        const char *job = session_submit(&session, arena_printf(session.arena, &err,
                                                                "\"seeds\":[%d],\"pipeline\":{%s}",
                                                                i, steps[_i].pipeline));
        session_wait_for(&session, arena_printf(session.arena, &err, "%s-v000-s%d", job, i),
                         steps[_i].step, -1, -1);
        long took = cancel(job);
        least = least < 0 || took < least ? took : least;
    }
    ck_assert_msg(support_short() || least < CANCEL_MAX_MS, "%s: %ld ms", steps[_i].step, least);
}
END_TEST

/* Law: one that waits for what another run computes does not wait for that. */
START_TEST(a_job_that_waits_for_another_is_cancelled_within_a_second)
{
    long least = -1;
    for (int i = 0; i < ATTEMPTS && (least < 0 || least >= CANCEL_MAX_MS); i++) {
        const char *more = arena_printf(session.arena, &err, "\"seeds\":[%d],\"pipeline\":{%s}", i,
                                        steps[0].pipeline);
        const char *first = session_submit(&session, more);
        session_wait_for(&session, arena_printf(session.arena, &err, "%s-v000-s%d", first, i),
                         "reconstruct", -1, -1);
        const char *second = session_submit(&session, more);
        session_wait_for(&session, arena_printf(session.arena, &err, "%s-v000-s%d", second, i),
                         "shared", -1, -1);
        long took = cancel(second);
        least = least < 0 || took < least ? took : least;
        (void)cancel(first);
    }
    ck_assert_msg(support_short() || least < CANCEL_MAX_MS, "%ld ms", least);
}
END_TEST

static bool has_checkpoint(const char *run)
{
    return access(arena_printf(session.arena, &err, "%s/checkpoints/%s", session.directory, run),
                  F_OK) == 0;
}

/* Law: what a run keeps to go on from goes with it, also when it waits to go on. */
START_TEST(a_cancelled_job_leaves_no_checkpoint)
{
    const char *job = session_submit(&session, "\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":3},"
                                               "\"optimize\":{\"variable\":\"round\","
                                               "\"iterations\":60000}}");
    session_wait_for(&session, "j1-v000-s0", "reconstruct", 1, 0);
    session_call(&session, "POST", "/v1/jobs/j1/pause?now=true", "", 200);
    while (session_number(session_get(&session, "/v1/queue"), "running") > 0)
        usleep(2000);
    ck_assert(has_checkpoint("j1-v000-s0"));
    (void)cancel(job);
    ck_assert(!has_checkpoint("j1-v000-s0"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cancel");
    TCase *tcase = tcase_create("cancel");
    tcase_set_timeout(tcase, 180);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_job_is_cancelled_within_a_second_in_every_step, 0,
                        (int)(sizeof(steps) / sizeof(steps[0])));
    tcase_add_test(tcase, a_cancelled_job_leaves_no_checkpoint);
    tcase_add_test(tcase, a_job_that_waits_for_another_is_cancelled_within_a_second);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
