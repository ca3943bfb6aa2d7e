/* ptqd: a server that quantizes tiny neural networks below 8 bits without retraining. */

#include "commands.h"

#include "ptqd/base/log.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum { SETTINGS_BYTES = 1 << 20 };

/* What commands look at of the settings. */
static const char *const of_store[] = {"data", "log_level", NULL};
static const char *const of_run[] = {"workers", "memory", "run_memory", "log_level", NULL};
static const char *const of_token[] = {"data",   "queued_runs", "running_runs",
                                       "stored", "log_level",   NULL};

enum { FORMS = 4 };

static const struct command {
    const char *name;
    struct form {
        const char *words, *help;
    } forms[FORMS];
    const char *const *settings; /* NULL: all */
    bool repairs, has_out;       /* --repair, --out */
    int (*run)(const struct settings *settings, const struct arguments *arguments);
} commands[] = {
    {"serve", {{"", "run the daemon"}}, .run = command_serve},
    {"run",
     {{"SPEC.json --out DIR", "compute one job without the daemon"}},
     .settings = of_run,
     .has_out = true,
     .run = command_run},
    {"check",
     {{"", "read everything that is stored, report what is wrong"},
      {"--repair", "put right what can be, with the daemon stopped"}},
     .settings = of_store,
     .repairs = true,
     .run = command_check},
    {"backup",
     {{"DIR", "copy everything to an empty directory, beside a running daemon or without"}},
     .settings = of_store,
     .run = command_backup},
    {"restore",
     {{"DIR", "copy a backup to the data directory, which must be empty"}},
     .settings = of_store,
     .run = command_restore},
    {"migrate",
     {{"", "bring the database to this version, as serve does, too"}},
     .settings = of_store,
     .run = command_migrate},
    {"token",
     {{"add NAME ROLE", "make a token and print it; the role is read, submit or admin"},
      {"change NAME ROLE", "give it another role, and the limits on the line or none"},
      {"list", "names, roles and limits"},
      {"revoke NAME", "make it invalid at once"}},
     .settings = of_token,
     .run = command_token},
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

static void print_forms(FILE *file, const struct command *command)
{
    enum { COLUMN = 25 };
    for (const struct form *form = command->forms;
         form < command->forms + FORMS && form->words != NULL; form++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "%s %s", command->name, form->words);
        fprintf(file, "  %-*s %s\n", COLUMN, words, form->help);
    }
}

static void print_command_help(const struct command *command)
{
    puts("usage: ptqd COMMAND [OPTION…]\n");
    print_forms(stdout, command);
    puts(
        "\n  --config FILE                        Where settings come from. [/etc/ptqd/ptqd.conf]");
    settings_print_help(stdout, command->settings);
}

static void print_help(FILE *file)
{
    fputs("usage: ptqd COMMAND [OPTION…]\n\n", file);
    for (size_t i = 0; i < COMMANDS; i++)
        print_forms(file, &commands[i]);
    fputs("\n  ptqd COMMAND --help has the command's options, ptqd --version the version.\n"
          "  Status: 0, 1 for what failed or findings, 2 for a wrong call or setting.\n\n"
          "Settings come from the configuration file (--config FILE, PTQD_CONFIG, or\n"
          "/etc/ptqd/ptqd.conf), then from variables (PTQD_PORT …), then from options:\n\n",
          file);
    settings_print_help(file, NULL);
}

/* A wrong call: how it is made. */
static void print_usage(const struct command *command)
{
    for (const struct form *form = command->forms;
         form < command->forms + FORMS && form->words != NULL; form++)
        fprintf(stderr, "%s ptqd %s%s%s\n", form == command->forms ? "usage:" : "      ",
                command->name, form->words[0] != '\0' ? " " : "", form->words);
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
        bool fits =
            (command->repairs || !arguments.repair) && (command->has_out || arguments.out == NULL);
        status = fits ? check_output(command, command->run(&settings, &arguments)) : STATUS_USAGE;
        if (status == STATUS_USAGE)
            print_usage(command);
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

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct command *command = find_command(name);
    return_large_blocks();
    if (strcmp(name, "--version") == 0) {
        puts("ptqd " PTQD_VERSION);
        return 0;
    }
    if (asks_for_help(argc, argv)) {
        if (command != NULL)
            print_command_help(command);
        else
            print_help(stdout);
        return 0;
    }
    if (command != NULL)
        return run_command(command, argc - 2, argv + 2);
    if (argc > 1)
        fprintf(stderr, "ptqd: \"%s\" is not a command; ptqd --help has them\n", name);
    else
        fputs("usage: ptqd COMMAND [OPTION…]; ptqd --help has the commands\n", stderr);
    return STATUS_USAGE;
}
