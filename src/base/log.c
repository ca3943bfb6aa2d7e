#include "ptqd/base/log.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/text.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static atomic_int line_start = LOG_PLAIN;

void log_set_start(enum log_start start)
{
    atomic_store(&line_start, (int)start);
}

/* systemd sets JOURNAL_STREAM to device and inode of the stream that it made standard error. */
enum log_start log_service_start(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char name[64];
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return LOG_TIME;
    (void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino); /* two numbers fit */
    return strcmp(name, stream) == 0 ? LOG_JOURNAL : LOG_TIME;
}

static _Thread_local char thread_context[LOG_CONTEXT_BYTES];

void log_set_context(const char *pairs)
{
    size_t length = pairs == NULL ? 0 : strnlen(pairs, sizeof(thread_context) - 1);
    if (length > 0)
        memcpy(thread_context, pairs, length);
    thread_context[length] = '\0';
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

static void put_start(struct line *line, enum log_level level)
{
    static const char *const priorities[] = {
        [LOG_DEBUG] = "<7>", [LOG_INFO] = "<6>", [LOG_WARN] = "<4>", [LOG_ERROR] = "<3>"};
    switch ((enum log_start)atomic_load(&line_start)) {
    case LOG_PLAIN:
        return;
    case LOG_JOURNAL:
        put_text(line, priorities[level]);
        return;
    case LOG_TIME:
        break;
    }
    char time[TEXT_TIME_BYTES];
    text_time(clock_unix_ms(), time);
    put_text(line, "time=");
    put_text(line, time);
    put(line, ' ');
}

/* The first `message_length` bytes of `body` are the message; a bar and the pairs may follow. */
static void write_line(enum log_level level, const char *room, const char *body,
                       size_t message_length)
{
    struct line line = {.length = 0};
    put_start(&line, level);
    put_text(&line, "level=");
    put_text(&line, level_names[level]);
    put_text(&line, " at=");
    put_text(&line, room);
    if (thread_context[0] != '\0') {
        put(&line, ' ');
        put_text(&line, thread_context);
    }
    put_text(&line, " msg=");
    put_quoted(&line, body, message_length);
    if (body[message_length] == '|') {
        put(&line, ' ');
        put_text(&line, body + message_length + 1);
    }
    finish(&line);
}

/* ---- repeated lines ---- */

/* A place that logs warnings or errors, by a hash of what makes it one. Two places with one slot
 * take it from each other, and both are written. */
struct place {
    uint64_t key;
    int64_t since_ms;
    unsigned written, dropped;
};

enum { PLACES = 64 };

static struct {
    pthread_mutex_t lock;
    unsigned lines, window_ms;
    struct place places[PLACES];
} repeats = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_limit_repeats(unsigned lines, unsigned window_ms)
{
    pthread_mutex_lock(&repeats.lock);
    repeats.lines = lines;
    repeats.window_ms = window_ms;
    memset(repeats.places, 0, sizeof(repeats.places));
    pthread_mutex_unlock(&repeats.lock);
}

static uint64_t mix(uint64_t key, uint64_t value)
{
    return (key ^ value) * UINT64_C(0x100000001b3); /* FNV-1a, a word at a time */
}

/* With the lock held. True when the line may be written; `*out_dropped` lines were not before. */
static bool count_line(uint64_t key, int64_t now_ms, unsigned *out_dropped)
{
    struct place *place = &repeats.places[key >> 32 & (PLACES - 1)];
    bool fresh = place->key != key || now_ms - place->since_ms >= (int64_t)repeats.window_ms;
    if (fresh) {
        *out_dropped = place->key == key ? place->dropped : 0;
        *place = (struct place){.key = key, .since_ms = now_ms};
    }
    if (place->written < repeats.lines) {
        place->written++;
        return true;
    }
    place->dropped++;
    return false;
}

static bool may_write(enum log_level level, const char *room, uint64_t key)
{
    if (level < LOG_WARN)
        return true;
    unsigned dropped = 0;
    pthread_mutex_lock(&repeats.lock);
    bool may = repeats.lines == 0 || count_line(key, clock_ms(), &dropped);
    pthread_mutex_unlock(&repeats.lock);
    if (dropped > 0) {
        char body[96];
        int length =
            snprintf(body, sizeof(body), "%u lines like the next one were left out", dropped);
        write_line(level, room, body, (size_t)length);
    }
    return may;
}

/* ---- lines ---- */

void log_write(enum log_level level, const char *room, const char *format, ...)
{
    assert(format != NULL);
    if ((int)level < atomic_load(&lowest_level) ||
        !may_write(level, room, mix(mix(0, (uintptr_t)format), (uint64_t)level)))
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
    uint64_t key = mix(mix(mix(1, (uintptr_t)err->file), (uint64_t)err->line), err->code);
    if (!may_write(LOG_ERROR, room, key))
        return;
    char body[BODY_LIMIT_BYTES];
    int message = snprintf(body, sizeof(body) / 2, "%s: %s", what, err->message);
    size_t length = message < 0 ? 0 : strlen(body);
    (void)snprintf(body + length, sizeof(body) - length, "|code=%s where=%s:%d function=%s",
                   error_code_name(err->code), err->file == NULL ? "?" : err->file, err->line,
                   err->function == NULL ? "?" : err->function);
    write_line(LOG_ERROR, room, body, length);
}
