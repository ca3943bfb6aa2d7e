#include "ptqd/jobs/run_log.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/text.h"
#include "ptqd/json/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void run_log_add(struct run_log *log, const char *format, ...)
{
    size_t at = log->count < RUN_LOG_LINES ? log->count++ : RUN_LOG_LINES - 1;
    log->lines[at].time_ms = clock_unix_ms();
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(log->lines[at].text, RUN_LOG_LINE_BYTES, format, arguments); /* or is cut */
    va_end(arguments);
}

void run_log_step(struct run_log *log, const char *step)
{
    if (strcmp(log->step, step) == 0)
        return;
    double now = clock_seconds();
    if (log->step[0] != '\0')
        run_log_add(log, "%s took %.3f s", log->step, now - log->step_since);
    log->step_since = now;
    (void)snprintf(log->step, sizeof(log->step), "%s", step); /* names are short */
}

const char *run_log_print(const struct run_log *log, struct arena *arena, struct error *err)
{
    struct json *lines = json_array(arena);
    for (size_t i = 0; i < log->count; i++) {
        char time[TEXT_TIME_BYTES];
        struct json *line = json_add_object(lines, NULL);
        text_time(log->lines[i].time_ms, time);
        json_add_string(line, "time", time);
        json_add_string(line, "text", log->lines[i].text);
    }
    return json_print_string(lines, arena, NULL, err);
}
