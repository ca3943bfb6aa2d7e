/* ptqd token, beside a running daemon. */

#include "client.h"
#include "session.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 48 };

static struct session session;

static void setup(void)
{
    session_open(&session, SAMPLES);
}

static void teardown(void)
{
    session_close(&session);
}

static int run_token(const char *verb, const char *name, const char *role, char *out_text,
                     size_t size)
{
    const char *line[9] = {"token",           "--config", "/dev/null", "--data",
                           session.directory, verb,       name,        role};
    return program_run(line, out_text, size);
}

/* The status of a request with this token; "" without one. */
static int status_of(int port, const char *token)
{
    char header[256] = "";
    if (token[0] != '\0')
        (void)snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", token);
    struct reply reply = client_call(port, "GET", "/v1/jobs", header, NULL, 0);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

static void add(const char *name, char *out_token, size_t size)
{
    enum { TOKEN_CHARS = 64 };
    ck_assert_int_eq(run_token("add", name, "submit", out_token, size), 0);
    ck_assert_uint_eq(strspn(out_token, "0123456789abcdef"), TOKEN_CHARS);
    out_token[TOKEN_CHARS] = '\0';
}

/* Law: what `ptqd token` has done holds for the next request, without a restart. */
START_TEST(tokens_take_effect_at_once)
{
    char anna[512], bert[512], text[512];
    struct program program;
    program_serve(&program, session.directory);
    ck_assert_int_eq(status_of(program.port, ""), 200);
    ck_assert_int_eq(status_of(program.port, "no-token"), 200);

    add("anna", anna, sizeof(anna));
    ck_assert_int_eq(status_of(program.port, ""), 401);
    ck_assert_int_eq(status_of(program.port, "no-token"), 401);
    ck_assert_int_eq(status_of(program.port, anna), 200);

    add("bert", bert, sizeof(bert));
    ck_assert_int_eq(status_of(program.port, bert), 200);
    ck_assert_int_eq(run_token("revoke", "anna", NULL, text, sizeof(text)), 0);
    ck_assert_int_eq(status_of(program.port, anna), 401);
    ck_assert_int_eq(status_of(program.port, bert), 200);

    /* The last one goes: what was guarded stays shut. */
    ck_assert_int_eq(run_token("revoke", "bert", NULL, text, sizeof(text)), 0);
    ck_assert_int_eq(status_of(program.port, bert), 401);
    ck_assert_int_eq(status_of(program.port, ""), 401);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
}
END_TEST

/* Law: a token has the limits of its command line, and only those; the rest is the daemon's. */
START_TEST(a_token_has_limits_of_its_own)
{
    const char *add[16] = {"token",           "--config", "/dev/null",     "--data",
                           session.directory, "add",      "anna",          "submit",
                           "--stored",        "500",      "--queued-runs", "7",
                           "--running-runs",  "unlimited"};
    const char *change[12] = {"token",  "--config", "/dev/null", "--data",        session.directory,
                              "change", "anna",     "read",      "--queued-runs", "8"};
    char text[512];
    setenv("PTQD_RUNNING_RUNS", "3", 1); /* a setting is nobody's own */
    ck_assert_int_eq(program_run(add, text, sizeof(text)), 0);
    ck_assert_int_eq(run_token("list", NULL, NULL, text, sizeof(text)), 0);
    ck_assert_msg(support_contains(text, " queued_runs=7 running_runs=unlimited stored=500\n"),
                  "%s", text);
    ck_assert_int_eq(program_run(change, text, sizeof(text)), 0);
    ck_assert_int_eq(run_token("list", NULL, NULL, text, sizeof(text)), 0);
    ck_assert_msg(support_contains(text, " queued_runs=8\n") && support_contains(text, " read "),
                  "%s", text);
    unsetenv("PTQD_RUNNING_RUNS");
    ck_assert_int_eq(run_token("change", "nobody", "read", text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "there is no token 'nobody'"), "%s", text);
    add[9] = "-1";
    add[6] = "bert";
    ck_assert_int_eq(program_run(add, text, sizeof(text)), 2);
    ck_assert_msg(support_contains(text, "--stored"), "%s", text);
}
END_TEST

/* Whether what the daemon says to who has the token has these words. */
static bool is_told(int port, const char *token, const char *words)
{
    char header[256];
    (void)snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", token);
    struct reply reply = client_call(port, "GET", "/v1/me", header, NULL, 0);
    bool told = reply.status == 200 && support_contains(reply.body, words);
    reply_free(&reply);
    return told;
}

START_TEST(limits_take_effect_at_once)
{
    const char *change[12] = {"token",  "--config", "/dev/null", "--data",        session.directory,
                              "change", "anna",     "read",      "--queued-runs", "8"};
    char anna[512], text[512];
    struct program program;
    program_serve(&program, session.directory);
    add("anna", anna, sizeof(anna));
    ck_assert(
        is_told(program.port, anna, "\"role\":\"submit\",\"quotas\":{\"queued_runs\":100000,"));
    ck_assert_int_eq(program_run(change, text, sizeof(text)), 0);
    ck_assert(is_told(program.port, anna, "\"role\":\"read\",\"quotas\":{\"queued_runs\":8,"));
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
}
END_TEST

static void limit_running(const char *runs)
{
    const char *change[12] = {"token",           "--config", "/dev/null", "--data",
                              session.directory, "change",   "anna",      "submit",
                              "--running-runs",  runs};
    char text[512];
    ck_assert_int_eq(program_run(change, text, sizeof(text)), 0);
}

/* Law: a run that a limit held back starts soon after the limit was raised, also where nothing else
 * happens: the first run, which takes minutes, still runs. */
START_TEST(a_raised_limit_lets_runs_start)
{
    static const char *const two[] = {"--workers", "2", NULL};
    char anna[512], header[600];
    program_serve_with(&session.program, session.directory, two);
    add("anna", anna, sizeof(anna));
    limit_running("1");
    (void)snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", anna);
    session.headers = header;
    const char *job = session_submit(&session, "\"seeds\":2,\"pipeline\":{\"optimize\":"
                                               "{\"variable\":\"weights\",\"granularity\":"
                                               "\"block\",\"iterations\":100000}}");
    ck_assert_str_eq(job, "j1");
    session_wait_for(&session, "j1-v000-s0", NULL, -1, -1);
    ck_assert_str_eq(session_text(session_get(&session, "/v1/runs/j1-v000-s1"), "state"), "queued");
    limit_running("2");
    session_wait_for(&session, "j1-v000-s1", NULL, -1, -1);
    ck_assert_str_eq(session_text(session_get(&session, "/v1/runs/j1-v000-s0"), "state"),
                     "running");
    session_call(&session, "POST", "/v1/jobs/j1/cancel", "", 200);
    ck_assert_str_eq(session_finish(&session, job), "cancelled");
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

/* Law: what could not be shown is no success, and a token that nobody has seen is told of. */
START_TEST(output_that_is_lost_is_told_of)
{
    const char *add[9] = {"token",           "--config", "/dev/null", "--data",
                          session.directory, "add",      "anna",      "submit"};
    const char *list[7] = {"token", "--config", "/dev/null", "--data", session.directory, "list"};
    char text[512];
    ck_assert_int_eq(program_run_full(add, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "the token 'anna' is there, but could not be shown"), "%s",
                  text);
    ck_assert_int_eq(program_run_full(list, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "what it prints could not all be written"), "%s", text);
    ck_assert_int_eq(run_token("revoke", "anna", NULL, text, sizeof(text)), 0);
}
END_TEST

START_TEST(what_is_no_token_command_is_refused)
{
    char text[512];
    ck_assert_int_eq(run_token("add", "anna", "king", text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "\"king\" is not a role"), "%s", text);
    ck_assert_int_eq(run_token("add", "", "read", text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "the name has 0 bytes; 1 to 200 are allowed"), "%s", text);
    ck_assert_int_eq(run_token("revoke", "nobody", NULL, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "there is no token 'nobody'"), "%s", text);
    ck_assert_int_eq(run_token("add", "anna", NULL, text, sizeof(text)), 2);
    ck_assert_msg(support_contains(text, "usage: ptqd token"), "%s", text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokens");
    TCase *tcase = tcase_create("tokens");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tokens_take_effect_at_once);
    tcase_add_test(tcase, a_token_has_limits_of_its_own);
    tcase_add_test(tcase, limits_take_effect_at_once);
    tcase_add_test(tcase, a_raised_limit_lets_runs_start);
    tcase_add_test(tcase, output_that_is_lost_is_told_of);
    tcase_add_test(tcase, what_is_no_token_command_is_refused);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
