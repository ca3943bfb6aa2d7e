/* Reading values: lookups, and checked conversions whose errors point at the field. */

#include "node.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum json_type json_type(const struct json *value)
{
    return value == NULL ? JSON_NULL : value->type;
}

static const char *type_name(enum json_type type)
{
    switch (type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "true or false";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "a list";
    case JSON_OBJECT:
        return "an object";
    }
    return "nothing";
}

const char *json_type_name(const struct json *value)
{
    return value == NULL ? "nothing" : type_name(value->type);
}

const struct json *json_find(const struct json *object, const char *key)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    const struct json *member = object->first;
    while (member != NULL && strcmp(member->key, key) != 0)
        member = member->next;
    return member;
}

bool json_member(const struct json *object, const char *key, const struct json **out_value,
                 struct error *err)
{
    if (!json_expect(object, JSON_OBJECT, err))
        return false;
    const struct json *member = json_find(object, key);
    if (member == NULL) {
        FAIL(err, E_INVALID, "the field \"%s\" is missing", key);
        return json_error_missing(object, key, err);
    }
    *out_value = member;
    return true;
}

size_t json_count(const struct json *container)
{
    return json_is_container(container) ? container->count : 0;
}

const struct json *json_first(const struct json *container)
{
    return json_is_container(container) ? container->first : NULL;
}

const struct json *json_next(const struct json *value)
{
    return value->next;
}

const char *json_key(const struct json *value)
{
    return value == NULL || value->key == NULL ? "" : value->key;
}

static size_t index_in_parent(const struct json *value)
{
    size_t index = 0;
    for (const struct json *v = value->parent->first; v != value; v = v->next)
        index++;
    return index;
}

/* "/key" or "/3" of one level, escaped as RFC 6901 section 3 wants it. */
static void append_step(const struct json *value, struct text *text)
{
    if (value->key == NULL) {
        text_printf(text, "/%zu", index_in_parent(value));
        return;
    }
    text_puts(text, "/");
    for (const char *c = value->key; *c != '\0'; c++) {
        if (*c == '~')
            text_puts(text, "~0");
        else if (*c == '/')
            text_puts(text, "~1");
        else
            text_append(text, c, 1);
    }
}

static void append_pointer(const struct json *value, struct text *text)
{
    const struct json *steps[JSON_DEPTH_MAX + 1];
    size_t depth = 0;
    for (; value != NULL && value->parent != NULL && depth <= JSON_DEPTH_MAX; value = value->parent)
        steps[depth++] = value;
    while (depth-- > 0)
        append_step(steps[depth], text);
}

/* Half a pointer would name another field. */
static bool note_pointer(struct text *text, struct error *err)
{
    if (text_check(text, NULL))
        (void)error_at(err, "%s", text->bytes); /* is false */
    text_finish(text);
    return false;
}

bool json_error_at(const struct json *value, struct error *err)
{
    struct text text;
    text_init(&text, ERROR_POINTER_BYTES - 1);
    append_pointer(value, &text);
    return note_pointer(&text, err);
}

bool json_error_missing(const struct json *object, const char *name, struct error *err)
{
    struct text text;
    text_init(&text, ERROR_POINTER_BYTES - 1);
    append_pointer(object, &text);
    text_puts(&text, "/");
    for (; *name != '\0'; name++)
        text_append(&text, *name == '.' ? "/" : name, 1);
    return note_pointer(&text, err);
}

/* How messages call a value: its key, or its place in a list, or "the document". */
static void print_label(const struct json *value, char *out, size_t size)
{
    if (value == NULL || value->parent == NULL)
        (void)snprintf(out, size, "the document");
    else if (value->key != NULL)
        (void)snprintf(out, size, "\"%s\"", value->key);
    else
        (void)snprintf(out, size, "element %zu of \"%s\"", index_in_parent(value),
                       json_key(value->parent));
}

enum { LABEL_BYTES = 160 };

bool json_expect(const struct json *value, enum json_type type, struct error *err)
{
    if (value != NULL && value->type == type)
        return true;
    char label[LABEL_BYTES];
    print_label(value, label, sizeof(label));
    FAIL(err, E_INVALID, "%s is %s; %s is expected", label, json_type_name(value), type_name(type));
    return json_error_at(value, err);
}

bool json_as_string(const struct json *value, const char **out, struct error *err)
{
    if (!json_expect(value, JSON_STRING, err))
        return false;
    *out = value->string;
    return true;
}

bool json_as_bool(const struct json *value, bool *out, struct error *err)
{
    if (!json_expect(value, JSON_BOOL, err))
        return false;
    *out = value->boolean;
    return true;
}

bool json_as_number(const struct json *value, double min, double max, double *out,
                    struct error *err)
{
    if (!json_expect(value, JSON_NUMBER, err))
        return false;
    if (!(value->number >= min && value->number <= max)) {
        char label[LABEL_BYTES];
        print_label(value, label, sizeof(label));
        FAIL(err, E_INVALID, "%s is %.15g; %.15g to %.15g are allowed", label, value->number, min,
             max);
        return json_error_at(value, err);
    }
    *out = value->number;
    return true;
}

bool json_as_integer(const struct json *value, int64_t min, int64_t max, int64_t *out,
                     struct error *err)
{
    if (!json_expect(value, JSON_NUMBER, err))
        return false;
    char label[LABEL_BYTES];
    print_label(value, label, sizeof(label));
    if (!value->is_integer) {
        FAIL(err, E_INVALID, "%s is %.15g; a whole number below 2^53 is expected", label,
             value->number);
        return json_error_at(value, err);
    }
    if (value->integer < min || value->integer > max) {
        FAIL(err, E_INVALID, "%s is %" PRId64 "; %" PRId64 " to %" PRId64 " are allowed", label,
             value->integer, min, max);
        return json_error_at(value, err);
    }
    *out = value->integer;
    return true;
}

static bool is_known(const char *key, const char *const *known)
{
    while (*known != NULL && strcmp(*known, key) != 0)
        known++;
    return *known != NULL;
}

/* "a, b and c", without the repetitions of neighbours. */
static void print_names(const char *const *names, size_t count, struct text *text)
{
    const char *before = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && strcmp(names[i], names[i + 1]) == 0)
            continue;
        if (before != NULL)
            text_puts(text, i + 1 < count ? ", " : " and ");
        text_puts(text, names[i]);
        before = names[i];
    }
}

bool json_fail_unknown(const struct json *member, const char *group, const char *const *names,
                       size_t count, struct error *err)
{
    const char *dot = *group == '\0' ? "" : ".";
    const char *nearest = text_nearest(member->key, names, count);
    if (nearest != NULL) {
        FAIL(err, E_INVALID, "\"%s%s%s\" is not a known field; did you mean \"%s%s%s\"?", group,
             dot, member->key, group, dot, nearest);
        return json_error_at(member, err);
    }
    struct text all;
    text_init(&all, ERROR_MESSAGE_BYTES);
    print_names(names, count, &all);
    FAIL(err, E_INVALID, "\"%s%s%s\" is not a known field; there %s %s", group, dot, member->key,
         count == 1 ? "is" : "are", text_check(&all, NULL) ? all.bytes : "others");
    text_finish(&all);
    return json_error_at(member, err);
}

bool json_check_keys(const struct json *object, const char *const *known, struct error *err)
{
    size_t count = 0;
    while (known[count] != NULL)
        count++;
    for (const struct json *v = json_first(object); v != NULL; v = json_next(v)) {
        if (is_known(v->key, known))
            continue;
        return json_fail_unknown(v, "", known, count, err);
    }
    return true;
}

static bool objects_equal(const struct json *a, const struct json *b)
{
    for (const struct json *member = a->first; member != NULL; member = member->next) {
        const struct json *other = json_find(b, member->key);
        if (other == NULL || !json_equal(member, other))
            return false;
    }
    return true;
}

static bool arrays_equal(const struct json *a, const struct json *b)
{
    const struct json *y = b->first;
    for (const struct json *x = a->first; x != NULL; x = x->next, y = y->next) {
        if (!json_equal(x, y))
            return false;
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL || a->type != b->type)
        return a == b;
    switch (a->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_NUMBER:
        return a->is_integer == b->is_integer &&
               (a->is_integer ? a->integer == b->integer
                              : !(a->number < b->number || a->number > b->number));
    case JSON_STRING:
        return a->raw == b->raw && strcmp(a->string, b->string) == 0;
    case JSON_ARRAY:
        return a->count == b->count && arrays_equal(a, b);
    case JSON_OBJECT:
        return a->count == b->count && objects_equal(a, b);
    }
    return false;
}
