/* Building values. A failed allocation marks the container, and json_print reports it. */

#include "node.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

struct json *json_node(struct arena *arena, struct json *parent, const char *key,
                       enum json_type type, struct error *err)
{
    struct json *node = ARENA_NEW(arena, struct json, err);
    if (node == NULL)
        return NULL;
    *node = (struct json){.type = type, .key = key, .parent = parent, .arena = arena};
    if (parent == NULL)
        return node;
    assert(json_is_container(parent) && (parent->type == JSON_OBJECT) == (key != NULL));
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
    parent->count++;
    return node;
}

void json_node_set_number(struct json *node, double number)
{
    node->number = number;
    node->is_integer = fabs(number) <= JSON_EXACT_MAX && floor(number) >= number;
    node->integer = node->is_integer ? (int64_t)number : 0;
}

struct json *json_object(struct arena *arena)
{
    return json_node(arena, NULL, NULL, JSON_OBJECT, NULL);
}

struct json *json_array(struct arena *arena)
{
    return json_node(arena, NULL, NULL, JSON_ARRAY, NULL);
}

static struct json *add(struct json *parent, const char *key, enum json_type type)
{
    if (parent == NULL)
        return NULL;
    struct json *node = json_node(parent->arena, parent, key, type, NULL);
    parent->broken = parent->broken || node == NULL;
    return node;
}

struct json *json_add_object(struct json *parent, const char *key)
{
    return add(parent, key, JSON_OBJECT);
}

struct json *json_add_array(struct json *parent, const char *key)
{
    return add(parent, key, JSON_ARRAY);
}

const char *json_format(struct json *container, const char *format, ...)
{
    if (container == NULL)
        return "";
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(container->arena, NULL, format, arguments);
    va_end(arguments);
    container->broken = container->broken || text == NULL;
    return text != NULL ? text : "";
}

static void add_text(struct json *parent, const char *key, const char *value, bool raw)
{
    struct json *node = add(parent, key, value == NULL ? JSON_NULL : JSON_STRING);
    if (node == NULL || value == NULL)
        return;
    node->raw = raw;
    node->string = arena_strdup(node->arena, value, NULL);
    parent->broken = parent->broken || node->string == NULL;
}

void json_add_string(struct json *parent, const char *key, const char *value)
{
    add_text(parent, key, value, false);
}

void json_add_raw(struct json *parent, const char *key, const char *json_text)
{
    add_text(parent, key, json_text, true);
}

void json_add_integer(struct json *parent, const char *key, int64_t value)
{
    struct json *node = add(parent, key, JSON_NUMBER);
    if (node == NULL)
        return;
    node->number = (double)value;
    node->integer = value;
    node->is_integer = true;
}

void json_add_number(struct json *parent, const char *key, double value)
{
    struct json *node = add(parent, key, isfinite(value) ? JSON_NUMBER : JSON_NULL);
    if (node != NULL && isfinite(value))
        json_node_set_number(node, value);
}

void json_add_bool(struct json *parent, const char *key, bool value)
{
    struct json *node = add(parent, key, JSON_BOOL);
    if (node != NULL)
        node->boolean = value;
}

void json_add_null(struct json *parent, const char *key)
{
    (void)add(parent, key, JSON_NULL); /* a failure is remembered in the parent */
}

static void add_children(struct json *container, const struct json *source)
{
    for (const struct json *v = source->first; v != NULL; v = v->next) {
        const char *key = v->key == NULL ? NULL : arena_strdup(container->arena, v->key, NULL);
        if (v->key != NULL && key == NULL)
            container->broken = true;
        else
            json_add_copy(container, key, v);
    }
}

void json_add_copy(struct json *parent, const char *key, const struct json *value)
{
    switch (json_type(value)) {
    case JSON_STRING:
        add_text(parent, key, value->string, value->raw);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT: {
        struct json *container = add(parent, key, value->type);
        if (container != NULL)
            add_children(container, value);
        return;
    }
    case JSON_NULL:
        json_add_null(parent, key);
        return;
    case JSON_BOOL:
        json_add_bool(parent, key, value->boolean);
        return;
    case JSON_NUMBER:
        if (value->is_integer)
            json_add_integer(parent, key, value->integer);
        else
            json_add_number(parent, key, value->number);
        return;
    }
}
