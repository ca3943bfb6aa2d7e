/* Parameter values as they come from query strings and configuration files. Law: what is accepted
 * prints as text that reads back as the same value. */

#include "ptqd/base/param.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const names[] = {"none", "round", "weights", NULL};

static const struct param rows[] = {
    {.name = "bits", .type = PARAM_INT, .min = 2, .max = 8, .unit = "bits", .special = "same"},
    {.name = "count",
     .type = PARAM_INT,
     .min = -9007199254740991.0,
     .max = 9007199254740991.0,
     .unit = ""},
    {.name = "scale", .type = PARAM_REAL, .min = -1e300, .max = 1e300, .unit = ""},
    {.name = "rate", .type = PARAM_REAL, .min = 1e-8, .max = 1, .unit = "", .special = "auto"},
    {.name = "flag", .type = PARAM_BOOL},
    {.name = "label", .type = PARAM_TEXT, .min = 0, .max = 100},
    {.name = "method", .type = PARAM_CHOICE, .choices = names},
    {.name = "methods", .type = PARAM_SET, .choices = names},
};

static void try_row(const struct param *row, const char *text, struct arena *arena)
{
    struct error err = {.message = ""};
    struct param_value value;
    struct param_value again;
    char printed[128];
    if (!param_parse(row, text, arena, &value, &err)) {
        assert(err.code == E_INVALID && strstr(err.message, row->name) != NULL);
        return;
    }
    param_print(row, &value, printed, sizeof(printed));
    bool ok = param_parse(row, printed, arena, &again, &err);
    assert(ok && param_equal(&value, &again));
    (void)ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct arena *arena = arena_create((size_t)16 << 20);
    char *text = arena == NULL ? NULL : arena_strndup(arena, (const char *)bytes, size, NULL);
    for (size_t i = 0; text != NULL && i < sizeof(rows) / sizeof(rows[0]); i++)
        try_row(&rows[i], text, arena);
    arena_destroy(arena);
    return 0;
}
