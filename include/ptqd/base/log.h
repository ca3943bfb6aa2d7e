#pragma once

/* Structured log lines on standard error: `level=info at=jobs run=j1-v0-s0 msg="run finished"`.
 * Whoever stops an error logs it, once. Safe from any thread; one line is one write. */

#include "ptqd/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
bool log_parse_level(const char *name, enum log_level *out_level, struct error *err);

/* How lines begin: with the time (`time=2024-05-01T12:00:00.123Z level=…`), or with the priority as
 * the journal reads it (`<6>level=…`), which has a time of its own. */
enum log_start { LOG_PLAIN, LOG_TIME, LOG_JOURNAL };
void log_set_start(enum log_start start);
/* LOG_JOURNAL when standard error goes to the journal (JOURNAL_STREAM names it), else LOG_TIME. */
enum log_start log_service_start(void);

/* Of warnings and errors from one place in the code (of log_failure: with one error) at most
 * `lines` within `window_ms` are written, and how many were not is told with the next one. 0 lines
 * (the default): no limit. */
void log_limit_repeats(unsigned lines, unsigned window_ms);

/* Pairs that every further line of this thread has behind its room: "request=4f…", "run=j1-v0-s0".
 * NULL ends that. At most LOG_CONTEXT_BYTES − 1 bytes are kept. */
enum { LOG_CONTEXT_BYTES = 160 };
void log_set_context(const char *pairs);

/* `room` is a word ("jobs"), `format` gives the message and may end in key=value pairs after a
 * vertical bar: log_write(LOG_INFO, "jobs", "run finished|run=%s seconds=%.1f", id, seconds). */
void log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The error with its code and the place where it was noticed. */
void log_failure(const char *room, const char *what, const struct error *err);
