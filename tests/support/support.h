#pragma once

/* What tests of every room share: running a suite, real data, temporary directories, failing
 * allocations. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

/* What a test program returns when it can't run here; meson reports it as skipped. */
enum { SUPPORT_SKIP = 77 };

/* Checks that a call returned true; on failure prints the error's message. */
#define ck_assert_ok(call, err)                                                                    \
    do {                                                                                           \
        bool support_ok = (call);                                                                  \
        ck_assert_msg(support_ok, "%s: [%s] %s", #call, error_code_name((err)->code),              \
                      (err)->message);                                                             \
    } while (0)

/* Checks that a call returned false with this code and that the message contains `fragment`. */
#define ck_assert_fails(call, err, expected_code, fragment)                                        \
    do {                                                                                           \
        bool support_ok = (call);                                                                  \
        ck_assert_msg(!support_ok, "%s: succeeded", #call);                                        \
        ck_assert_msg((err)->code == (expected_code), "%s: [%s] %s", #call,                        \
                      error_code_name((err)->code), (err)->message);                               \
        ck_assert_msg(support_contains((err)->message, (fragment)), "%s: \"%s\" lacks \"%s\"",     \
                      #call, (err)->message, (fragment));                                          \
    } while (0)

/* ck_assert_msg for each element of an array. libcheck passes on the place of every assertion that
 * it comes to, by a system call, which would take most of the time of such a loop. */
#define ck_assert_element(condition, ...)                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

bool support_contains(const char *text, const char *fragment);

/* Runs a suite as the environment says (CK_…) and frees it. The exit status of the program: 1 when
 * a check failed. */
int support_run(Suite *suite);

/* Ends the program when a call failed, with the error's message: for what programs without a suite,
 * in which libcheck's assertions can't be used, do as well. */
void support_require(bool ok, const struct error *err);

/* Path of a file of the real networks and data, "kws/model.onnx": below $PTQD_TEST_DATA, or, if
 * that is unset, beside the source tree. NULL when it is not there; the program then returns
 * SUPPORT_SKIP.
 */
const char *support_data_path(const char *case_file, char *buffer, size_t size);

/* Path of a file of the source tree, "tests/data/…". */
const char *support_source_path(const char *file, char *buffer, size_t size);

/* True when PTQD_TEST_SHORT is set: a slow build (a sanitizer) asks heavy tests for their shortened
 * form. */
bool support_short(void);

/* CPU time of this thread: what else the machine does, does not count. */
double support_cpu_seconds(void);

/* A new empty directory; removed with all it holds by support_remove_tree. */
const char *support_make_directory(char *buffer, size_t size);
void support_remove_tree(const char *path);

/* Calls `body` with a fresh arena whose first, second, third … allocation fails, until a call
 * succeeds; every failure before must be E_MEMORY. Returns the number of failures. */
size_t support_fail_each_allocation(bool (*body)(struct arena *arena, void *context,
                                                 struct error *err),
                                    void *context);
