/* Parameter tables to JSON: values, nested by their dotted names, and the catalogue. */

#include "ptqd/json/params.h"

#include "node.h"

#include <string.h>

static void add_set(struct json *parent, const char *key, const struct param *param, uint64_t set)
{
    struct json *list = json_add_array(parent, key);
    for (int i = 0; param->choices[i] != NULL; i++) {
        if (set >> i & 1)
            json_add_string(list, NULL, param->choices[i]);
    }
}

void json_add_param(struct json *parent, const char *key, const struct param *param,
                    const struct param_value *value)
{
    switch (param->type) {
    case PARAM_INT:
        if (param->special != NULL && value->integer == 0)
            json_add_string(parent, key, param->special);
        else
            json_add_integer(parent, key, value->integer);
        return;
    case PARAM_REAL:
        if (param->special != NULL && value->real == 0.0)
            json_add_string(parent, key, param->special);
        else
            json_add_number(parent, key, value->real);
        return;
    case PARAM_BOOL:
        json_add_bool(parent, key, value->boolean);
        return;
    case PARAM_TEXT:
        json_add_string(parent, key, value->text);
        return;
    case PARAM_CHOICE:
        json_add_string(parent, key, param->choices[value->choice]);
        return;
    case PARAM_SET:
        add_set(parent, key, param, value->set);
        return;
    }
}

/* The member `key` (of `length` bytes) of an object, added as an object when it is not there. */
static struct json *group_of(struct json *parent, const char *key, size_t length)
{
    for (struct json *v = parent->first; v != NULL; v = v->next) {
        if (strlen(v->key) == length && memcmp(v->key, key, length) == 0)
            return v;
    }
    char *copy = arena_strndup(parent->arena, key, length, NULL);
    if (copy == NULL)
        parent->broken = true;
    return copy == NULL ? NULL : json_add_object(parent, copy);
}

/* The object that holds the last segment of a dotted name, and that segment. */
static struct json *innermost(struct json *parent, const char *name, const char **out_key)
{
    const char *dot;
    while (parent != NULL && (dot = strchr(name, '.')) != NULL) {
        parent = group_of(parent, name, (size_t)(dot - name));
        name = dot + 1;
    }
    *out_key = name;
    return parent;
}

void json_params_print(struct json *parent, const struct param_sweep *sweep)
{
    for (size_t i = 0; i < sweep->table->count; i++) {
        const struct param *param = &sweep->table->rows[i];
        const struct param_list *list = &sweep->rows[i];
        const char *key;
        struct json *group = innermost(parent, param->name, &key);
        if (list->count == 1) {
            json_add_param(group, key, param, &list->values[0]);
            continue;
        }
        struct json *values = json_add_array(group, key);
        for (size_t j = 0; j < list->count; j++)
            json_add_param(values, NULL, param, &list->values[j]);
    }
}

static void print_row(struct json *parent, const struct param *param, const void *object)
{
    struct param_value value = param_load(param, object);
    const char *key;
    struct json *group = innermost(parent, param->name, &key);
    json_add_param(group, key, param, &value);
}

void json_params_print_object(struct json *parent, const struct param_table *table,
                              const void *object)
{
    for (size_t i = 0; i < table->count; i++)
        print_row(parent, &table->rows[i], object);
}

void json_params_print_given(struct json *parent, const struct param_table *table,
                             const void *object, uint64_t given)
{
    for (size_t i = 0; i < table->count; i++) {
        if (given >> i & 1)
            print_row(parent, &table->rows[i], object);
    }
}

static const char *const type_names[] = {
    [PARAM_INT] = "integer", [PARAM_REAL] = "number",   [PARAM_BOOL] = "boolean",
    [PARAM_TEXT] = "string", [PARAM_CHOICE] = "choice", [PARAM_SET] = "set",
};

static void add_rule(struct json *row, const struct param *param)
{
    switch (param->type) {
    case PARAM_INT:
    case PARAM_REAL:
        json_add_number(row, "minimum", param->min);
        json_add_number(row, "maximum", param->max);
        if (param->also != 0)
            json_add_integer(row, "also", param->also);
        if (param->special != NULL)
            json_add_string(row, "special", param->special);
        return;
    case PARAM_TEXT:
        json_add_number(row, "minimum_length", param->min);
        json_add_number(row, "maximum_length", param->max);
        return;
    case PARAM_BOOL:
        return;
    case PARAM_CHOICE:
    case PARAM_SET: {
        struct json *choices = json_add_array(row, "choices");
        for (int i = 0; param->choices[i] != NULL; i++)
            json_add_string(choices, NULL, param->choices[i]);
        return;
    }
    }
}

static void add_default(struct json *row, const struct param *param)
{
    struct param_value value;
    if (param->default_text == NULL || !param_default(param, row->arena, &value, NULL))
        json_add_null(row, "default");
    else
        json_add_param(row, "default", param, &value);
}

void json_params_catalog(struct json *array, const struct param_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct param *param = &table->rows[i];
        struct json *row = json_add_object(array, NULL);
        if (row == NULL)
            return;
        json_add_string(row, "name", param->name);
        json_add_string(row, "type", type_names[param->type]);
        add_default(row, param);
        add_rule(row, param);
        json_add_string(row, "unit", param->unit);
        json_add_string(row, "help", param->help);
        json_add_bool(row, "sweep", param->sweep);
    }
}
