#include "ptqd/base/log.h"

#include "ptqd/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { LINE_LIMIT_BYTES = 4096 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static atomic_int lowest_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&lowest_level, (int)level);
}

bool log_parse_level(const char *name, enum log_level *out_level, struct error *err)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(level_names[i], name) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return FAIL(err, E_INVALID, "\"%s\" is not a log level: debug, info, warn or error", name);
}

/* One write, so that the lines of two threads never mix. */
static void write_line(const char *bytes, size_t length)
{
    while (write(STDERR_FILENO, bytes, length) < 0 && errno == EINTR)
        continue;
}

/* A line stays a line: control characters become blanks. */
static void flatten(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f)
            bytes[i] = ' ';
    }
}

static void append_quoted(struct text *line, const char *bytes, size_t length)
{
    text_puts(line, "\"");
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            text_puts(line, "\\");
        text_append(line, bytes + i, 1);
    }
    text_puts(line, "\"");
}

static void log_text(enum log_level level, const char *room, const struct text *body,
                     const char *pairs)
{
    size_t message_length = pairs == NULL ? body->length : (size_t)(pairs - body->bytes);
    struct text line;
    text_init(&line, 2 * LINE_LIMIT_BYTES);
    text_printf(&line, "level=%s at=%s msg=", level_names[level], room);
    append_quoted(&line, body->bytes, message_length);
    if (pairs != NULL)
        text_printf(&line, " %s", pairs + 1);
    flatten(line.bytes, line.length);
    text_puts(&line, "\n");
    write_line(line.bytes, line.length);
    text_finish(&line);
}

void log_write(enum log_level level, const char *room, const char *format, ...)
{
    if ((int)level < atomic_load(&lowest_level))
        return;
    struct text body;
    text_init(&body, LINE_LIMIT_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&body, format, arguments);
    va_end(arguments);
    if (body.broken)
        text_init(&body, LINE_LIMIT_BYTES);
    log_text(level, room, &body, strchr(format, '|') == NULL ? NULL : strchr(body.bytes, '|'));
    text_finish(&body);
}

void log_failure(const char *room, const char *what, const struct error *err)
{
    struct text body;
    text_init(&body, LINE_LIMIT_BYTES);
    text_printf(&body, "%s: %s", what, err->message);
    size_t message_length = body.length;
    text_printf(&body, "|code=%s where=%s:%d function=%s", error_code_name(err->code),
                err->file == NULL ? "?" : err->file, err->line,
                err->function == NULL ? "?" : err->function);
    log_text(LOG_ERROR, room, &body, body.broken ? NULL : body.bytes + message_length);
    text_finish(&body);
}
