/* SIGHUP and TLS of the real program: a new certificate without a restart, and a signal that never
 * kills. */

#include "client.h"
#include "program.h"
#include "tls_client.h"

#include "support.h"

#include "ptqd/base/file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char any[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static char directory[256], certificate[300], key[300];

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    (void)snprintf(certificate, sizeof(certificate), "%s/certificate.pem", directory);
    (void)snprintf(key, sizeof(key), "%s/key.pem", directory);
}

static void teardown(void)
{
    support_remove_tree(directory);
}

static bool serves(int port, const char *name)
{
    char served[64];
    struct tls_client *client = tls_connect(port, any);
    ck_assert_ptr_nonnull(client);
    ck_assert_int_eq(tls_get(client, "/healthz"), 200);
    bool same = strcmp(tls_server_name(client, served, sizeof(served)), name) == 0;
    tls_close(client);
    return same;
}

START_TEST(sighup_reads_the_certificate_again)
{
    struct program program;
    struct error err = {0};
    tls_write_pair(certificate, key, "first");
    program_serve_with(&program, directory,
                       (const char *const[]){"--tls-certificate", certificate, "--tls-key", key,
                                             NULL});
    ck_assert(serves(program.port, "first"));
    tls_write_pair(certificate, key, "second");
    ck_assert_int_eq(kill(program.pid, SIGHUP), 0);
    for (long end = client_now_ms() + 10 * 1000; !serves(program.port, "second");)
        ck_assert_int_lt(client_now_ms(), end);

    ck_assert_ok(file_write(certificate, "nonsense", 8, &err), &err);
    ck_assert_int_eq(kill(program.pid, SIGHUP), 0);
    char log[8192] = "";
    for (long end = client_now_ms() + 10 * 1000;
         !support_contains(log, "the certificate stays as it was");) {
        ck_assert_int_lt(client_now_ms(), end);
        usleep(1000);
        program_log(&program, log, sizeof(log));
    }
    ck_assert(serves(program.port, "second"));
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
}
END_TEST

START_TEST(a_certificate_without_a_key_is_refused)
{
    char text[4096];
    tls_write_pair(certificate, key, "first");
    ck_assert_int_ne(program_run((const char *const[]){"serve", "--config", "/dev/null", "--data",
                                                       directory, "--port", "0",
                                                       "--tls-certificate", certificate, NULL},
                                 text, sizeof(text)),
                     0);
    ck_assert_msg(support_contains(text, "needed both or neither"), "%s", text);
    ck_assert_int_ne(program_run((const char *const[]){"serve", "--config", "/dev/null", "--data",
                                                       directory, "--port", "0",
                                                       "--tls-certificate", certificate,
                                                       "--tls-key", certificate, NULL},
                                 text, sizeof(text)),
                     0);
    ck_assert_msg(support_contains(text, "are no certificate and key"), "%s", text);
}
END_TEST

/* Retention has threads of its own, which must not take the signal either. */
static const char *const settings[][3] = {{NULL}, {"--keep-jobs-days", "1", NULL}};

/* Law: SIGHUP never ends the daemon, neither while it serves nor while it stops. */
START_TEST(sighup_never_kills)
{
    struct program program;
    program_serve_with(&program, directory, settings[_i]);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(kill(program.pid, SIGHUP), 0);
        struct reply reply = client_get(program.port, "/healthz");
        ck_assert_int_eq(reply.status, 200);
        reply_free(&reply);
    }
    ck_assert_int_eq(kill(program.pid, SIGTERM), 0);
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(program.pid, &status, WNOHANG)) == 0) {
        ck_assert_int_eq(kill(program.pid, SIGHUP), 0);
        usleep(100);
    }
    ck_assert_int_eq(ended, program.pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    close(program.log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hangup");
    TCase *tcase = tcase_create("hangup");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, sighup_reads_the_certificate_again);
    tcase_add_test(tcase, a_certificate_without_a_key_is_refused);
    tcase_add_loop_test(tcase, sighup_never_kills, 0,
                        (int)(sizeof(settings) / sizeof(settings[0])));
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
