#pragma once

/* The one representation of a JSON value, private to this room. Values of a container are a list
 * in the order of the text; each knows its parent, which is what pointers are made from. */

#include "ptqd/json/json.h"

struct json {
    enum json_type type;
    bool raw;        /* JSON_STRING: `string` is JSON text that is printed as it is */
    bool is_integer; /* JSON_NUMBER: `integer` holds the value exactly */
    bool broken;     /* an allocation below this container has failed */
    const char *key; /* in an object, else NULL */
    struct json *parent, *next;
    struct arena *arena; /* of the document */
    union {
        bool boolean;
        const char *string;
        struct {
            double number;
            int64_t integer;
        };
        struct {
            struct json *first, *last;
            size_t count;
        };
    };
};

/* Above this, two integers of a text may read as the same double. */
#define JSON_EXACT_MAX 9007199254740991.0 /* 2^53 − 1 */

static inline bool json_is_container(const struct json *value)
{
    return value != NULL && (value->type == JSON_ARRAY || value->type == JSON_OBJECT);
}

/* A new value at the end of `parent` (NULL: a root); NULL when memory is out. */
struct json *json_node(struct arena *arena, struct json *parent, const char *key,
                       enum json_type type, struct error *err);

/* Sets a JSON_NUMBER from a finite double. */
void json_node_set_number(struct json *node, double number);

/* Checks the grammar of RFC 8259 and the limits, without recursion; what passes is safe to hand to
 * a recursive parser. */
bool json_scan(const char *bytes, size_t size, const struct json_limits *limits, struct error *err);

/* E_INVALID for a member that is none of `count` names, which are those of `group` ("": the
 * document's own): with the nearest one, or else with all of them; always false. */
bool json_fail_unknown(const struct json *member, const char *group, const char *const *names,
                       size_t count, struct error *err);
