/* ptqd: a server that quantizes tiny neural networks below 8 bits without retraining. */

#include "commands.h"

#include "ptqd/base/log.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum { SETTINGS_BYTES = 1 << 20 };

static const struct command {
    const char *name, *usage, *help;
    int (*run)(const struct settings *settings, const struct arguments *arguments);
} commands[] = {
    {"serve", "", "run the daemon", command_serve},
    {"run", "SPEC.json --out DIR", "compute one job without the daemon", command_run},
    {"check", "[--repair]", "read everything that is stored, report (and repair) what is wrong",
     command_check},
    {"backup", "DIR", "copy everything to an empty directory, beside a running daemon or without",
     command_backup},
    {"restore", "DIR", "copy a backup to the data directory, which must be empty", command_restore},
    {"migrate", "", "bring the database to this version", command_migrate},
    {"token", "add|change NAME read|submit|admin [LIMITS] | list | revoke NAME",
     "manage access tokens; LIMITS of the owner: --queued-runs, --running-runs, --stored",
     command_token},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int command_fail(const char *what, const struct error *err)
{
    fprintf(stderr, "ptqd: %s: %s", what, err->message);
    if (err->pointer[0] != '\0')
        fprintf(stderr, " (at %s)", err->pointer);
    fputc('\n', stderr);
    return 1;
}

static void print_help(FILE *file)
{
    fputs("usage: ptqd COMMAND [OPTION…]\n\n", file);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  ptqd %s %s%s%s\n", commands[i].name, commands[i].usage,
                commands[i].usage[0] != '\0' ? "  " : " ", commands[i].help);
    fputs("  ptqd --version\n  ptqd --help\n\n"
          "Settings come from the configuration file (--config FILE, PTQD_CONFIG, or\n"
          "/etc/ptqd/ptqd.conf), then from variables (PTQD_PORT …), then from options:\n\n",
          file);
    settings_print_help(file);
}

/* A disk that is full behind a redirection is no success. */
static int check_output(const struct command *command, int status)
{
    struct error err = {0};
    if (status != 0 || (fflush(stdout) == 0 && !ferror(stdout)))
        return status;
    (void)FAIL(&err, E_IO, "what it prints could not all be written"); /* for the message */
    return command_fail(command->name, &err);
}

static int run_command(const struct command *command, int count, char *const *line)
{
    struct error err = {0};
    struct arena *arena = arena_create(SETTINGS_BYTES);
    struct settings settings;
    struct arguments arguments;
    int status = STATUS_USAGE;
    if (arena == NULL || !settings_load(arena, count, line, &settings, &arguments, &err)) {
        command_fail(command->name, &err);
    } else {
        log_set_level((enum log_level)settings.log_level);
        status = check_output(command, command->run(&settings, &arguments));
    }
    arena_destroy(arena);
    return status;
}

/* A large block goes back to the system when it is freed, whatever was freed before: what a run
 * took is not kept for the next one, and its peak can be predicted. */
static void return_large_blocks(void)
{
    enum { LARGE_BYTES = 1 << 20 };
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* what is refused stays as it is */
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    return_large_blocks();
    if (strcmp(name, "--version") == 0) {
        puts("ptqd " PTQD_VERSION);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(stdout);
            return 0;
        }
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return run_command(&commands[i], argc - 2, argv + 2);
    }
    if (argc > 1)
        fprintf(stderr, "ptqd: \"%s\" is not a command\n\n", name);
    print_help(stderr);
    return STATUS_USAGE;
}
