/* Rows of a parameter table: looking up, checking, storing. Text is param_text.c, sweeps are
 * param_sweep.c. */

#include "ptqd/base/param.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHOICE_LIST_BYTES = 512 };

const struct param *param_find(const struct param_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    }
    return NULL;
}

bool param_is_word(const struct param *param, const char *text)
{
    return param->special != NULL && strcmp(text, param->special) == 0;
}

int param_choice_find(const struct param *param, const char *name)
{
    for (int i = 0; param->choices[i] != NULL; i++) {
        if (strcmp(param->choices[i], name) == 0)
            return i;
    }
    return -1;
}

int param_choice_count(const struct param *param)
{
    int count = 0;
    while (param->choices[count] != NULL)
        count++;
    assert(count < 64); /* a set is 64 bits wide */
    return count;
}

bool param_fail_choice(const struct param *param, const char *text, struct error *err)
{
    char list[CHOICE_LIST_BYTES] = "";
    size_t used = 0;
    for (int i = 0; param->choices[i] != NULL; i++) {
        const char *name = param->choices[i];
        size_t length = strlen(name);
        if (used + length + 3 > sizeof(list))
            break;
        if (i > 0) {
            memcpy(list + used, ", ", 2);
            used += 2;
        }
        memcpy(list + used, name, length + 1);
        used += length;
    }
    return FAIL(err, E_INVALID, "%s is \"%s\"; the choices are %s", param->name, text, list);
}

static bool check_integer(const struct param *param, int64_t value, bool is_word, struct error *err)
{
    bool special = is_word && param->special != NULL && value == 0;
    bool also = param->also != 0 && value == param->also;
    if (special || also || ((double)value >= param->min && (double)value <= param->max))
        return true;
    char number[32] = "", word[64] = ""; /* "2 to 8, 32 and "same"" */
    if (param->also != 0)
        (void)snprintf(number, sizeof(number), "%s %" PRId64, param->special != NULL ? "," : " and",
                       param->also);
    if (param->special != NULL)
        (void)snprintf(word, sizeof(word), " and \"%s\"", param->special);
    return FAIL(err, E_INVALID, "%s is %" PRId64 "; %.15g to %.15g%s%s are supported", param->name,
                value, param->min, param->max, number, word);
}

static bool check_real(const struct param *param, double value, bool is_word, struct error *err)
{
    bool special = is_word && param->special != NULL && value == 0.0;
    if (special || (value >= param->min && value <= param->max)) /* false for NaN */
        return true;
    char word[64] = "";
    if (param->special != NULL)
        (void)snprintf(word, sizeof(word), " and \"%s\"", param->special);
    return FAIL(err, E_INVALID, "%s is %.15g; %.15g to %.15g%s are supported", param->name, value,
                param->min, param->max, word);
}

static bool check_text(const struct param *param, const char *text, struct error *err)
{
    size_t length = strlen(text);
    if ((double)length >= param->min && (double)length <= param->max)
        return true;
    return FAIL(err, E_INVALID, "%s has %zu bytes; %.15g to %.15g are supported", param->name,
                length, param->min, param->max);
}

bool param_check(const struct param *param, const struct param_value *value, bool is_word,
                 struct error *err)
{
    if (value->type != param->type)
        return FAIL(err, E_INVALID, "%s has a value of another type", param->name);
    switch (param->type) {
    case PARAM_INT:
        return check_integer(param, value->integer, is_word, err);
    case PARAM_REAL:
        return check_real(param, value->real, is_word, err);
    case PARAM_BOOL:
        return true;
    case PARAM_TEXT:
        return check_text(param, value->text, err);
    case PARAM_CHOICE:
        if (value->choice >= 0 && value->choice < param_choice_count(param))
            return true;
        return FAIL(err, E_INVALID, "%s is choice %d; it has %d choices", param->name,
                    value->choice, param_choice_count(param));
    case PARAM_SET:
        if (value->set >> param_choice_count(param) == 0)
            return true;
        return FAIL(err, E_INVALID, "%s is the set %#" PRIx64 "; it has %d choices", param->name,
                    value->set, param_choice_count(param));
    }
    return FAIL(err, E_INTERNAL, "%s has the unknown type %d", param->name, (int)param->type);
}

/* Size of the field of a type, in the owner's struct and in struct param_value alike. */
static size_t field_bytes(enum param_type type)
{
    static const size_t bytes[] = {
        [PARAM_INT] = sizeof(int64_t), [PARAM_REAL] = sizeof(double),
        [PARAM_BOOL] = sizeof(bool),   [PARAM_TEXT] = sizeof(const char *),
        [PARAM_CHOICE] = sizeof(int),  [PARAM_SET] = sizeof(uint64_t),
    };
    return bytes[type];
}

void param_store(const struct param *param, const struct param_value *value, void *object)
{
    /* All members of the union start where `integer` starts. */
    memcpy((char *)object + param->offset, &value->integer, field_bytes(param->type));
}

struct param_value param_load(const struct param *param, const void *object)
{
    struct param_value value = {.type = param->type};
    memcpy(&value.integer, (const char *)object + param->offset, field_bytes(param->type));
    return value;
}

int param_compare(const struct param_value *a, const struct param_value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch (a->type) {
    case PARAM_INT:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case PARAM_REAL:
        return (a->real > b->real) - (a->real < b->real);
    case PARAM_BOOL:
        return a->boolean - b->boolean;
    case PARAM_TEXT:
        return a->text != NULL && b->text != NULL ? strcmp(a->text, b->text)
                                                  : (a->text != NULL) - (b->text != NULL);
    case PARAM_CHOICE:
        return (a->choice > b->choice) - (a->choice < b->choice);
    case PARAM_SET:
        return (a->set > b->set) - (a->set < b->set);
    }
    return 0;
}

bool param_equal(const struct param_value *a, const struct param_value *b)
{
    return param_compare(a, b) == 0;
}

bool param_default(const struct param *param, struct arena *arena, struct param_value *out_value,
                   struct error *err)
{
    struct error reason;
    if (param->default_text == NULL)
        return FAIL(err, E_INVALID, "%s must be given", param->name);
    if (param_parse(param, param->default_text, arena, out_value, &reason))
        return true;
    if (reason.code == E_MEMORY)
        return FAIL(err, E_MEMORY, "%s", reason.message);
    return FAIL(err, E_INTERNAL, "the default breaks its own rule: %s", reason.message);
}

bool param_defaults(const struct param_table *table, struct arena *arena, void *object,
                    struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct param *param = &table->rows[i];
        if (param->default_text == NULL)
            continue;
        struct param_value value;
        if (!param_default(param, arena, &value, err))
            return error_context(err, "table '%s'", table->name);
        param_store(param, &value, object);
    }
    return true;
}
