#pragma once

/* Structured log lines on standard error: `level=info at=jobs msg="run finished" run=17`.
 * Whoever stops an error logs it, once. Safe from any thread; one line is one write. */

#include "ptqd/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
bool log_parse_level(const char *name, enum log_level *out_level, struct error *err);

/* `room` is a word ("jobs"), `format` gives the message and may end in key=value pairs after a
 * vertical bar: log_write(LOG_INFO, "jobs", "run finished|run=%s seconds=%.1f", id, seconds). */
void log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The error with its code and the place where it was noticed. */
void log_failure(const char *room, const char *what, const struct error *err);
