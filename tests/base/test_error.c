#include "ptqd/base/error.h"

#include "support.h"

#include <string.h>

START_TEST(a_failure_records_code_message_and_place)
{
    struct error err;
    int line = __LINE__ + 1;
    ck_assert(!FAIL(&err, E_INVALID, "bits is %d; 2 to 8 are supported", 9));
    ck_assert_int_eq(err.code, E_INVALID);
    ck_assert_str_eq(err.message, "bits is 9; 2 to 8 are supported");
    ck_assert_str_eq(err.pointer, "");
    ck_assert_str_eq(err.file, __FILE__);
    ck_assert_int_eq(err.line, line);
    ck_assert_str_eq(err.function, __func__);
}
END_TEST

START_TEST(nobody_needs_to_ask_for_the_error)
{
    ck_assert(!FAIL(NULL, E_IO, "%s", "unseen"));
    ck_assert(!error_context(NULL, "context"));
    ck_assert(!error_at(NULL, "/field"));
    ck_assert(!error_pointer_prefix(NULL, "/pipeline"));
}
END_TEST

START_TEST(a_message_may_quote_the_message_it_replaces)
{
    struct error err;
    FAIL(&err, E_IO, "inner");
    FAIL(&err, E_INVALID, "outer (%s)", err.message);
    ck_assert_str_eq(err.message, "outer (inner)");
    FAIL(&err, E_INVALID, "%s", err.message);
    ck_assert_str_eq(err.message, "outer (inner)");
}
END_TEST

START_TEST(context_goes_before_and_keeps_code_and_place)
{
    struct error err;
    FAIL(&err, E_NOT_FOUND, "no such file");
    int line = err.line;
    ck_assert(!error_context(&err, "model '%s'", "a"));
    ck_assert(!error_context(&err, "job %d", 7));
    ck_assert_str_eq(err.message, "job 7: model 'a': no such file");
    ck_assert_int_eq(err.code, E_NOT_FOUND);
    ck_assert_int_eq(err.line, line);
}
END_TEST

START_TEST(an_internal_error_stays_so_until_it_is_replaced)
{
    struct error err;
    FAIL(&err, E_NOT_FOUND, "can't open '/var/lib/x'");
    ck_assert(!err.internal);
    ck_assert(!error_internal(&err));
    ck_assert(!error_context(&err, "run j1"));
    ck_assert(err.internal);
    FAIL(&err, E_NOT_FOUND, "there is no run 'j1'");
    ck_assert(!err.internal);
    ck_assert(!error_internal(NULL));
}
END_TEST

/* Law: whatever the lengths, a message stays terminated, keeps its beginning, and the context
 * stands before what is left of the message. */
START_TEST(long_messages_are_cut_at_the_end)
{
    char filler[2 * ERROR_MESSAGE_BYTES];
    for (size_t length = ERROR_MESSAGE_BYTES - 10; length < ERROR_MESSAGE_BYTES + 10; length++) {
        memset(filler, 'x', length);
        filler[length] = '\0';
        struct error err;
        FAIL(&err, E_IO, "%s", filler);
        size_t kept = length < ERROR_MESSAGE_BYTES ? length : ERROR_MESSAGE_BYTES - 1;
        ck_assert_uint_eq(strlen(err.message), kept);

        error_context(&err, "file");
        ck_assert(strncmp(err.message, "file: xxx", 9) == 0);
        ck_assert_uint_lt(strlen(err.message), ERROR_MESSAGE_BYTES);

        FAIL(&err, E_IO, "short");
        error_context(&err, "%s", filler);
        ck_assert_int_eq(err.message[0], 'x');
        ck_assert_uint_lt(strlen(err.message), ERROR_MESSAGE_BYTES);
    }
}
END_TEST

START_TEST(the_deepest_pointer_wins_and_prefixes_add_up)
{
    struct error err;
    FAIL(&err, E_INVALID, "bad");
    error_at(&err, "/layers/%d/bits", 3);
    error_at(&err, "/layers");
    error_pointer_prefix(&err, "/pipeline");
    ck_assert_str_eq(err.pointer, "/pipeline/layers/3/bits");
}
END_TEST

/* Law: half a pointer names another field, so one that does not fit is left out. */
START_TEST(a_pointer_is_whole_or_absent)
{
    char filler[2 * ERROR_POINTER_BYTES];
    for (size_t length = 1; length < sizeof(filler); length++) {
        memset(filler, '/', length);
        filler[length] = '\0';
        struct error err;
        FAIL(&err, E_INVALID, "bad");
        error_at(&err, "%s", filler);
        ck_assert_uint_eq(strlen(err.pointer), length < ERROR_POINTER_BYTES ? length : 0);

        FAIL(&err, E_INVALID, "bad");
        error_at(&err, "/ab");
        error_pointer_prefix(&err, filler);
        ck_assert_uint_eq(strlen(err.pointer), length + 3 < ERROR_POINTER_BYTES ? length + 3 : 0);
    }
}
END_TEST

/* Law: half a name is another parameter's, so one that does not fit is left out. */
START_TEST(a_parameter_is_whole_or_absent)
{
    char filler[2 * ERROR_PARAMETER_BYTES];
    for (size_t length = 1; length < sizeof(filler); length++) {
        memset(filler, 'x', length);
        filler[length] = '\0';
        struct error err;
        FAIL(&err, E_INVALID, "bad");
        ck_assert(!error_parameter(&err, filler));
        ck_assert_uint_eq(strlen(err.parameter), length < ERROR_PARAMETER_BYTES ? length : 0);
        FAIL(&err, E_INVALID, "worse");
        ck_assert_str_eq(err.parameter, "");
    }
    ck_assert(!error_parameter(NULL, "limit"));
}
END_TEST

/* Law: names and codes are a bijection. */
START_TEST(every_code_has_a_name_of_its_own)
{
    for (int code = 0; code < ERROR_CODE_COUNT; code++) {
        const char *name = error_code_name((enum error_code)code);
        ck_assert_uint_gt(strlen(name), 0);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        ck_assert_int_eq(error_code_find(name), code);
    }
    ck_assert_int_eq(error_code_find("no such name"), E_INTERNAL);
    ck_assert_str_eq(error_code_name(ERROR_CODE_COUNT), "internal");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *cases = tcase_create("error");
    tcase_add_test(cases, a_failure_records_code_message_and_place);
    tcase_add_test(cases, nobody_needs_to_ask_for_the_error);
    tcase_add_test(cases, a_message_may_quote_the_message_it_replaces);
    tcase_add_test(cases, context_goes_before_and_keeps_code_and_place);
    tcase_add_test(cases, long_messages_are_cut_at_the_end);
    tcase_add_test(cases, the_deepest_pointer_wins_and_prefixes_add_up);
    tcase_add_test(cases, a_pointer_is_whole_or_absent);
    tcase_add_test(cases, a_parameter_is_whole_or_absent);
    tcase_add_test(cases, an_internal_error_stays_so_until_it_is_replaced);
    tcase_add_test(cases, every_code_has_a_name_of_its_own);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
