#include "ptqd/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_CAPACITY = 256 };

static char empty[1]; /* what an untouched text points to; never written */

void text_init(struct text *text, size_t limit_bytes)
{
    *text = (struct text){.bytes = empty, .limit = limit_bytes};
}

void text_finish(struct text *text)
{
    if (text->bytes != empty)
        free(text->bytes);
    text_init(text, text->limit);
}

/* Room for `extra` more bytes and the NUL; false and broken when there is none. */
static bool text_reserve(struct text *text, size_t extra)
{
    if (text->broken)
        return false;
    if (extra > text->limit - text->length) {
        text->broken = true;
        return false;
    }
    size_t needed = text->length + extra;
    if (needed < text->capacity)
        return true;

    size_t capacity = text->capacity == 0 ? FIRST_CAPACITY : text->capacity;
    while (capacity <= needed && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity <= needed || capacity > text->limit)
        capacity = text->limit == SIZE_MAX ? SIZE_MAX : text->limit + 1;
    char *bytes = realloc(text->bytes == empty ? NULL : text->bytes, capacity);
    if (bytes == NULL) {
        text->broken = true;
        text->starved = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
    bool fits = !text->broken && length < text->capacity - text->length;
    if (!fits && !text_reserve(text, length))
        return;
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_puts(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(text, format, arguments);
    va_end(arguments);
}

/* Most of what is printed fits into the room that there is; else that tells how much is needed. */
void text_vprintf(struct text *text, const char *format, va_list arguments)
{
    size_t room = text->broken ? 0 : text->capacity - text->length;
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(room > 0 ? text->bytes + text->length : NULL, room, format, again);
    va_end(again);

    bool fits = length >= 0 && (size_t)length < room;
    if (!fits && room > 0)
        text->bytes[text->length] = '\0';
    if (length < 0)
        text->broken = true;
    else if (fits || text_reserve(text, (size_t)length)) {
        if (!fits) /* the length was measured above */
            (void)vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
        text->length += (size_t)length;
    }
}

bool text_check(const struct text *text, struct error *err)
{
    if (text->starved)
        return FAIL(err, E_MEMORY, "no memory for a text of more than %zu bytes", text->length);
    if (text->broken)
        return FAIL(err, E_TOO_LARGE, "the text is longer than %zu bytes", text->limit);
    return true;
}

char *text_dup(const struct text *text, struct arena *arena, struct error *err)
{
    if (!text_check(text, err))
        return NULL;
    char *copy = arena_alloc(arena, text->length + 1, err);
    if (copy != NULL && text->length > 0)
        memcpy(copy, text->bytes, text->length);
    return copy;
}

bool text_parse_i64(const char *string, int64_t min, int64_t max, int64_t *out, struct error *err)
{
    const char *digits = string + (string[0] == '-' || string[0] == '+');
    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return FAIL(err, E_INVALID, "\"%s\" is not a whole number", string);

    errno = 0;
    long long value = strtoll(string, NULL, 10);
    if (errno == ERANGE || value < min || value > max)
        return FAIL(err, E_INVALID, "%s is outside %" PRId64 " to %" PRId64, string, min, max);
    *out = value;
    return true;
}

bool text_parse_f64(const char *string, double min, double max, double *out, struct error *err)
{
    /* strtod alone would also take blanks, hexadecimal digits, "inf" and "nan". */
    char *end = NULL;
    bool decimal = string[0] != '\0' && string[strspn(string, "+-.0123456789eE")] == '\0';
    double value = decimal ? strtod(string, &end) : 0.0;
    if (!decimal || end == string || *end != '\0')
        return FAIL(err, E_INVALID, "\"%s\" is not a number", string);
    if (!isfinite(value) || value < min || value > max)
        return FAIL(err, E_INVALID, "%s is outside %g to %g", string, min, max);
    *out = value;
    return true;
}

bool text_parse_bool(const char *string, bool *out, struct error *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, string) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return FAIL(err, E_INVALID, "\"%s\" is neither true nor false", string);
}

bool text_parse_bytes(const char *string, uint64_t *out_bytes, struct error *err)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    errno = 0;
    unsigned long long number = isdigit((unsigned char)string[0]) ? strtoull(string, &end, 10) : 0;
    if (end == NULL)
        return FAIL(err, E_INVALID, "\"%s\" is not a size such as 64M", string);

    unsigned shift = 0;
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    if (unit != NULL) {
        shift = 10U * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end != '\0')
        return FAIL(err, E_INVALID, "\"%s\" is not a size such as 64M; units are K, M, G and T",
                    string);
    if (errno == ERANGE || number > UINT64_MAX >> shift)
        return FAIL(err, E_INVALID, "%s is more than 2^64 bytes", string);
    *out_bytes = (uint64_t)number << shift;
    return true;
}

bool text_has_prefix(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* FNV-1a, 64 bits: offset basis and prime of the definition (isthe.com/chongo/tech/comp/fnv). */
uint64_t text_hash(const char *string)
{
    uint64_t hash = 14695981039346656037u;
    for (; *string != '\0'; string++)
        hash = (hash ^ (unsigned char)*string) * 1099511628211u;
    return hash ^ hash >> 32;
}

/* The table of well-formed sequences in section 4 of RFC 3629. */
size_t text_utf8_bytes(const char *string, size_t left)
{
    const unsigned char *bytes = (const unsigned char *)string;
    unsigned char first = bytes[0];
    if (first >= 0x01 && first <= 0x7f)
        return 1;
    size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                    : first >= 0xe0 && first <= 0xef ? 3
                    : first >= 0xf0 && first <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || length > left)
        return 0;
    /* The second byte shuts out overlong forms, surrogates and what is above U+10FFFF. */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (bytes[i] < 0x80 || bytes[i] > 0xbf)
            return 0;
    return length;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = text_utf8_bytes(bytes + at, length - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

size_t text_character(const char *string, uint32_t *out_code)
{
    const unsigned char *bytes = (const unsigned char *)string;
    size_t length = text_utf8_bytes(string, strnlen(string, 4));
    *out_code = length == 0 ? 0xfffd : length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++)
        *out_code = *out_code << 6 | (bytes[i] & 0x3fU);
    return length > 0 ? length : 1;
}

/* The two-character escapes of RFC 8259 section 7 that a text is likely to have. */
static const char *json_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* Its length when it is ASCII that stands for itself, which nearly all of it is; else 0. */
static size_t plain_length(const char *string)
{
    size_t length = 0;
    for (; string[length] != '\0'; length++) {
        unsigned char c = (unsigned char)string[length];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            return 0;
    }
    return length;
}

/* One character of a JSON string, the first `step` bytes; 0: they are not UTF-8. */
static void put_json_character(struct text *text, const char *string, size_t step)
{
    unsigned char first = (unsigned char)*string;
    const char *escape = json_escape(first);
    if (escape != NULL)
        text_puts(text, escape);
    else if (first < 0x20)
        text_printf(text, "\\u%04x", first);
    else if (step == 0)
        text_puts(text, "\xef\xbf\xbd"); /* U+FFFD, the replacement character */
    else
        text_append(text, string, step);
}

void text_put_json_string(struct text *text, const char *string)
{
    size_t plain = plain_length(string), left = plain > 0 ? 0 : strlen(string);
    text_append(text, "\"", 1);
    text_append(text, string, plain);
    while (left > 0) {
        size_t step = text_utf8_bytes(string, left);
        put_json_character(text, string, step);
        step = step > 0 ? step : 1;
        string += step;
        left -= step;
    }
    text_append(text, "\"", 1);
}

/* Writes the last `places` digits of a number; returns what is behind them. */
static char *put_digits(char *at, int number, int places)
{
    for (int i = places; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + places;
}

void text_time(int64_t unix_ms, char out[static TEXT_TIME_BYTES])
{
    int64_t ms = unix_ms % 1000;
    time_t seconds = (time_t)(unix_ms / 1000);
    if (ms < 0) { /* before 1970 */
        ms += 1000;
        seconds--;
    }
    struct tm utc;
    /* RFC 3339 has no date in a year of more than four digits; the epoch stands for it. */
    if (gmtime_r(&seconds, &utc) == NULL || utc.tm_year < -1900 || utc.tm_year >= 10000 - 1900)
        utc = (struct tm){.tm_year = 70, .tm_mday = 1};
    const struct {
        int number, digits;
        char end;
    } parts[] = {{utc.tm_year + 1900, 4, '-'},
                 {utc.tm_mon + 1, 2, '-'},
                 {utc.tm_mday, 2, 'T'},
                 {utc.tm_hour, 2, ':'},
                 {utc.tm_min, 2, ':'},
                 {utc.tm_sec, 2, '.'},
                 {(int)ms, 3, 'Z'}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        out = put_digits(out, parts[i].number, parts[i].digits);
        *out++ = parts[i].end;
    }
    *out = '\0';
}
