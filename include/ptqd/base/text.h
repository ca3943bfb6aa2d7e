#pragma once

/* Growing text with a ceiling, and the parsing of numbers.
 *
 * Appending never fails visibly: past the ceiling or out of memory the text is marked broken, later
 * appends do nothing, and text_check reports it once at the end.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;   /* always NUL-terminated once anything was appended; "" before */
    size_t length; /* without the NUL */
    size_t capacity;
    size_t limit; /* most bytes it may hold */
    bool broken;
    bool starved; /* broken for want of memory, not by the ceiling */
};

void text_init(struct text *text, size_t limit_bytes);
void text_finish(struct text *text);

void text_append(struct text *text, const char *bytes, size_t length);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Appends a JSON string (RFC 8259), quotes included; bytes that are not UTF-8 become U+FFFD. */
void text_put_json_string(struct text *text, const char *string);

/* E_TOO_LARGE with the ceiling, or E_MEMORY, when an append did not fit; else true. */
bool text_check(const struct text *text, struct error *err);

/* A copy of the text in `arena`, NUL-terminated; NULL on failure (also of an earlier append). */
char *text_dup(const struct text *text, struct arena *arena, struct error *err);

/* A whole decimal number and nothing else; E_INVALID otherwise, or outside [min, max]. */
bool text_parse_i64(const char *string, int64_t min, int64_t max, int64_t *out, struct error *err);
/* A whole finite decimal number; E_INVALID otherwise, or outside [min, max]. */
bool text_parse_f64(const char *string, double min, double max, double *out, struct error *err);
/* "true"/"yes"/"on"/"1" or "false"/"no"/"off"/"0"; E_INVALID otherwise. */
bool text_parse_bool(const char *string, bool *out, struct error *err);
/* A size with an optional unit K, M, G, T (powers of 1024): "64M"; E_INVALID otherwise. */
bool text_parse_bytes(const char *string, uint64_t *out_bytes, struct error *err);

/* True when `string` starts with `prefix`. */
bool text_has_prefix(const char *string, const char *prefix);

/* The name of `count` names that is nearest to `word` (fewest edits), NULL when none is near. */
const char *text_nearest(const char *word, const char *const *names, size_t count);

/* For tables; the same in every process. */
uint64_t text_hash(const char *string);

/* Bytes of the UTF-8 character (RFC 3629) at the start of `left` bytes, of which there are some; 0
 * when there is none, or a NUL. */
size_t text_utf8_bytes(const char *bytes, size_t left);
/* True when the bytes are UTF-8 without a NUL among them. */
bool text_is_utf8(const char *bytes, size_t length);

/* Bytes of the character at the start of a string that is not empty, and its code point. What is
 * not UTF-8 is U+FFFD, byte by byte. */
size_t text_character(const char *string, uint32_t *out_code);

/* Milliseconds since 1970 as RFC 3339 in UTC: "2024-05-01T12:00:00.123Z". */
enum { TEXT_TIME_BYTES = 32 };
void text_time(int64_t unix_ms, char out[static TEXT_TIME_BYTES]);
