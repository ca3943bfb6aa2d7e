#include "ptqd/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BODY_LIMIT_BYTES = 3072, LINE_LIMIT_BYTES = 4096 };

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

/* A line in the making. It is of fixed size, so that running out of memory can still be told; what
 * does not fit is cut off, and there is always room for the newline. */
struct line {
    char bytes[LINE_LIMIT_BYTES];
    size_t length;
};

/* A line stays a line: control characters become blanks. */
static void put(struct line *line, char c)
{
    bool control = (unsigned char)c < ' ' || c == 0x7f;
    if (line->length < sizeof(line->bytes) - 1)
        line->bytes[line->length++] = control ? ' ' : c;
}

static void put_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++)
        put(line, *text);
}

static void put_quoted(struct line *line, const char *bytes, size_t length)
{
    put(line, '"');
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            put(line, '\\');
        put(line, bytes[i]);
    }
    put(line, '"');
}

/* One write, so that the lines of two threads never mix. */
static void finish(struct line *line)
{
    line->bytes[line->length++] = '\n';
    while (write(STDERR_FILENO, line->bytes, line->length) < 0 && errno == EINTR)
        continue;
}

/* The first `message_length` bytes of `body` are the message; a bar and the pairs may follow. */
static void write_line(enum log_level level, const char *room, const char *body,
                       size_t message_length)
{
    struct line line = {.length = 0};
    put_text(&line, "level=");
    put_text(&line, level_names[level]);
    put_text(&line, " at=");
    put_text(&line, room);
    put_text(&line, " msg=");
    put_quoted(&line, body, message_length);
    if (body[message_length] == '|') {
        put(&line, ' ');
        put_text(&line, body + message_length + 1);
    }
    finish(&line);
}

void log_write(enum log_level level, const char *room, const char *format, ...)
{
    assert(format != NULL);
    if ((int)level < atomic_load(&lowest_level))
        return;
    char body[BODY_LIMIT_BYTES] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(body, sizeof(body), format, arguments); /* cut off when too long */
    va_end(arguments);
    bool has_pairs = strchr(format, '|') != NULL;
    write_line(level, room, body, has_pairs ? strcspn(body, "|") : strlen(body));
}

void log_failure(const char *room, const char *what, const struct error *err)
{
    char body[BODY_LIMIT_BYTES];
    int message = snprintf(body, sizeof(body) / 2, "%s: %s", what, err->message);
    size_t length = message < 0 ? 0 : strlen(body);
    (void)snprintf(body + length, sizeof(body) - length, "|code=%s where=%s:%d function=%s",
                   error_code_name(err->code), err->file == NULL ? "?" : err->file, err->line,
                   err->function == NULL ? "?" : err->function);
    write_line(LOG_ERROR, room, body, length);
}
