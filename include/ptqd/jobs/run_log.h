#pragma once

/* What happens to a run, line by line, in a fixed room; for people. One thread at a time. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { RUN_LOG_LINES = 48, RUN_LOG_LINE_BYTES = 160, RUN_LOG_STEP_BYTES = 32 };

struct run_log { /* zeroed to begin with */
    struct {
        int64_t time_ms; /* since 1970 */
        char text[RUN_LOG_LINE_BYTES];
    } lines[RUN_LOG_LINES];
    size_t count;
    char step[RUN_LOG_STEP_BYTES]; /* at which the run is; "" before the first */
    double step_since;             /* seconds of the monotonic clock */
};

/* Adds a line; when there is no room, in place of the last one, so that the end is always there.
 * Long texts are cut. */
void run_log_add(struct run_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The run is at this step ("" when it is at none any more): when that is another one, a line says
 * how long the one before took. Cheap when it is the same. */
void run_log_step(struct run_log *log, const char *step);

/* [{"time", "text"}] as JSON in `arena`; NULL on failure. */
const char *run_log_print(const struct run_log *log, struct arena *arena, struct error *err);
