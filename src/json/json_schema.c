/* Tables of members and of parameters as JSON Schema. */

#include "ptqd/json/json_schema.h"

#include "node.h"

#include "ptqd/json/params.h"

#include <string.h>

static void add_choices(struct json *schema, const char *const *choices)
{
    struct json *list = json_add_array(schema, "enum");
    for (; *choices != NULL; choices++)
        json_add_string(list, NULL, *choices);
}

void json_schema_reference(struct json *parent, const char *key, const struct schema *schema)
{
    struct json *object = json_add_object(parent, key);
    json_add_string(object, "$ref", json_format(object, "#/components/schemas/%s", schema->name));
}

/* ---- values of members ---- */

static void add_scalar(struct json *schema, const struct schema_member *member)
{
    static const char *const types[] = {
        [SCHEMA_STRING] = "string", [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
        [SCHEMA_BOOL] = "boolean",  [SCHEMA_TIME] = "string",     [SCHEMA_ID] = "string",
        [SCHEMA_FILE] = "string",
    };
    if (member->type == SCHEMA_SCALAR) {
        struct json *list = json_add_array(schema, "type");
        json_add_string(list, NULL, "string");
        json_add_string(list, NULL, "number");
        json_add_string(list, NULL, "boolean");
        return;
    }
    json_add_string(schema, "type", types[member->type]);
    if (member->type == SCHEMA_TIME)
        json_add_string(schema, "format", "date-time");
    if (member->type == SCHEMA_ID)
        json_add_string(schema, "pattern", "^sha256:[0-9a-f]{64}$");
    if (member->type == SCHEMA_FILE)
        json_add_string(schema, "contentMediaType", "application/octet-stream");
    if (member->choices != NULL)
        add_choices(schema, member->choices);
}

static void add_value(struct json *parent, const char *key, const struct schema_member *member)
{
    if (member->type == SCHEMA_OBJECT)
        json_schema_reference(parent, key, member->of);
    else
        add_scalar(json_add_object(parent, key), member);
}

static void add_list(struct json *schema, const struct schema_member *member)
{
    json_add_string(schema, "type", "array");
    add_value(schema, "items", member);
}

static void add_map(struct json *schema, const struct schema_member *member)
{
    json_add_string(schema, "type", "object");
    add_value(schema, "additionalProperties", member);
}

/* What the member may be, but for the alternatives. */
static void add_main(struct json *parent, const char *key, const struct schema_member *member)
{
    if (member->list)
        add_list(json_add_object(parent, key), member);
    else if (member->map)
        add_map(json_add_object(parent, key), member);
    else
        add_value(parent, key, member);
}

static void add_member(struct json *properties, const struct schema_member *member)
{
    bool instead = member->type != SCHEMA_OBJECT && member->of != NULL;
    if (!instead && !member->or_list && !member->null) {
        add_main(properties, member->name, member);
    } else {
        struct json *any = json_add_array(json_add_object(properties, member->name), "anyOf");
        add_main(any, NULL, member);
        if (member->or_list)
            add_list(json_add_object(any, NULL), member);
        if (instead)
            json_schema_reference(any, NULL, member->of);
        if (member->null)
            json_add_string(json_add_object(any, NULL), "type", "null");
    }
    if (member->help != NULL && properties != NULL && properties->last != NULL)
        json_add_string(properties->last, "description", member->help);
}

/* ---- values of parameters ---- */

static void add_range(struct json *schema, const struct param *param)
{
    json_add_string(schema, "type", param->type == PARAM_INT ? "integer" : "number");
    json_add_number(schema, "minimum", param->min);
    json_add_number(schema, "maximum", param->max);
}

static void add_number(struct json *schema, const struct param *param)
{
    if (param->also == 0 && param->special == NULL) {
        add_range(schema, param);
        return;
    }
    struct json *any = json_add_array(schema, "anyOf");
    add_range(json_add_object(any, NULL), param);
    if (param->also != 0)
        json_add_integer(json_add_object(any, NULL), "const", param->also);
    if (param->special != NULL)
        json_add_string(json_add_object(any, NULL), "const", param->special);
}

/* One value, without what is said of it. */
static void add_rule(struct json *schema, const struct param *param)
{
    switch (param->type) {
    case PARAM_INT:
    case PARAM_REAL:
        add_number(schema, param);
        return;
    case PARAM_BOOL:
        json_add_string(schema, "type", "boolean");
        return;
    case PARAM_TEXT: /* the rule is in bytes, of which a character has one or more */
        json_add_string(schema, "type", "string");
        json_add_number(schema, "maxLength", param->max);
        return;
    case PARAM_CHOICE:
        json_add_string(schema, "type", "string");
        add_choices(schema, param->choices);
        return;
    case PARAM_SET: {
        json_add_string(schema, "type", "array");
        json_add_bool(schema, "uniqueItems", true);
        add_choices(json_add_object(schema, "items"), param->choices);
        return;
    }
    }
}

static void add_notes(struct json *schema, const struct param *param)
{
    struct param_value value;
    json_add_string(schema, "description", param->help);
    if (schema == NULL || param->default_text == NULL || param->default_text[0] == '\0')
        return;
    if (param_default(param, schema->arena, &value, NULL))
        json_add_param(schema, "default", param, &value);
    else
        schema->broken = true;
}

void json_schema_param(struct json *parent, const char *key, const struct param *param)
{
    struct json *schema = json_add_object(parent, key);
    add_rule(schema, param);
    add_notes(schema, param);
}

/* One value, or a list where it is swept. */
static void add_row(struct json *properties, const char *key, const struct param *param)
{
    if (!param->sweep) {
        json_schema_param(properties, key, param);
        return;
    }
    struct json *schema = json_add_object(properties, key);
    struct json *any = json_add_array(schema, "anyOf");
    add_rule(json_add_object(any, NULL), param);
    struct json *list = json_add_object(any, NULL);
    json_add_string(list, "type", "array");
    json_add_integer(list, "minItems", 1);
    add_rule(json_add_object(list, "items"), param);
    add_notes(schema, param);
}

/* ---- objects ---- */

/* The parts of an object's schema while it is printed. */
struct object {
    struct json *schema, *properties, *required;
};

static struct object begin_object(struct json *schema)
{
    struct object object = {.schema = schema};
    json_add_string(schema, "type", "object");
    object.properties = json_add_object(schema, "properties");
    object.required = json_add_array(schema, "required");
    json_add_bool(schema, "additionalProperties", false);
    return object;
}

/* True when an earlier row has the same first `length` bytes. */
static bool is_repeated(const struct param_table *table, size_t index, size_t length)
{
    for (size_t i = 0; i < index; i++) {
        if (strncmp(table->rows[i].name, table->rows[index].name, length) == 0)
            return true;
    }
    return false;
}

/* The rows whose names begin with the first `length` bytes of `prefix`. */
static void add_rows(const struct object *object, const struct param_table *table,
                     const char *prefix, size_t length, bool given)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->rows[i].name;
        if (strncmp(name, prefix, length) != 0)
            continue;
        size_t segment = strcspn(name + length, ".");
        bool is_group = name[length + segment] == '.';
        if (is_group && is_repeated(table, i, length + segment + 1))
            continue;
        const char *key = json_format(object->properties, "%.*s", (int)segment, name + length);
        if (!given)
            json_add_string(object->required, NULL, key);
        if (!is_group) {
            add_row(object->properties, key, &table->rows[i]);
            continue;
        }
        struct object group = begin_object(json_add_object(object->properties, key));
        add_rows(&group, table, name, length + segment + 1, given);
    }
}

static void add_members(const struct object *object, const struct schema *schema)
{
    if (schema->base != NULL)
        add_members(object, schema->base);
    if (schema->params != NULL)
        add_rows(object, schema->params(), "", 0, schema->given);
    const struct schema_member *member = schema->members;
    for (; member != NULL && member->name != NULL; member++) {
        add_member(object->properties, member);
        if (!member->optional)
            json_add_string(object->required, NULL, member->name);
    }
}

void json_schema_print(struct json *parent, const char *key, const struct schema *schema)
{
    struct object object = begin_object(json_add_object(parent, key));
    json_add_string(object.schema, "description", schema->help);
    add_members(&object, schema);
}
