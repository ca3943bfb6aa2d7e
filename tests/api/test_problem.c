/* Problem documents: every error code has a status and a stable name, and says nothing about the
 * inside of the server. */

#include "ptqd/api/problem.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct arena *arena;

static void setup(void)
{
    arena = arena_create(0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const char *print(const struct error *error)
{
    struct json *object = json_object(arena);
    problem_add(object, error);
    return json_print_string(object, arena, NULL, NULL);
}

START_TEST(every_code_has_a_status_of_an_error)
{
    struct error error = {.code = (enum error_code)_i};
    int status = problem_status(error.code);
    ck_assert_int_ge(status, 400);
    ck_assert_int_lt(status, 600);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "\"status\":%d,\"code\":\"%s\"", status,
                   error_code_name(error.code));
    ck_assert_msg(support_contains(print(&error), expected), "%s", print(&error));
}
END_TEST

/* Law: a 5xx never repeats a message that may name a file or a function of the server. */
START_TEST(what_is_inside_stays_inside)
{
    struct error error = {.code = (enum error_code)_i};
    (void)snprintf(error.message, sizeof(error.message), "can't read '/var/lib/ptqd/blobs/ab'");
    bool inside = error.code == E_IO || error.code == E_INTERNAL || error.code == E_NO_SPACE;
    ck_assert_int_eq(support_contains(print(&error), "/var/lib"), !inside);
}
END_TEST

/* Law: whatever its code, an internal error's message is not shown, and it is never the client's
 * fault. */
START_TEST(an_internal_error_says_nothing_and_is_a_5xx)
{
    struct error error = {.code = (enum error_code)_i};
    (void)snprintf(error.message, sizeof(error.message), "can't create '/var/lib/ptqd/tmp/1-0'");
    ck_assert(!error_internal(&error));
    ck_assert_msg(!support_contains(print(&error), "/var/lib"), "%s", print(&error));
    ck_assert_int_ge(problem_status_of(&error), 500);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "\"status\":%d,", problem_status_of(&error));
    ck_assert_msg(support_contains(print(&error), expected), "%s", print(&error));
}
END_TEST

START_TEST(a_problem_has_detail_and_pointer)
{
    struct error error = {.code = E_INVALID, .pointer = "/pipeline/weights/bits"};
    (void)snprintf(error.message, sizeof(error.message), "bits is 9; 2 to 8 are supported");
    ck_assert_str_eq(print(&error),
                     "{\"title\":\"Unprocessable Content\",\"status\":422,\"code\":\"invalid\","
                     "\"detail\":\"bits is 9; 2 to 8 are supported\","
                     "\"pointer\":\"/pipeline/weights/bits\"}");
}
END_TEST

START_TEST(a_problem_of_the_query_string_names_its_parameter)
{
    struct error error = {.code = E_INVALID, .message = "limit is 0"};
    ck_assert(!error_parameter(&error, "limit"));
    ck_assert_str_eq(print(&error),
                     "{\"title\":\"Unprocessable Content\",\"status\":422,\"code\":\"invalid\","
                     "\"detail\":\"limit is 0\",\"parameter\":\"limit\"}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem");
    TCase *tcase = tcase_create("problem");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_code_has_a_status_of_an_error, 0, ERROR_CODE_COUNT);
    tcase_add_loop_test(tcase, what_is_inside_stays_inside, 0, ERROR_CODE_COUNT);
    tcase_add_loop_test(tcase, an_internal_error_says_nothing_and_is_a_5xx, 0, ERROR_CODE_COUNT);
    tcase_add_test(tcase, a_problem_has_detail_and_pointer);
    tcase_add_test(tcase, a_problem_of_the_query_string_names_its_parameter);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
