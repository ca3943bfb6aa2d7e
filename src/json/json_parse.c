/* Text to values: checked by json_scan, parsed by cJSON, copied into the caller's arena. */

#include "node.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorting makes the search for a repeated key n log n, whatever the sender chose. */
static bool check_unique_keys(const struct json *object, struct error *err)
{
    struct arena_mark mark = arena_mark(object->arena);
    const char **keys = ARENA_ARRAY(object->arena, const char *, object->count, err);
    if (keys == NULL)
        return false;
    size_t count = 0;
    for (const struct json *member = object->first; member != NULL; member = member->next)
        keys[count++] = member->key;
    qsort(keys, count, sizeof(*keys), compare_keys);

    bool unique = true;
    for (size_t i = 1; unique && i < count; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            unique = FAIL(err, E_SYNTAX, "the key \"%s\" is twice in one object", keys[i]);
            json_error_at(json_find(object, keys[i]), err);
        }
    }
    arena_reset(object->arena, mark);
    return unique;
}

static bool copy_scalar(const cJSON *source, struct json *node, struct error *err)
{
    if (cJSON_IsBool(source)) {
        node->boolean = cJSON_IsTrue(source);
    } else if (cJSON_IsNumber(source)) {
        json_node_set_number(node, source->valuedouble);
    } else if (cJSON_IsString(source)) {
        node->string = arena_strdup(node->arena, source->valuestring, err);
        return node->string != NULL;
    }
    return true;
}

static enum json_type type_of(const cJSON *source)
{
    switch (source->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

/* Depth-first copy; the depth was limited by the scan. */
static struct json *copy_tree(struct arena *arena, const cJSON *source, struct json *parent,
                              struct error *err)
{
    const char *key = NULL;
    if (parent != NULL && parent->type == JSON_OBJECT) {
        key = arena_strdup(arena, source->string, err);
        if (key == NULL)
            return NULL;
    }
    struct json *node = json_node(arena, parent, key, type_of(source), err);
    if (node == NULL)
        return NULL;
    if (!json_is_container(node))
        return copy_scalar(source, node, err) ? node : NULL;
    for (const cJSON *child = source->child; child != NULL; child = child->next) {
        if (copy_tree(arena, child, node, err) == NULL)
            return NULL;
    }
    if (node->type == JSON_OBJECT && !check_unique_keys(node, err))
        return NULL;
    return node;
}

bool json_parse(struct arena *arena, const char *bytes, size_t size,
                const struct json_limits *limits, struct json **out_root, struct error *err)
{
    if (!json_scan(bytes, size, limits != NULL ? limits : &json_default_limits, err))
        return false;
    cJSON *tree = cJSON_ParseWithLength(bytes, size);
    if (tree == NULL)
        return FAIL(err, E_MEMORY, "a JSON document of %zu bytes does not fit in memory", size);
    struct json *root = copy_tree(arena, tree, NULL, err);
    cJSON_Delete(tree);
    if (root == NULL)
        return false;
    *out_root = root;
    return true;
}
