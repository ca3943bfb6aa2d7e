#include "schema_check.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

/* What is being checked: a value against one keyword of a schema. */
struct check {
    const struct json *document, *schema, *rule, *value;
};

static bool fail(const struct check *check, struct error *err, const char *what)
{
    char value[120] = "…", *text = NULL;
    struct arena *arena = arena_create(1 << 20);
    if (arena != NULL)
        text = json_print_string(check->value, arena, NULL, NULL);
    if (text != NULL)
        (void)snprintf(value, sizeof(value), "%s", text);
    arena_destroy(arena);
    (void)FAIL(err, E_INVALID, "%s breaks \"%s\": %s", value, json_key(check->rule), what);
    return json_error_at(check->value, err);
}

static double number_of(const struct json *value)
{
    double number = (double)NAN;
    (void)json_as_number(value, -HUGE_VAL, HUGE_VAL, &number, NULL); /* NaN when it is none */
    return number;
}

static const char *text_of(const struct json *value)
{
    const char *text = "";
    (void)json_as_string(value, &text, NULL); /* "" when it is none */
    return text;
}

/* Characters of UTF-8. */
static size_t text_length(const struct json *value)
{
    size_t length = 0;
    for (const char *c = text_of(value); *c != '\0'; c++)
        length += ((unsigned char)*c & 0xc0) != 0x80;
    return length;
}

/* ---- keywords ---- */

static bool is_type(const struct json *value, const char *name)
{
    static const struct {
        const char *name;
        enum json_type type;
    } types[] = {{"null", JSON_NULL},      {"boolean", JSON_BOOL},  {"number", JSON_NUMBER},
                 {"integer", JSON_NUMBER}, {"string", JSON_STRING}, {"array", JSON_ARRAY},
                 {"object", JSON_OBJECT}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0)
            return json_type(value) == types[i].type &&
                   (strcmp(name, "integer") != 0 ||
                    floor(number_of(value)) == number_of(value)); /* 1.0 is one */
    }
    return false;
}

static bool check_type(const struct check *check, struct error *err)
{
    if (json_type(check->rule) == JSON_STRING)
        return is_type(check->value, text_of(check->rule)) ||
               fail(check, err, text_of(check->rule));
    for (const struct json *v = json_first(check->rule); v != NULL; v = json_next(v)) {
        if (is_type(check->value, text_of(v)))
            return true;
    }
    return fail(check, err, "none of its types");
}

static bool check_enum(const struct check *check, struct error *err)
{
    for (const struct json *v = json_first(check->rule); v != NULL; v = json_next(v)) {
        if (json_equal(v, check->value))
            return true;
    }
    return fail(check, err, "none of its values");
}

static bool check_const(const struct check *check, struct error *err)
{
    return json_equal(check->rule, check->value) || fail(check, err, "another value");
}

/* The error is that of the alternative which was right for longest. */
static bool check_any(const struct check *check, struct error *err)
{
    struct error best = {.message = ""};
    for (const struct json *v = json_first(check->rule); v != NULL; v = json_next(v)) {
        struct error reason = {.message = ""};
        if (schema_check(check->document, v, check->value, &reason))
            return true;
        bool unknown = reason.code == E_UNSUPPORTED;
        if (unknown || best.message[0] == '\0' || strlen(reason.pointer) > strlen(best.pointer))
            best = reason;
        if (unknown)
            break;
    }
    *err = best;
    return false;
}

static bool check_reference(const struct check *check, struct error *err)
{
    const struct json *target = schema_resolve(check->document, text_of(check->rule));
    return (target != NULL || FAIL(err, E_UNSUPPORTED, "%s is nowhere", text_of(check->rule))) &&
           schema_check(check->document, target, check->value, err);
}

static bool check_required(const struct check *check, struct error *err)
{
    if (json_type(check->value) != JSON_OBJECT)
        return true;
    for (const struct json *v = json_first(check->rule); v != NULL; v = json_next(v)) {
        if (json_find(check->value, text_of(v)) == NULL)
            return fail(check, err, text_of(v));
    }
    return true;
}

static bool check_properties(const struct check *check, struct error *err)
{
    for (const struct json *v = json_first(check->rule); v != NULL; v = json_next(v)) {
        const struct json *member = json_find(check->value, json_key(v));
        if (member != NULL && !schema_check(check->document, v, member, err))
            return false;
    }
    return true;
}

static bool check_additional(const struct check *check, struct error *err)
{
    const struct json *named = json_find(check->schema, "properties");
    bool any = json_type(check->rule) != JSON_BOOL;
    if (json_type(check->value) != JSON_OBJECT)
        return true;
    for (const struct json *v = json_first(check->value); v != NULL; v = json_next(v)) {
        if (json_find(named, json_key(v)) != NULL)
            continue;
        if (!any)
            return fail(check, err, json_key(v));
        if (!schema_check(check->document, check->rule, v, err))
            return false;
    }
    return true;
}

static bool check_items(const struct check *check, struct error *err)
{
    if (json_type(check->value) != JSON_ARRAY)
        return true;
    for (const struct json *v = json_first(check->value); v != NULL; v = json_next(v)) {
        if (!schema_check(check->document, check->rule, v, err))
            return false;
    }
    return true;
}

static bool check_unique(const struct check *check, struct error *err)
{
    for (const struct json *v = json_first(check->value); v != NULL; v = json_next(v)) {
        for (const struct json *w = json_next(v); w != NULL; w = json_next(w)) {
            if (json_equal(v, w))
                return fail(check, err, "an element is there twice");
        }
    }
    return true;
}

/* A bound on a size; other types have none. */
static bool check_bound(const struct check *check, enum json_type type, double size, bool least,
                        struct error *err)
{
    double bound = number_of(check->rule);
    if (json_type(check->value) != type || (least ? size >= bound : size <= bound))
        return true;
    return fail(check, err, "out of range");
}

static bool check_minimum(const struct check *check, struct error *err)
{
    return check_bound(check, JSON_NUMBER, number_of(check->value), true, err);
}

static bool check_maximum(const struct check *check, struct error *err)
{
    return check_bound(check, JSON_NUMBER, number_of(check->value), false, err);
}

static bool check_min_length(const struct check *check, struct error *err)
{
    return check_bound(check, JSON_STRING, (double)text_length(check->value), true, err);
}

static bool check_max_length(const struct check *check, struct error *err)
{
    return check_bound(check, JSON_STRING, (double)text_length(check->value), false, err);
}

static bool check_min_items(const struct check *check, struct error *err)
{
    return check_bound(check, JSON_ARRAY, (double)json_count(check->value), true, err);
}

static bool matches(const char *pattern, const char *text)
{
    regex_t compiled;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return found;
}

static bool check_pattern(const struct check *check, struct error *err)
{
    return json_type(check->value) != JSON_STRING ||
           matches(text_of(check->rule), text_of(check->value)) ||
           fail(check, err, text_of(check->rule));
}

/* RFC 3339 in UTC. */
static bool check_format(const struct check *check, struct error *err)
{
    static const char date_time[] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
                                    "(\\.[0-9]+)?Z$";
    if (strcmp(text_of(check->rule), "date-time") != 0)
        return FAIL(err, E_UNSUPPORTED, "the format %s", text_of(check->rule));
    return json_type(check->value) != JSON_STRING || matches(date_time, text_of(check->value)) ||
           fail(check, err, "date-time");
}

/* Says something to people and to programs, not about the value. */
static bool check_nothing(const struct check *check, struct error *err)
{
    (void)check;
    (void)err;
    return true;
}

static const struct keyword {
    const char *name;
    bool (*check)(const struct check *check, struct error *err);
} keywords[] = {
    {"$ref", check_reference},
    {"additionalProperties", check_additional},
    {"anyOf", check_any},
    {"const", check_const},
    {"contentMediaType", check_nothing},
    {"default", check_nothing},
    {"description", check_nothing},
    {"enum", check_enum},
    {"format", check_format},
    {"items", check_items},
    {"maxLength", check_max_length},
    {"maximum", check_maximum},
    {"minItems", check_min_items},
    {"minLength", check_min_length},
    {"minimum", check_minimum},
    {"pattern", check_pattern},
    {"properties", check_properties},
    {"required", check_required},
    {"type", check_type},
    {"uniqueItems", check_unique},
};

bool schema_check(const struct json *document, const struct json *schema, const struct json *value,
                  struct error *err)
{
    if (json_type(schema) != JSON_OBJECT)
        return FAIL(err, E_UNSUPPORTED, "a schema is %s", json_type_name(schema));
    for (const struct json *rule = json_first(schema); rule != NULL; rule = json_next(rule)) {
        const struct check check = {document, schema, rule, value};
        size_t i = 0, count = sizeof(keywords) / sizeof(keywords[0]);
        while (i < count && strcmp(keywords[i].name, json_key(rule)) != 0)
            i++;
        if (i == count)
            return FAIL(err, E_UNSUPPORTED, "the keyword \"%s\"", json_key(rule));
        if (!keywords[i].check(&check, err))
            return false;
    }
    return true;
}

const struct json *schema_resolve(const struct json *document, const char *reference)
{
    if (strncmp(reference, "#/", 2) != 0)
        return NULL;
    const struct json *value = document;
    for (const char *at = reference + 2; value != NULL; at += *at == '/') {
        char key[128];
        size_t length = strcspn(at, "/");
        (void)snprintf(key, sizeof(key), "%.*s", (int)length, at);
        value = json_find(value, key);
        at += length;
        if (*at == '\0')
            return value;
    }
    return NULL;
}
