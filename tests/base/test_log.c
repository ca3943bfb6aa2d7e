#include "ptqd/base/log.h"

#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
