/* Values of a parameter table as text. */

#include "ptqd/base/param.h"

#include "ptqd/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a whole number (MiB) or "machine"": what a number of the row may be. */
static bool fail_number(const struct param *param, const char *text, const char *kind,
                        struct error *err)
{
    bool counted = param->unit[0] != '\0', word = param->special != NULL;
    return FAIL(err, E_INVALID, "%s is \"%s\"; %s%s%s%s%s%s%s is expected", param->name, text, kind,
                counted ? " (" : "", param->unit, counted ? ")" : "", word ? " or \"" : "",
                word ? param->special : "", word ? "\"" : "");
}

static bool parse_integer(const struct param *param, const char *text, int64_t *out,
                          struct error *err)
{
    if (param_is_word(param, text)) {
        *out = 0;
        return true;
    }
    if (text_parse_i64(text, INT64_MIN, INT64_MAX, out, NULL))
        return true;
    return fail_number(param, text, "a whole number", err);
}

static bool parse_real(const struct param *param, const char *text, double *out, struct error *err)
{
    if (param_is_word(param, text)) {
        *out = 0.0;
        return true;
    }
    if (text_parse_f64(text, -HUGE_VAL, HUGE_VAL, out, NULL))
        return true;
    return fail_number(param, text, "a number", err);
}

/* "a,c": names between commas; the empty text is the empty set. */
static bool parse_set(const struct param *param, const char *text, uint64_t *out, struct error *err)
{
    uint64_t set = 0;
    bool more = *text != '\0';
    while (more) {
        size_t length = strcspn(text, ",");
        char name[64];
        (void)snprintf(name, sizeof(name), "%.*s", (int)(length < 64 ? length : 63), text);
        int choice = param_choice_find(param, name);
        if (choice < 0)
            return param_fail_choice(param, name, err);
        set |= UINT64_C(1) << choice;
        more = text[length] == ',';
        text += length + 1;
    }
    *out = set;
    return true;
}

bool param_parse(const struct param *param, const char *text, struct arena *arena,
                 struct param_value *out_value, struct error *err)
{
    struct param_value value = {.type = param->type};
    switch (param->type) {
    case PARAM_INT:
        if (!parse_integer(param, text, &value.integer, err))
            return false;
        break;
    case PARAM_REAL:
        if (!parse_real(param, text, &value.real, err))
            return false;
        break;
    case PARAM_BOOL:
        if (!text_parse_bool(text, &value.boolean, NULL))
            return FAIL(err, E_INVALID, "%s is \"%s\"; true or false is expected", param->name,
                        text);
        break;
    case PARAM_TEXT:
        value.text = arena_strdup(arena, text, err);
        if (value.text == NULL)
            return false;
        break;
    case PARAM_CHOICE:
        value.choice = param_choice_find(param, text);
        if (value.choice < 0)
            return param_fail_choice(param, text, err);
        break;
    case PARAM_SET:
        if (!parse_set(param, text, &value.set, err))
            return false;
        break;
    }
    if (!param_check(param, &value, param_is_word(param, text), err))
        return false;
    *out_value = value;
    return true;
}

/* The shortest decimal that reads back as the same number. */
static void print_real(double real, char *out, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, size, "%.*g", digits, real); /* may be cut off, as announced */
        if (strtod(out, NULL) == real)
            return;
    }
}

static void print_set(const struct param *param, uint64_t set, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; param->choices[i] != NULL && used < size; i++) {
        if ((set >> i & 1) == 0)
            continue;
        int length =
            snprintf(out + used, size - used, "%s%s", used > 0 ? "," : "", param->choices[i]);
        used += (size_t)length;
    }
}

void param_print(const struct param *param, const struct param_value *value, char *out, size_t size)
{
    if (size == 0)
        return;
    switch (param->type) {
    case PARAM_INT:
        if (param->special != NULL && value->integer == 0)
            (void)snprintf(out, size, "%s", param->special);
        else
            (void)snprintf(out, size, "%" PRId64, value->integer);
        break;
    case PARAM_REAL:
        if (param->special != NULL && value->real == 0.0)
            (void)snprintf(out, size, "%s", param->special);
        else
            print_real(value->real, out, size);
        break;
    case PARAM_BOOL:
        (void)snprintf(out, size, "%s", value->boolean ? "true" : "false");
        break;
    case PARAM_TEXT:
        (void)snprintf(out, size, "%s", value->text);
        break;
    case PARAM_CHOICE:
        (void)snprintf(out, size, "%s", param->choices[value->choice]);
        break;
    case PARAM_SET:
        print_set(param, value->set, out, size);
        break;
    }
}
