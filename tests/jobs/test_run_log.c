/* The log of a run: lines in a fixed room. */

#include "ptqd/jobs/run_log.h"

#include "ptqd/json/json.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct arena *arena;
static struct run_log run_log;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    run_log = (struct run_log){.count = 0};
    err = (struct error){0};
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* Law: a step leaves a line when another begins, or none; as long as it is the same, nothing. */
START_TEST(steps_leave_a_line_at_their_end)
{
    static const char *const steps[] = {"prepare", "prepare", "tune", "tune", "", ""};
    static const size_t lines[] = {0, 0, 1, 1, 2, 2};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        run_log_step(&run_log, steps[i]);
        ck_assert_uint_eq(run_log.count, lines[i]);
    }
    ck_assert(support_contains(run_log.lines[0].text, "prepare took 0.0"));
    ck_assert(support_contains(run_log.lines[1].text, "tune took 0.0"));
    ck_assert_int_ge(run_log.lines[1].time_ms, run_log.lines[0].time_ms);
}
END_TEST

/* Law: whatever comes, there are the first lines and the last one; long ones are cut. */
START_TEST(the_end_is_always_there)
{
    char text[2 * RUN_LOG_LINE_BYTES];
    for (int i = 0; i < 3 * RUN_LOG_LINES; i++)
        run_log_add(&run_log, "line %d", i);
    ck_assert_uint_eq(run_log.count, RUN_LOG_LINES);
    ck_assert_str_eq(run_log.lines[0].text, "line 0");
    (void)snprintf(text, sizeof(text), "line %d", 3 * RUN_LOG_LINES - 1); /* fits */
    ck_assert_str_eq(run_log.lines[RUN_LOG_LINES - 1].text, text);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    run_log_add(&run_log, "%s", text);
    ck_assert_uint_eq(strlen(run_log.lines[RUN_LOG_LINES - 1].text), RUN_LOG_LINE_BYTES - 1);
}
END_TEST

START_TEST(lines_are_printed_with_their_time)
{
    struct json *list;
    run_log_add(&run_log, "a \"word\"");
    run_log.lines[0].time_ms = 1700000000123;
    const char *text = run_log_print(&run_log, arena, &err);
    ck_assert_ok(text != NULL, &err);
    ck_assert_str_eq(text, "[{\"time\":\"2023-11-14T22:13:20.123Z\",\"text\":\"a \\\"word\\\"\"}]");
    ck_assert_ok(json_parse(arena, text, strlen(text), NULL, &list, &err), &err);
    arena_fail_at(arena, 1);
    ck_assert_ptr_null(run_log_print(&run_log, arena, &err));
    ck_assert_int_eq(err.code, E_MEMORY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_log");
    TCase *tcase = tcase_create("run_log");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, steps_leave_a_line_at_their_end);
    tcase_add_test(tcase, the_end_is_always_there);
    tcase_add_test(tcase, lines_are_printed_with_their_time);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
