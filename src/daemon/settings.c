#include "settings.h"

#include "ptqd/base/file.h"
#include "ptqd/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char default_config[] = "/etc/ptqd/ptqd.conf";

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

static const char *const others[] = {"read", "private", NULL}; /* enum others */

#define FIELD(member) .offset = offsetof(struct settings, member)

static const struct param rows[] = {
    {.name = "data",
     .type = PARAM_TEXT,
     .default_text = "/var/lib/ptqd",
     .min = 1,
     .max = 4000,
     .unit = "",
     .help = "Directory of the database and of all files.",
     FIELD(data)},
    {.name = "address",
     .type = PARAM_TEXT,
     .default_text = "127.0.0.1",
     .min = 1,
     .max = 100,
     .unit = "",
     .help = "Numeric address to listen on; anything but loopback needs a token.",
     FIELD(address)},
    {.name = "port",
     .type = PARAM_INT,
     .default_text = "8470",
     .min = 0,
     .max = 65535,
     .unit = "",
     .help = "TCP port; 0 takes a free one.",
     FIELD(port)},
    {.name = "tls_certificate",
     .type = PARAM_TEXT,
     .default_text = "none",
     .min = 1,
     .max = 4000,
     .unit = "",
     .help = "PEM file of the certificate chain; with it HTTPS alone is served.",
     FIELD(tls_certificate)},
    {.name = "tls_key",
     .type = PARAM_TEXT,
     .default_text = "none",
     .min = 1,
     .max = 4000,
     .unit = "",
     .help = "PEM file of its private key; both are read again at SIGHUP.",
     FIELD(tls_key)},
    {.name = "workers",
     .type = PARAM_INT,
     .default_text = "cores",
     .special = "cores",
     .min = 1,
     .max = 256,
     .unit = "threads",
     .help = "Runs computed at the same time.",
     FIELD(workers)},
    {.name = "memory",
     .type = PARAM_INT,
     .default_text = "machine",
     .special = "machine",
     .min = 16,
     .max = 1048576,
     .unit = "MiB",
     .help = "Memory of all runs together; others wait. machine: three quarters of what it has.",
     FIELD(memory)},
    {.name = "run_memory",
     .type = PARAM_INT,
     .default_text = "4096",
     .min = 16,
     .max = 1048576,
     .unit = "MiB",
     .help = "Memory of one run; values above it go to files, what can't fails with the number.",
     FIELD(run_memory)},
    {.name = "checkpoint_seconds",
     .type = PARAM_INT,
     .default_text = "1",
     .min = 0,
     .max = 3600,
     .unit = "s",
     .help = "Least time between two checkpoints of a run; 0: after each layer and epoch.",
     FIELD(checkpoint_seconds)},
    {.name = "crash_limit",
     .type = PARAM_INT,
     .default_text = "3",
     .special = "unlimited",
     .min = 1,
     .max = 1000000,
     .unit = "crashes",
     .help = "Crashes of the daemon without a checkpoint in between that fail the run under way.",
     FIELD(crash_limit)},
    {.name = "import_memory",
     .type = PARAM_INT,
     .default_text = "4096",
     .min = 16,
     .max = 1048576,
     .unit = "MiB",
     .help = "Memory for looking at uploads, all that are looked at together.",
     FIELD(import_memory)},
    {.name = "model_limit",
     .type = PARAM_INT,
     .default_text = "256",
     .min = 1,
     .max = 16384,
     .unit = "MiB",
     .help = "Largest model file.",
     FIELD(model_limit)},
    {.name = "dataset_limit",
     .type = PARAM_INT,
     .default_text = "2048",
     .min = 1,
     .max = 65536,
     .unit = "MiB",
     .help = "Largest data set, as a file and after decompression.",
     FIELD(dataset_limit)},
    {.name = "http_threads",
     .type = PARAM_INT,
     .default_text = "4",
     .min = 1,
     .max = 64,
     .unit = "threads",
     .help = "Threads that serve HTTP.",
     FIELD(http_threads)},
    {.name = "connections",
     .type = PARAM_INT,
     .default_text = "1024",
     .min = 8,
     .max = 65536,
     .unit = "",
     .help = "Connections at the same time.",
     FIELD(connections)},
    {.name = "connections_per_ip",
     .type = PARAM_INT,
     .default_text = "unlimited",
     .special = "unlimited",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Connections of one address; behind a proxy all come from one.",
     FIELD(connections_per_ip)},
    {.name = "connections_per_owner",
     .type = PARAM_INT,
     .default_text = "512",
     .special = "unlimited",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Connections on which requests of one owner are under way.",
     FIELD(connections_per_owner)},
    {.name = "watchers",
     .type = PARAM_INT,
     .default_text = "256",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Connections that may watch events, or wait, at the same time.",
     FIELD(watchers)},
    {.name = "watchers_per_owner",
     .type = PARAM_INT,
     .default_text = "128",
     .special = "unlimited",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Of them, those of one owner.",
     FIELD(watchers_per_owner)},
    {.name = "uploads",
     .type = PARAM_INT,
     .default_text = "64",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Uploads under way at the same time.",
     FIELD(uploads)},
    {.name = "uploads_per_owner",
     .type = PARAM_INT,
     .default_text = "32",
     .special = "unlimited",
     .min = 1,
     .max = 65536,
     .unit = "",
     .help = "Uploads of one owner under way at the same time.",
     FIELD(uploads_per_owner)},
    {.name = "body_memory",
     .type = PARAM_INT,
     .default_text = "64",
     .min = 2,
     .max = 1048576,
     .unit = "MiB",
     .help = "Memory of all JSON bodies that are on the way.",
     FIELD(body_memory)},
    {.name = "answer_memory",
     .type = PARAM_INT,
     .default_text = "512",
     .min = 16,
     .max = 1048576,
     .unit = "MiB",
     .help = "Memory of all answers of 1 MiB and more that are being sent.",
     FIELD(answer_memory)},
    {.name = "header_seconds",
     .type = PARAM_INT,
     .default_text = "15",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "Time for the header of a request to come.",
     FIELD(header_seconds)},
    {.name = "slow_seconds",
     .type = PARAM_INT,
     .default_text = "30",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "Time for a body or an answer, plus its bytes at slow_rate.",
     FIELD(slow_seconds)},
    {.name = "slow_rate",
     .type = PARAM_INT,
     .default_text = "4096",
     .min = 1,
     .max = 1073741824,
     .unit = "bytes/s",
     .help = "Slowest rate of bodies and answers.",
     FIELD(slow_rate)},
    {.name = "idle_seconds",
     .type = PARAM_INT,
     .default_text = "60",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "How long an idle connection is kept.",
     FIELD(idle_seconds)},
    {.name = "drain_seconds",
     .type = PARAM_INT,
     .default_text = "5",
     .min = 0,
     .max = 3600,
     .unit = "s",
     .help = "How long requests under way may take when the daemon stops.",
     FIELD(drain_seconds)},
    {.name = "queued_runs",
     .type = PARAM_INT,
     .default_text = "100000",
     .special = "unlimited",
     .min = 1,
     .max = 1e9,
     .unit = "runs",
     .help = "Queued runs of one owner.",
     FIELD(queued_runs)},
    {.name = "running_runs",
     .type = PARAM_INT,
     .default_text = "unlimited",
     .special = "unlimited",
     .min = 1,
     .max = 1e6,
     .unit = "runs",
     .help = "Running runs of one owner.",
     FIELD(running_runs)},
    {.name = "priority_limit",
     .type = PARAM_INT,
     .default_text = "0",
     .min = -100,
     .max = 100,
     .unit = "",
     .help = "Highest priority of a job whose token is no administrator's.",
     FIELD(priority_limit)},
    {.name = "stored",
     .type = PARAM_INT,
     .default_text = "unlimited",
     .special = "unlimited",
     .min = 1,
     .max = 1e9,
     .unit = "MiB",
     .help = "Models and data sets of one owner.",
     FIELD(stored_mib)},
    {.name = "keep_jobs_days",
     .type = PARAM_INT,
     .default_text = "forever",
     .special = "forever",
     .min = 1,
     .max = 36500,
     .unit = "days",
     .help = "Finished jobs, with their artifacts, are deleted then.",
     FIELD(keep_jobs_days)},
    {.name = "keep_unused_days",
     .type = PARAM_INT,
     .default_text = "forever",
     .special = "forever",
     .min = 1,
     .max = 36500,
     .unit = "days",
     .help = "Models and data sets that no job names are deleted then.",
     FIELD(keep_unused_days)},
    {.name = "keep_total",
     .type = PARAM_INT,
     .default_text = "unlimited",
     .special = "unlimited",
     .min = 1,
     .max = 1e9,
     .unit = "MiB",
     .help = "Above it the oldest finished jobs go, then the oldest unused files.",
     FIELD(keep_total)},
    {.name = "others",
     .type = PARAM_CHOICE,
     .default_text = "read",
     .choices = others,
     .unit = "",
     .help = "What an owner sees of others' jobs, models and data sets; private: nothing.",
     FIELD(others)},
    {.name = "log_level",
     .type = PARAM_CHOICE,
     .default_text = "info",
     .choices = log_levels,
     .unit = "",
     .help = "Least important messages that are logged.",
     FIELD(log_level)},
};

const struct param_table *settings_table(void)
{
    static const struct param_table table = {.name = "settings",
                                             .rows = rows,
                                             .count = sizeof(rows) / sizeof(rows[0])};
    return &table;
}

static bool set(struct settings *settings, struct arena *arena, const struct param *param,
                const char *text, struct error *err)
{
    struct param_value value;
    if (!param_parse(param, text, arena, &value, err))
        return false;
    param_store(param, &value, settings);
    return true;
}

/* ---- configuration file ---- */

struct ini_reader {
    FILE *file;
    struct settings *settings;
    struct arena *arena;
    struct error *err;
    int line;    /* that was read last; none is read behind one that failed */
    bool failed; /* `err` says why */
};

/* The rest of a line does not become one of its own: inih has a buffer for 200 bytes. */
static bool skip_rest(FILE *file)
{
    int c = getc(file);
    bool more = c != EOF && c != '\n';
    while (c != EOF && c != '\n')
        c = getc(file);
    return more;
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return *line == '#' || *line == ';';
}

static char *read_config_line(char *out, int size, void *stream)
{
    struct ini_reader *reader = stream;
    if (reader->failed || fgets(out, size, reader->file) == NULL)
        return NULL;
    reader->line++;
    if (strchr(out, '\n') == NULL && skip_rest(reader->file) && !is_comment(out)) {
        reader->failed = true;
        FAIL(reader->err, E_INVALID,
             "the line has more than %d bytes; give the value as a variable or an option",
             size - 1);
    }
    return out;
}

static int on_ini_line(void *context, const char *section, const char *name, const char *value)
{
    struct ini_reader *reader = context;
    const struct param *param = param_find(settings_table(), name);
    bool ok;
    if (reader->failed) /* the line is too long */
        return false;
    if (section[0] != '\0')
        ok = FAIL(reader->err, E_INVALID, "there are no sections, but here is [%s]", section);
    else if (param == NULL)
        ok = FAIL(reader->err, E_INVALID, "\"%s\" is not a setting", name);
    else
        ok = set(reader->settings, reader->arena, param, value, reader->err);
    reader->failed = reader->failed || !ok;
    return ok;
}

static bool load_file(struct settings *settings, struct arena *arena, const char *path,
                      struct error *err)
{
    struct ini_reader reader = {
        .file = fopen(path, "re"), .settings = settings, .arena = arena, .err = err};
    if (reader.file == NULL)
        return file_fail(err, errno, "open", path);
    int line = ini_parse_stream(read_config_line, &reader, on_ini_line, &reader);
    fclose(reader.file); /* opened for reading */
    if (line == 0 && !reader.failed)
        return true;
    if (line == 0) /* too long, and a blank one or a section to the library */
        line = reader.line;
    if (!reader.failed || line != reader.line)
        FAIL(err, E_SYNTAX, "this is not \"name = value\"");
    return error_context(err, "'%s', line %d", path, line);
}

/* The file that was asked for, or the usual one when it is there. */
static bool load_config(struct settings *settings, struct arena *arena, const char *path,
                        struct error *err)
{
    if (path == NULL)
        path = getenv("PTQD_CONFIG");
    if (path == NULL && access(default_config, R_OK) != 0)
        return true;
    return load_file(settings, arena, path != NULL ? path : default_config, err);
}

/* ---- environment ---- */

static bool load_environment(struct settings *settings, struct arena *arena, struct error *err)
{
    for (size_t i = 0; i < settings_table()->count; i++) {
        char name[64] = "PTQD_";
        size_t length = strlen(name);
        for (const char *c = rows[i].name; *c != '\0'; c++)
            name[length++] = (char)toupper((unsigned char)*c);
        name[length] = '\0';
        const char *value = getenv(name);
        if (value != NULL && !set(settings, arena, &rows[i], value, err))
            return error_context(err, "%s", name);
    }
    return true;
}

/* ---- command line ---- */

/* "--run-memory" is the row "run_memory". */
static const struct param *find_option(const char *option)
{
    char name[64];
    size_t length = strlen(option);
    if (length >= sizeof(name))
        return NULL;
    for (size_t i = 0; i <= length; i++)
        name[i] = option[i] == '-' ? '_' : option[i];
    return param_find(settings_table(), name);
}

struct option {
    char name[64];
    const char *value;
};

/* Splits "--name=value", or takes the value from the next word. */
static bool split_option(const char *word, const char *next, struct option *out, bool *out_used,
                         struct error *err)
{
    size_t length = strcspn(word, "=");
    if (length >= sizeof(out->name))
        return FAIL(err, E_INVALID, "%.80s is not an option", word);
    memcpy(out->name, word, length);
    out->name[length] = '\0';
    *out_used = word[length] == '\0';
    out->value = *out_used ? next : word + length + 1;
    if (out->value == NULL)
        return FAIL(err, E_INVALID, "%s needs a value", out->name);
    return true;
}

/* The options without a value; false when it is another one. */
static bool take_flag(struct arguments *arguments, const char *word)
{
    if (strcmp(word, "--repair") != 0)
        return false;
    arguments->repair = true;
    return true;
}

/* The options that are no settings; false when it is another one. */
static bool take_argument(struct arguments *arguments, const struct option *option)
{
    if (strcmp(option->name, "--out") == 0)
        arguments->out = option->value;
    else if (strcmp(option->name, "--config") == 0)
        arguments->config = option->value;
    else
        return false;
    return true;
}

/* Which of the owner's limits are on the line. */
static void note_quota(struct arguments *arguments, const char *name)
{
    arguments->queued_runs |= strcmp(name, "queued_runs") == 0;
    arguments->running_runs |= strcmp(name, "running_runs") == 0;
    arguments->stored |= strcmp(name, "stored") == 0;
}

static bool add_word(struct arguments *arguments, const char *word, struct error *err)
{
    size_t limit = sizeof(arguments->words) / sizeof(arguments->words[0]);
    if (arguments->word_count == limit)
        return FAIL(err, E_INVALID, "\"%.80s\" is one word too many", word);
    arguments->words[arguments->word_count++] = word;
    return true;
}

/* One pass over the line: with `settings` NULL, for words and arguments; else for settings. */
static bool read_line(int count, char *const *line, struct arguments *arguments,
                      struct settings *settings, struct arena *arena, struct error *err)
{
    for (int i = 0; i < count; i++) {
        struct option option;
        bool used;
        if (strncmp(line[i], "--", 2) != 0) {
            if (settings == NULL && !add_word(arguments, line[i], err))
                return false;
            continue;
        }
        if (take_flag(arguments, line[i]))
            continue;
        if (!split_option(line[i], i + 1 < count ? line[i + 1] : NULL, &option, &used, err))
            return false;
        i += used;
        if (take_argument(arguments, &option))
            continue;
        const struct param *param = find_option(option.name + 2);
        if (param == NULL)
            return FAIL(err, E_INVALID, "%s is not an option", option.name);
        note_quota(arguments, param->name);
        if (settings != NULL && !set(settings, arena, param, option.value, err))
            return error_context(err, "%s", option.name);
    }
    return true;
}

bool settings_load(struct arena *arena, int count, char *const *line, struct settings *out_settings,
                   struct arguments *out_arguments, struct error *err)
{
    struct settings settings = {0};
    struct arguments arguments = {0};
    if (!param_defaults(settings_table(), arena, &settings, err) ||
        !read_line(count, line, &arguments, NULL, arena, err) ||
        !load_config(&settings, arena, arguments.config, err) ||
        !load_environment(&settings, arena, err) ||
        !read_line(count, line, &arguments, &settings, arena, err))
        return false;
    *out_settings = settings;
    *out_arguments = arguments;
    return true;
}

void settings_print_help(FILE *file)
{
    for (size_t i = 0; i < settings_table()->count; i++) {
        char option[64];
        size_t length = strlen(rows[i].name);
        for (size_t j = 0; j <= length; j++)
            option[j] = rows[i].name[j] == '_' ? '-' : rows[i].name[j];
        bool counted = rows[i].unit[0] != '\0' && !param_is_word(&rows[i], rows[i].default_text);
        fprintf(file, "  --%-20s %s [%s%s%s]\n", option, rows[i].help, rows[i].default_text,
                counted ? " " : "", counted ? rows[i].unit : "");
    }
}

size_t settings_bytes(int64_t mib)
{
    return (size_t)mib << 20;
}

size_t settings_memory_bytes(const struct settings *settings)
{
    if (settings->memory > 0)
        return settings_bytes(settings->memory);
    uint64_t total = uv_get_total_memory(), constrained = uv_get_constrained_memory();
    uint64_t bytes = constrained > 0 && constrained < total ? constrained : total;
    return (size_t)(bytes / 4 * 3);
}
