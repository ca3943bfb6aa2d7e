#include "settings.h"

#include "settings_sources.h"

#include "ptqd/base/log.h"
#include "ptqd/base/text.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

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
     .default_text = "896",
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
     .default_text = "224",
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
     .default_text = "56",
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

bool settings_set(struct settings *settings, struct arena *arena, const struct param *param,
                  const char *text, struct error *err)
{
    struct param_value value;
    if (!param_parse(param, text, arena, &value, err))
        return false;
    param_store(param, &value, settings);
    return true;
}

const char *settings_nearest(const char *name)
{
    const char *names[sizeof(rows) / sizeof(rows[0])];
    for (size_t i = 0; i < settings_table()->count; i++)
        names[i] = rows[i].name;
    return text_nearest(name, names, settings_table()->count);
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
        if (value != NULL && !settings_set(settings, arena, &rows[i], value, err))
            return error_context(err, "%s", name);
    }
    return true;
}

bool settings_load(struct arena *arena, int count, char *const *line, struct settings *out_settings,
                   struct arguments *out_arguments, struct error *err)
{
    struct settings settings = {0};
    struct arguments arguments = {0};
    if (!param_defaults(settings_table(), arena, &settings, err) ||
        !settings_line_read(count, line, &arguments, NULL, arena, err) ||
        !settings_file_load(&settings, arena, arguments.config, err) ||
        !load_environment(&settings, arena, err) ||
        !settings_line_read(count, line, &arguments, &settings, arena, err))
        return false;
    *out_settings = settings;
    *out_arguments = arguments;
    return true;
}

void settings_option_name(const char *name, char out[static OPTION_BYTES])
{
    size_t length = 0;
    for (; name[length] != '\0' && length + 1 < OPTION_BYTES; length++)
        out[length] = name[length] == '_' ? '-' : name[length];
    out[length] = '\0';
}

/* "--memory MiB", "--others read|private". */
static void print_option(const struct param *param, struct text *text)
{
    char option[OPTION_BYTES];
    settings_option_name(param->name, option);
    text_printf(text, "--%s", option);
    if (param->unit[0] != '\0')
        text_printf(text, " %s", param->unit);
    for (int i = 0; param->type == PARAM_CHOICE && i < param_choice_count(param); i++)
        text_printf(text, "%s%s", i == 0 ? " " : "|", param->choices[i]);
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

void settings_print_help(FILE *file, const char *const *names)
{
    enum { COLUMN = 36, LINE_BYTES = 4096 };
    for (size_t i = 0; i < settings_table()->count; i++) {
        struct text option;
        if (names != NULL && !is_among(rows[i].name, names))
            continue;
        text_init(&option, LINE_BYTES);
        print_option(&rows[i], &option);
        fprintf(file, "  %-*s %s [%s]\n", COLUMN, text_check(&option, NULL) ? option.bytes : "",
                rows[i].help, rows[i].default_text);
        text_finish(&option);
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
