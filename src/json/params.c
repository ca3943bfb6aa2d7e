/* Reading parameter tables from JSON: a walk over the given fields, so that an unknown one is found
 * where it stands. */

#include "ptqd/json/params.h"

#include "node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 128, SIBLINGS_MAX = 64 };

struct reader {
    struct arena *arena;
    const struct param_table *table;
    const char *const *others; /* top-level fields of the caller, or NULL */
    bool sweeps;               /* lists are allowed on swept rows */
    struct param_list *rows;
    struct error *err;
};

static bool fail_type(const struct reader *reader, const struct param *param,
                      const struct json *value, const char *wanted)
{
    FAIL(reader->err, E_INVALID, "%s is %s; %s is expected", param->name, json_type_name(value),
         wanted);
    return json_error_at(value, reader->err);
}

static bool fail_word(const struct reader *reader, const struct param *param,
                      const struct json *value, const char *wanted)
{
    FAIL(reader->err, E_INVALID, "%s is \"%s\"; %s or \"%s\" is expected", param->name,
         value->string, wanted, param->special);
    return json_error_at(value, reader->err);
}

static bool is_special(const struct param *param, const struct json *value)
{
    return value->type == JSON_STRING && param_is_word(param, value->string);
}

static bool read_integer(const struct reader *reader, const struct param *param,
                         const struct json *value, int64_t *out)
{
    if (is_special(param, value)) {
        *out = 0;
        return true;
    }
    if (param->special != NULL && value->type == JSON_STRING)
        return fail_word(reader, param, value, "a whole number");
    if (value->type != JSON_NUMBER)
        return fail_type(reader, param, value, "a whole number");
    if (!value->is_integer) {
        FAIL(reader->err, E_INVALID, "%s is %.15g; a whole number is expected", param->name,
             value->number);
        return json_error_at(value, reader->err);
    }
    *out = value->integer;
    return true;
}

static bool read_real(const struct reader *reader, const struct param *param,
                      const struct json *value, double *out)
{
    if (is_special(param, value)) {
        *out = 0.0;
        return true;
    }
    if (param->special != NULL && value->type == JSON_STRING)
        return fail_word(reader, param, value, "a number");
    if (value->type != JSON_NUMBER)
        return fail_type(reader, param, value, "a number");
    *out = value->number;
    return true;
}

static bool read_choice(const struct reader *reader, const struct param *param,
                        const struct json *value, int *out)
{
    if (value->type != JSON_STRING)
        return fail_type(reader, param, value, "a name");
    *out = param_choice_find(param, value->string);
    if (*out >= 0)
        return true;
    param_fail_choice(param, value->string, reader->err);
    return json_error_at(value, reader->err);
}

static bool read_set(const struct reader *reader, const struct param *param,
                     const struct json *value, uint64_t *out)
{
    if (value->type != JSON_ARRAY)
        return fail_type(reader, param, value, "a list of names");
    uint64_t set = 0;
    for (const struct json *v = value->first; v != NULL; v = v->next) {
        int choice = 0;
        if (!read_choice(reader, param, v, &choice))
            return false;
        if (set >> choice & 1) {
            FAIL(reader->err, E_INVALID, "%s names \"%s\" twice", param->name, v->string);
            return json_error_at(v, reader->err);
        }
        set |= UINT64_C(1) << choice;
    }
    *out = set;
    return true;
}

/* Converts by the row's type, then checks the row's rule. */
static bool read_value(const struct reader *reader, const struct param *param,
                       const struct json *value, struct param_value *out)
{
    *out = (struct param_value){.type = param->type};
    switch (param->type) {
    case PARAM_INT:
        if (!read_integer(reader, param, value, &out->integer))
            return false;
        break;
    case PARAM_REAL:
        if (!read_real(reader, param, value, &out->real))
            return false;
        break;
    case PARAM_BOOL:
        if (value->type != JSON_BOOL)
            return fail_type(reader, param, value, "true or false");
        out->boolean = value->boolean;
        break;
    case PARAM_TEXT:
        if (value->type != JSON_STRING)
            return fail_type(reader, param, value, "a string");
        out->text = arena_strdup(reader->arena, value->string, reader->err);
        if (out->text == NULL)
            return false;
        break;
    case PARAM_CHOICE:
        if (!read_choice(reader, param, value, &out->choice))
            return false;
        break;
    case PARAM_SET:
        if (!read_set(reader, param, value, &out->set))
            return false;
        break;
    }
    return param_check(param, out, is_special(param, value), reader->err) ||
           json_error_at(value, reader->err);
}

/* A list of values; for a set, whose single value is a list already, a list of lists. */
static bool is_sweep(const struct param *param, const struct json *value)
{
    if (value->type != JSON_ARRAY)
        return false;
    return param->type != PARAM_SET || json_type(value->first) == JSON_ARRAY;
}

/* Of equal values the first comes first. */
static int compare_places(const void *a, const void *b)
{
    const struct param_value *x = *(const struct param_value *const *)a;
    const struct param_value *y = *(const struct param_value *const *)b;
    int order = param_compare(x, y);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Sorting makes the search for a repeated value n log n, whatever the sender chose. */
static bool check_unique(const struct reader *reader, const struct param *param,
                         const struct json *list, const struct param_value *values)
{
    struct arena_mark mark = arena_mark(reader->arena);
    const struct param_value **places =
        ARENA_ARRAY(reader->arena, const struct param_value *, list->count, reader->err);
    if (places == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        places[i] = &values[i];
    qsort(places, list->count, sizeof(*places), compare_places);

    const struct param_value *repeated = NULL;
    for (size_t i = 1; repeated == NULL && i < list->count; i++) {
        if (param_equal(places[i - 1], places[i]))
            repeated = places[i];
    }
    arena_reset(reader->arena, mark);
    if (repeated == NULL)
        return true;
    const struct json *at = list->first;
    for (const struct param_value *value = values; value < repeated; value++)
        at = at->next;
    char text[64];
    param_print(param, repeated, text, sizeof(text));
    FAIL(reader->err, E_INVALID, "%s has %s twice in its list", param->name, text);
    return json_error_at(at, reader->err);
}

static bool read_sweep(const struct reader *reader, const struct param *param,
                       const struct json *list, struct param_list *out)
{
    if (!param->sweep || !reader->sweeps)
        return fail_type(reader, param, list, "one value");
    if (list->count == 0) {
        FAIL(reader->err, E_INVALID, "%s is an empty list; at least one value is expected",
             param->name);
        return json_error_at(list, reader->err);
    }
    struct param_value *values =
        ARENA_ARRAY(reader->arena, struct param_value, list->count, reader->err);
    if (values == NULL)
        return false;
    size_t count = 0;
    for (const struct json *v = list->first; v != NULL; v = v->next) {
        if (!read_value(reader, param, v, &values[count++]))
            return false;
    }
    if (!check_unique(reader, param, list, values))
        return false;
    *out = (struct param_list){.values = values, .count = count};
    return true;
}

static bool read_row(const struct reader *reader, const struct param *param,
                     const struct json *value)
{
    struct param_list *list = &reader->rows[param - reader->table->rows];
    if (is_sweep(param, value))
        return read_sweep(reader, param, value, list);
    struct param_value *single = ARENA_NEW(reader->arena, struct param_value, reader->err);
    if (single == NULL || !read_value(reader, param, value, single))
        return false;
    *list = (struct param_list){.values = single, .count = 1};
    return true;
}

/* The part of a row's name after "group." when the row is in the group; NULL otherwise. */
static const char *name_below(const struct param *param, const char *group)
{
    size_t length = strlen(group);
    if (length == 0)
        return param->name;
    bool inside = strncmp(param->name, group, length) == 0 && param->name[length] == '.';
    return inside ? param->name + length + 1 : NULL;
}

static bool is_group(const struct param_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (name_below(&table->rows[i], path) != NULL)
            return true;
    }
    return false;
}

static bool is_other(const struct reader *reader, const char *path)
{
    if (reader->others == NULL)
        return false;
    for (const char *const *name = reader->others; *name != NULL; name++) {
        if (strcmp(*name, path) == 0)
            return true;
    }
    return false;
}

/* A field that is known by this name in another group; NULL when there is none. */
static const char *find_elsewhere(const struct param_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *dot = strrchr(table->rows[i].name, '.');
        if (dot != NULL && strcmp(dot + 1, name) == 0)
            return table->rows[i].name;
    }
    return NULL;
}

static bool fail_unknown(const struct reader *reader, const struct json *field, const char *group)
{
    char segments[SIBLINGS_MAX][PATH_BYTES];
    const char *names[SIBLINGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < reader->table->count && count < SIBLINGS_MAX; i++) {
        const char *name = name_below(&reader->table->rows[i], group);
        if (name == NULL)
            continue;
        (void)snprintf(segments[count], PATH_BYTES, "%.*s", (int)strcspn(name, "."), name);
        names[count] = segments[count];
        count++;
    }
    const char *elsewhere = find_elsewhere(reader->table, field->key);
    if (elsewhere == NULL || text_nearest(field->key, names, count) != NULL)
        return json_fail_unknown(field, group, names, count, reader->err);
    FAIL(reader->err, E_INVALID, "\"%s%s%s\" is not a known field; did you mean \"%s\"?", group,
         *group == '\0' ? "" : ".", field->key, elsewhere);
    return json_error_at(field, reader->err);
}

/* Reads the members of `object`, which stands for the rows below `group` ("": all). Recursion ends
 * because a path that is a group is a prefix of a row's name. */
static bool read_group(const struct reader *reader, const struct json *object, const char *group)
{
    if (!json_expect(object, JSON_OBJECT, reader->err))
        return false;
    for (const struct json *v = object->first; v != NULL; v = v->next) {
        char path[PATH_BYTES];
        int length =
            snprintf(path, sizeof(path), "%s%s%s", group, *group == '\0' ? "" : ".", v->key);
        if (length < 0 || (size_t)length >= sizeof(path))
            return fail_unknown(reader, v, group);
        const struct param *param = param_find(reader->table, path);
        if (param != NULL && strchr(v->key, '.') == NULL) {
            if (!read_row(reader, param, v))
                return false;
        } else if (is_group(reader->table, path) && strchr(v->key, '.') == NULL) {
            if (!read_group(reader, v, path))
                return false;
        } else if (*group != '\0' || !is_other(reader, path)) {
            return fail_unknown(reader, v, group);
        }
    }
    return true;
}

static bool check_given(const struct reader *reader, const struct json *object)
{
    for (size_t i = 0; i < reader->table->count; i++) {
        if (reader->rows[i].count > 0)
            continue;
        FAIL(reader->err, E_INVALID, "%s must be given", reader->table->rows[i].name);
        return json_error_missing(object, reader->table->rows[i].name, reader->err);
    }
    return true;
}

static bool parse(struct arena *arena, const struct json *object, const struct param_table *table,
                  const char *const *others, bool sweeps, struct param_sweep *out_sweep,
                  struct error *err)
{
    struct param_sweep sweep;
    if (!param_sweep_create(table, arena, &sweep, err))
        return false;
    struct reader reader = {.arena = arena,
                            .table = table,
                            .others = others,
                            .sweeps = sweeps,
                            .rows = sweep.rows,
                            .err = err};
    if (object != NULL && !read_group(&reader, object, ""))
        return false;
    if (!check_given(&reader, object))
        return false;
    *out_sweep = sweep;
    return true;
}

bool json_params_parse(struct arena *arena, const struct json *object,
                       const struct param_table *table, const char *const *others,
                       struct param_sweep *out_sweep, struct error *err)
{
    return parse(arena, object, table, others, true, out_sweep, err);
}

bool json_params_read(struct arena *arena, const struct json *object,
                      const struct param_table *table, const char *const *others, void *out_object,
                      struct error *err)
{
    struct param_sweep sweep;
    if (!parse(arena, object, table, others, false, &sweep, err))
        return false;
    param_sweep_store(&sweep, 0, out_object);
    return true;
}

bool json_params_read_given(struct arena *arena, const struct json *object,
                            const struct param_table *table, void *out_object, uint64_t *out_given,
                            struct error *err)
{
    struct reader reader = {.arena = arena,
                            .table = table,
                            .rows = ARENA_ARRAY(arena, struct param_list, table->count, err),
                            .err = err};
    assert(table->count <= 64);
    if (reader.rows == NULL || !read_group(&reader, object, ""))
        return false;
    uint64_t given = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (reader.rows[i].count == 0)
            continue;
        param_store(&table->rows[i], &reader.rows[i].values[0], out_object);
        given |= UINT64_C(1) << i;
    }
    *out_given = given;
    return true;
}
