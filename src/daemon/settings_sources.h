#pragma once

/* Where settings come from: private to settings.c and its sources. */

#include "settings.h"

/* A row from its text. */
bool settings_set(struct settings *settings, struct arena *arena, const struct param *param,
                  const char *text, struct error *err);

/* The known name that is nearest to `name`; NULL when none is near. */
const char *settings_nearest(const char *name);

enum { OPTION_BYTES = 64 };

/* "run-memory", as an option has the row "run_memory". */
void settings_option_name(const char *name, char out[static OPTION_BYTES]);

/* The file that was asked for (`path`, or PTQD_CONFIG), or the usual one when it is there. */
bool settings_file_load(struct settings *settings, struct arena *arena, const char *path,
                        struct error *err);

/* One pass over the line: with `settings` NULL, for words and arguments; else for settings. */
bool settings_line_read(int count, char *const *line, struct arguments *arguments,
                        struct settings *settings, struct arena *arena, struct error *err);
