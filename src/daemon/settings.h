#pragma once

/* The settings of the daemon: one table, filled from the configuration file, then the environment,
 * then the options of the command line. */

#include "ptqd/base/param.h"

#include <stdio.h>

/* What one owner sees of the others' jobs, models and data sets. */
enum others { OTHERS_READ, OTHERS_PRIVATE };

struct settings {
    const char *data; /* directory */
    const char *address;
    int64_t port;
    const char *tls_certificate, *tls_key; /* paths; "none": HTTP without TLS */
    int64_t workers;                       /* 0: one per core */
    int64_t memory;                        /* MiB; 0: by the machine */
    int64_t run_memory, import_memory, model_limit, dataset_limit; /* MiB */
    int64_t checkpoint_seconds;
    int64_t crash_limit; /* 0: no limit */
    int64_t http_threads, connections, connections_per_ip, connections_per_owner;
    int64_t priority_limit;
    int64_t watchers, watchers_per_owner; /* streams of events, long polls */
    int64_t uploads, uploads_per_owner, body_memory, answer_memory;
    int64_t header_seconds, slow_seconds, slow_rate; /* bytes per second */
    int64_t idle_seconds, drain_seconds;
    int64_t queued_runs, running_runs, stored_mib;        /* per owner; 0: no limit */
    int64_t keep_jobs_days, keep_unused_days, keep_total; /* MiB; 0: no limit */
    int others;                                           /* enum others */
    int log_level;                                        /* enum log_level */
};

const struct param_table *settings_table(void);

/* What a command takes beside settings, in the order of the command line. */
struct arguments {
    const char *words[4];
    size_t word_count;
    bool repair;        /* --repair */
    const char *out;    /* --out DIRECTORY; NULL: not given */
    const char *config; /* --config FILE; NULL: not given */
    /* These settings are on the command line, where `token` takes them as those of one owner. */
    bool queued_runs, running_runs, stored;
};

/* Reads the command line behind the command's name, and from it, the environment and the
 * configuration file the settings. Everything lives in `arena`. E_INVALID names the option, the
 * variable, or the line of the file. */
bool settings_load(struct arena *arena, int count, char *const *line, struct settings *out_settings,
                   struct arguments *out_arguments, struct error *err);

/* One line per setting: option with its unit, meaning, default. `names` NULL: all settings, else
 * those of the NULL-terminated list. */
void settings_print_help(FILE *file, const char *const *names);

/* MiB as bytes. */
size_t settings_bytes(int64_t mib);

/* What all runs together may take. */
size_t settings_memory_bytes(const struct settings *settings);
