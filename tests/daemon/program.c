#include "program.h"

#include "client.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 48, LOG_BYTES = 8192 };

/* Starts the program with these outputs; it ends with the test. */
static pid_t start(const char *const *arguments, int output, int errors)
{
    const char *line[ARGUMENTS_MAX] = {PTQD_PROGRAM};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        ck_assert_uint_lt(i + 2, ARGUMENTS_MAX);
        line[i + 1] = arguments[i];
    }
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        union {
            const char **constant;
            char **plain;
        } words = {.constant = line};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(output, STDOUT_FILENO);
        dup2(errors, STDERR_FILENO);
        execv(PTQD_PROGRAM, words.plain);
        _exit(127);
    }
    return pid;
}

void program_log(const struct program *program, char *out_log, size_t size)
{
    ssize_t got = pread(program->log, out_log, size - 1, program->ready_at);
    out_log[got > 0 ? got : 0] = '\0';
}

/* All of it, where meson shows it. */
static void show_log(const struct program *program)
{
    char chunk[1024];
    ssize_t got;
    for (off_t at = 0; (got = pread(program->log, chunk, sizeof(chunk), at)) > 0; at += got)
        (void)fwrite(chunk, 1, (size_t)got, stderr);
}

/* A start syncs files, and a disk that others use as well may take its time. How long a start takes
 * is test_scale's question. */
enum { READY_MS = 60 * 1000 };

/* Waits until the line with the port is in the log. */
static void wait_ready(struct program *program)
{
    char text[LOG_BYTES];
    long end = client_now_ms() + READY_MS;
    for (;;) {
        program_log(program, text, sizeof(text));
        const char *port = strstr(text, " port=");
        if (port != NULL && strchr(port, '\n') != NULL) {
            program->port = (int)strtol(port + strlen(" port="), NULL, 10);
            program->ready_at = (strchr(port, '\n') + 1) - text;
            return;
        }
        int status;
        ck_assert_msg(waitpid(program->pid, &status, WNOHANG) == 0, "the daemon ended: %s", text);
        ck_assert_msg(client_now_ms() < end, "the daemon says: %s", text);
        usleep(1000);
    }
}

void program_serve_with(struct program *program, const char *directory,
                        const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX] = {
        "serve",  "--config", "/dev/null", "--data", directory,
        "--port", "0",        "--workers", "1",      "--checkpoint-seconds",
        "0"};
    size_t count = 0;
    while (all[count] != NULL)
        count++;
    for (; *arguments != NULL; arguments++) {
        ck_assert_uint_lt(count + 1, ARGUMENTS_MAX);
        all[count++] = *arguments;
    }
    *program = (struct program){.log = memfd_create("log", MFD_CLOEXEC)};
    ck_assert_int_ge(program->log, 0);
    program->pid = start(all, program->log, program->log);
    wait_ready(program);
}

void program_serve(struct program *program, const char *directory)
{
    program_serve_with(program, directory, (const char *const[]){NULL});
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Reads and closes; the start of the text goes to `out_text` (or NULL). */
static void drain(int fd, char *out_text, size_t size)
{
    size_t used = 0;
    char chunk[1024];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0) {
        size_t room = out_text == NULL ? 0 : size - 1 - used;
        size_t kept = (size_t)got < room ? (size_t)got : room;
        if (out_text != NULL)
            memcpy(out_text + used, chunk, kept);
        used += kept;
    }
    if (out_text != NULL)
        out_text[used] = '\0';
    close(fd);
}

int program_end_log(struct program *program, int signal_number, char *out_log, size_t size)
{
    ck_assert_int_eq(kill(program->pid, signal_number), 0);
    int status = wait_for(program->pid);
    if (status != 0 && signal_number != SIGKILL) /* a sanitizer's report, for one */
        show_log(program);
    if (out_log != NULL)
        program_log(program, out_log, size);
    close(program->log);
    return status;
}

int program_end(struct program *program, int signal_number)
{
    return program_end_log(program, signal_number, NULL, 0);
}

/* `output` −1: into the text, too. */
static int run(const char *const *arguments, int output, char *out_text, size_t size)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start(arguments, output >= 0 ? output : ends[1], ends[1]);
    close(ends[1]);
    drain(ends[0], out_text, size);
    return wait_for(pid);
}

int program_run(const char *const *arguments, char *out_text, size_t size)
{
    return run(arguments, -1, out_text, size);
}

int program_run_full(const char *const *arguments, char *out_text, size_t size)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(full, 0);
    int status = run(arguments, full, out_text, size);
    close(full);
    return status;
}
