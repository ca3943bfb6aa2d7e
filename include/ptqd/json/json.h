#pragma once

/* JSON values (RFC 8259): parsing within limits, reading with errors that point at the field, and
 * building without an error check at every step.
 *
 * All memory is the caller's arena. A value knows where it stands, so that an error about it
 * carries its JSON pointer (RFC 6901) from the root of the document. Keys of an object are unique.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json;

struct json_limits {
    size_t bytes;  /* of the text */
    size_t depth;  /* of arrays and objects in each other; at most JSON_DEPTH_MAX */
    size_t values; /* in the whole document: bounds memory to about 400 bytes times this */
};

enum { JSON_DEPTH_MAX = 500 };

/* 1 MiB, 32 deep, 100 000 values. */
extern const struct json_limits json_default_limits;

/* E_SYNTAX with line and column for what is not JSON (also NaN, 01, bytes that are not UTF-8,
 * \u0000, a number that no double holds), with a pointer for a key that is twice in its object;
 * E_TOO_LARGE with the limit. `limits` NULL: the default ones. */
bool json_parse(struct arena *arena, const char *bytes, size_t size,
                const struct json_limits *limits, struct json **out_root, struct error *err);

/* ---- reading; a NULL value is an absent one ---- */

enum json_type json_type(const struct json *value);
/* "a string", "an object" … as messages say it; "nothing" for NULL. */
const char *json_type_name(const struct json *value);

/* The member of an object; NULL when there is none or `object` is no object. */
const struct json *json_find(const struct json *object, const char *key);
/* The member of an object; E_INVALID when it is missing. */
bool json_member(const struct json *object, const char *key, const struct json **out_value,
                 struct error *err);

/* Number of elements or members; 0 for anything else. */
size_t json_count(const struct json *container);
/* Iterates over elements or members: for (v = json_first(c); v != NULL; v = json_next(v)). */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *value);
/* The key under which a value is in its object; "" elsewhere. */
const char *json_key(const struct json *value);

/* E_INVALID with pointer, type found and type wanted. */
bool json_expect(const struct json *value, enum json_type type, struct error *err);
bool json_as_string(const struct json *value, const char **out, struct error *err);
bool json_as_bool(const struct json *value, bool *out, struct error *err);
/* Finite, in [min, max]. */
bool json_as_number(const struct json *value, double min, double max, double *out,
                    struct error *err);
/* A whole number in [min, max]; literals of 2^53 and above are refused. */
bool json_as_integer(const struct json *value, int64_t min, int64_t max, int64_t *out,
                     struct error *err);

/* E_INVALID for the first key of `object` that is not in the NULL-terminated list, with the nearest
 * name that is. */
bool json_check_keys(const struct json *object, const char *const *known, struct error *err);

/* Puts the pointer of `value` (RFC 6901, from the root of its document) into a filled error, unless
 * it is too long for that; always false. */
bool json_error_at(const struct json *value, struct error *err);

/* The same for a member of `object` that is not there; a dot in its name leads one level down. */
bool json_error_missing(const struct json *object, const char *name, struct error *err);

/* ---- building ----
 * Every add is a no-op on NULL and remembers a failed allocation; json_print reports it once, as
 * E_MEMORY. `key` is borrowed (a literal, or memory of the same arena) and NULL for arrays; strings
 * are copied. */

struct json *json_object(struct arena *arena);
struct json *json_array(struct arena *arena);

struct json *json_add_object(struct json *parent, const char *key);
struct json *json_add_array(struct json *parent, const char *key);
/* NULL gives null. */
void json_add_string(struct json *parent, const char *key, const char *value);
void json_add_integer(struct json *parent, const char *key, int64_t value);
/* The shortest decimal that reads back as the same double; NaN and infinities give null. */
void json_add_number(struct json *parent, const char *key, double value);
void json_add_bool(struct json *parent, const char *key, bool value);
void json_add_null(struct json *parent, const char *key);
/* JSON text that was printed before (stored results); copied, not checked. NULL gives null. */
void json_add_raw(struct json *parent, const char *key, const char *json_text);
/* A copy of a value of another document. */
void json_add_copy(struct json *parent, const char *key, const struct json *value);

/* A text of the memory of `container`, for its keys and values; "" when memory is out. */
const char *json_format(struct json *container, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends the value as JSON, on one line, or indented by two spaces with a final newline. */
bool json_print(const struct json *value, struct text *text, struct error *err);
bool json_print_pretty(const struct json *value, struct text *text, struct error *err);

/* The value on one line in `arena`; NULL on failure. */
char *json_print_string(const struct json *value, struct arena *arena, size_t *out_length,
                        struct error *err);

/* E_MEMORY when an add below `value` failed: for who reads what was built instead of printing it.
 */
bool json_check(const struct json *value, struct error *err);

/* True when both have the same type and content; the order of members does not matter. */
bool json_equal(const struct json *a, const struct json *b);

/* "0.1", "1e+300": the shortest decimal that reads back as the same finite double. */
enum { JSON_NUMBER_BYTES = 32 };
void json_number_print(double value, char out[static JSON_NUMBER_BYTES]);
