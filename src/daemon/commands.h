#pragma once

/* The commands of the program. Each returns the exit status: 0 for success, STATUS_USAGE for words
 * that are not its own, which the caller answers with how it is called. */

#include "settings.h"

int command_serve(const struct settings *settings, const struct arguments *arguments);
int command_run(const struct settings *settings, const struct arguments *arguments);
int command_check(const struct settings *settings, const struct arguments *arguments);
int command_backup(const struct settings *settings, const struct arguments *arguments);
int command_restore(const struct settings *settings, const struct arguments *arguments);
int command_migrate(const struct settings *settings, const struct arguments *arguments);
int command_token(const struct settings *settings, const struct arguments *arguments);

enum { STATUS_USAGE = 2 };

/* The store of the data directory, as its owner (state_owner.h). */
struct store;
struct store_options;
bool command_store_open(const struct settings *settings, const struct store_options *options,
                        struct store **out_store, struct error *err);

/* An arena of the command's own; NULL when there is no memory. */
struct arena *command_arena(struct error *err);

/* "ptqd: <what>: <message>" on standard error; always 1. */
int command_fail(const char *what, const struct error *err);
