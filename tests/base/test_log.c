#include "ptqd/base/log.h"

#include "support.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each case runs in a process of its own, whose standard error becomes a file. */
static FILE *captured;

static void setup(void)
{
    captured = tmpfile();
    ck_assert_ptr_nonnull(captured);
    ck_assert_int_ge(dup2(fileno(captured), STDERR_FILENO), 0);
    log_set_level(LOG_INFO);
}

static void teardown(void)
{
    fclose(captured);
}

static const char *output(void)
{
    static char bytes[1 << 20];
    rewind(captured);
    size_t size = fread(bytes, 1, sizeof(bytes) - 1, captured);
    bytes[size] = '\0';
    return bytes;
}

START_TEST(a_line_has_level_room_message_and_pairs)
{
    log_write(LOG_INFO, "jobs", "run finished|run=%d seconds=%.1f", 17, 2.5);
    log_write(LOG_WARN, "http", "slow client");
    ck_assert_str_eq(output(), "level=info at=jobs msg=\"run finished\" run=17 seconds=2.5\n"
                               "level=warn at=http msg=\"slow client\"\n");
}
END_TEST

/* Law: exactly the levels from the lowest wanted one on are written. */
START_TEST(levels_below_the_wanted_one_are_silent)
{
    for (int wanted = LOG_DEBUG; wanted <= LOG_ERROR; wanted++) {
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            long before = lseek(STDERR_FILENO, 0, SEEK_CUR);
            log_set_level((enum log_level)wanted);
            log_write((enum log_level)level, "test", "x");
            ck_assert_int_eq(lseek(STDERR_FILENO, 0, SEEK_CUR) > before, level >= wanted);
        }
    }
}
END_TEST

/* Law: a message can't forge a second line or leave its quotes. */
START_TEST(hostile_text_stays_in_its_line)
{
    log_write(LOG_INFO, "api", "name %s", "a\nlevel=info b\"c\\d\x1b");
    ck_assert_str_eq(output(), "level=info at=api msg=\"name a level=info b\\\"c\\\\d \"\n");
}
END_TEST

START_TEST(a_bar_in_a_value_splits_nothing)
{
    log_write(LOG_INFO, "api", "name %s", "a|b=c");
    ck_assert_str_eq(output(), "level=info at=api msg=\"name a|b=c\"\n");
}
END_TEST

START_TEST(an_error_tells_code_and_place)
{
    struct error err = {.code = E_NO_SPACE,
                        .message = "disk | full",
                        .file = "src/x.c",
                        .line = 12,
                        .function = "save"};
    log_failure("store", "run 17", &err);
    ck_assert_str_eq(output(), "level=error at=store msg=\"run 17: disk | full\" code=no-space "
                               "where=src/x.c:12 function=save\n");
}
END_TEST

/* Law: a message of any length makes one line, of at most 4096 bytes, that starts as it should. */
START_TEST(long_messages_are_cut)
{
    static char filler[10000];
    for (size_t length = 2000; length < sizeof(filler); length += 500) {
        memset(filler, '"', length);
        filler[length] = '\0';
        long before = lseek(STDERR_FILENO, 0, SEEK_CUR);
        log_write(LOG_INFO, "api", "%s|key=value", filler);
        struct error err = {.code = E_IO, .message = "reason"};
        log_failure("api", filler, &err);
        ck_assert_int_le(lseek(STDERR_FILENO, 0, SEEK_CUR) - before, 2 * 4096);

        const char *line = output() + before;
        const char *end = strchr(line, '\n');
        ck_assert(strncmp(line, "level=info at=api msg=\"\\\"\\\"", 26) == 0);
        ck_assert_ptr_nonnull(end);
        ck_assert(strncmp(end + 1, "level=error at=api msg=\"\\\"\\\"", 27) == 0);
        ck_assert_str_eq(strchr(end + 1, '\n'), "\n");
    }
}
END_TEST

static void *write_many(void *context)
{
    for (int i = 0; i < 500; i++)
        log_write(LOG_INFO, context, "some words to write|number=%d", i);
    return NULL;
}

/* Law: lines of several threads never mix. */
START_TEST(lines_of_threads_stay_whole)
{
    static char names[2][8] = {"first", "second"};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

    int next[2] = {0, 0};
    const char *line = output();
    for (int n = 0; n < 1000; n++) {
        int which = strncmp(line, "level=info at=first", 19) == 0 ? 0 : 1;
        char expected[128];
        snprintf(expected, sizeof(expected),
                 "level=info at=%s msg=\"some words to write\" number=%d\n", names[which],
                 next[which]++);
        ck_assert(strncmp(line, expected, strlen(expected)) == 0);
        line += strlen(expected);
    }
    ck_assert_str_eq(line, "");
}
END_TEST

START_TEST(level_names_read)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct error err;
    enum log_level level;
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        ck_assert_ok(log_parse_level(names[i], &level, &err), &err);
        ck_assert_int_eq(level, i);
    }
    ck_assert_fails(log_parse_level("loud", &level, &err), &err, E_INVALID, "\"loud\"");
}
END_TEST

/* Law: what a thread is at work on is in each of its lines, and in no other thread's. */
START_TEST(the_context_of_a_thread_is_in_its_lines)
{
    static char other[] = "other";
    pthread_t thread;
    struct error err = {.code = E_IO, .message = "reason", .file = "x.c", .line = 1};
    log_set_context("request=4f run=j1");
    log_write(LOG_INFO, "api", "a|b=c");
    log_failure("api", "no", &err);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_many, other), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    log_set_context(NULL);
    log_write(LOG_INFO, "api", "d");
    const char *lines = output();
    static const char first[] = "level=info at=api request=4f run=j1 msg=\"a\" b=c\n";
    ck_assert_int_eq(strncmp(lines, first, strlen(first)), 0);
    ck_assert(support_contains(lines, "level=error at=api request=4f run=j1 msg=\"no: reason\""));
    ck_assert(support_contains(lines, "level=info at=other msg=\"some words"));
    ck_assert(support_contains(lines, "level=info at=api msg=\"d\"\n"));
}
END_TEST

START_TEST(lines_begin_with_the_time_or_the_priority)
{
    log_set_start(LOG_TIME);
    log_write(LOG_INFO, "a", "x");
    log_set_start(LOG_JOURNAL);
    log_write(LOG_INFO, "a", "x");
    log_write(LOG_ERROR, "a", "x");
    int year, length = 0;
    const char *lines = output();
    ck_assert_int_eq(sscanf(lines, "time=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ %n", &year, &length),
                     1);
    ck_assert_int_gt(year, 2000);
    ck_assert_str_eq(lines + length, "level=info at=a msg=\"x\"\n"
                                     "<6>level=info at=a msg=\"x\"\n"
                                     "<3>level=error at=a msg=\"x\"\n");
}
END_TEST

/* Law: the journal is where standard error goes, not where it went once. */
START_TEST(the_journal_is_known_by_its_stream)
{
    struct stat status;
    char name[64];
    unsetenv("JOURNAL_STREAM");
    ck_assert_int_eq(log_service_start(), LOG_TIME);
    setenv("JOURNAL_STREAM", "1:2", 1);
    ck_assert_int_eq(log_service_start(), LOG_TIME);
    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", name, 1);
    ck_assert_int_eq(log_service_start(), LOG_JOURNAL);
}
END_TEST

static size_t count_lines(const char *fragment)
{
    size_t count = 0;
    for (const char *at = output(); (at = strstr(at, fragment)) != NULL; at++)
        count++;
    return count;
}

/* Laws: equal warnings are cut off, others are not, and what is no warning never is. */
START_TEST(equal_warnings_are_limited)
{
    struct error full = {.code = E_NO_SPACE, .message = "full", .file = "x.c", .line = 1};
    struct error other = {.code = E_NO_SPACE, .message = "other", .file = "x.c", .line = 2};
    log_limit_repeats(3, 3600 * 1000);
    for (int i = 0; i < 20; i++) {
        log_write(LOG_WARN, "api", "slow %d", i);
        log_write(LOG_INFO, "api", "news %d", i);
        log_failure("api", "one", &full);
    }
    log_failure("api", "two", &other);
    ck_assert_uint_eq(count_lines("msg=\"slow "), 3);
    ck_assert_uint_eq(count_lines("msg=\"news "), 20);
    ck_assert_uint_eq(count_lines("one: full"), 3);
    ck_assert_uint_eq(count_lines("two: other"), 1);
}
END_TEST

/* Law: how many were left out is told when the next one is written. */
START_TEST(what_was_left_out_is_counted)
{
    enum { TRIES = 100000 };
    log_limit_repeats(1, 20);
    int tries = 0;
    while (count_lines("lines like the next one were left out") == 0 && tries++ < TRIES)
        log_write(LOG_WARN, "api", "again");
    ck_assert_int_lt(tries, TRIES);
    ck_assert_uint_eq(count_lines("msg=\"again\""), 2);
    char expected[80];
    snprintf(expected, sizeof(expected), "msg=\"%d lines like the next one", tries - 2);
    ck_assert_msg(support_contains(output(), expected), "%s: %s", expected, output());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *cases = tcase_create("log");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_line_has_level_room_message_and_pairs);
    tcase_add_test(cases, levels_below_the_wanted_one_are_silent);
    tcase_add_test(cases, hostile_text_stays_in_its_line);
    tcase_add_test(cases, a_bar_in_a_value_splits_nothing);
    tcase_add_test(cases, an_error_tells_code_and_place);
    tcase_add_test(cases, long_messages_are_cut);
    tcase_add_test(cases, lines_of_threads_stay_whole);
    tcase_add_test(cases, level_names_read);
    tcase_add_test(cases, the_context_of_a_thread_is_in_its_lines);
    tcase_add_test(cases, lines_begin_with_the_time_or_the_priority);
    tcase_add_test(cases, the_journal_is_known_by_its_stream);
    tcase_add_test(cases, equal_warnings_are_limited);
    tcase_add_test(cases, what_was_left_out_is_counted);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
