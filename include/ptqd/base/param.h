#pragma once

/* Parameter tables.
 *
 * A family of settings is a table of rows: name, type, default, range, unit and one sentence. The
 * table is what parses, checks, documents (`GET /v1/catalog`, `--help`) and draws the form. Values
 * live in a plain struct of the owner; a row knows the offset of its field.
 *
 * Names are dotted paths as they nest in JSON: "weights.bits". Fields are, by type:
 *   PARAM_INT int64_t, PARAM_REAL double, PARAM_BOOL bool, PARAM_TEXT const char *,
 *   PARAM_CHOICE int (index into the row's `choices`),
 *   PARAM_SET uint64_t (bit i set: the i-th of `choices` is in the set; JSON: a list of names).
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type { PARAM_INT, PARAM_REAL, PARAM_BOOL, PARAM_TEXT, PARAM_CHOICE, PARAM_SET };

struct param {
    const char *name; /* "weights.bits" */
    enum param_type type;
    const char *default_text;   /* as a user would write it; NULL: must be given */
    double min, max;            /* PARAM_INT, PARAM_REAL: inclusive; PARAM_TEXT: length in bytes */
    int64_t also;               /* PARAM_INT: one more value, above the range; 0: none */
    const char *special;        /* PARAM_INT, PARAM_REAL: a word for 0 ("same"), or NULL */
    const char *const *choices; /* PARAM_CHOICE, PARAM_SET: NULL-terminated names, in enum order */
    const char *unit;           /* "bits", "samples"; "" when it has none */
    const char *help;           /* one sentence */
    size_t offset;              /* of the field in the owner's struct */
    bool sweep;                 /* a list of values makes one variant per value */
};

struct param_table {
    const char *name; /* "pipeline" */
    const struct param *rows;
    size_t count;
};

/* One typed value, outside any struct. */
struct param_value {
    enum param_type type;
    union {
        int64_t integer;
        double real;
        bool boolean;
        const char *text; /* borrowed or in the caller's arena */
        int choice;
        uint64_t set;
    };
};

/* The row of a name; NULL when there is none. */
const struct param *param_find(const struct param_table *table, const char *name);

/* Checks a value against its row: type, range, choice. 0 that is not of the range is accepted as
 * the row's word (`is_word`). E_INVALID names value, rule and row. */
bool param_check(const struct param *param, const struct param_value *value, bool is_word,
                 struct error *err);
/* Is the text the row's word for 0? */
bool param_is_word(const struct param *param, const char *text);

/* Text to a checked value, as from a query string, an INI file or an option. */
bool param_parse(const struct param *param, const char *text, struct arena *arena,
                 struct param_value *out_value, struct error *err);

/* Value to text, as param_parse reads it; truncated to `size` bytes. */
void param_print(const struct param *param, const struct param_value *value, char *out,
                 size_t size);

void param_store(const struct param *param, const struct param_value *value, void *object);
struct param_value param_load(const struct param *param, const void *object);

/* The values asked for, row by row: one each, or several where a row is swept. */
struct param_sweep {
    const struct param_table *table; /* borrowed */
    struct param_list {
        struct param_value *values;
        size_t count; /* ≥ 1; 0 in a row that must be given and is not yet */
    } * rows;         /* [table->count] */
};

/* A sweep with the default of every row that has one. */
bool param_sweep_create(const struct param_table *table, struct arena *arena,
                        struct param_sweep *out_sweep, struct error *err);
/* Number of combinations, at most `limit`; E_TOO_LARGE above it, E_INVALID when a row without a
 * default was not given. */
bool param_sweep_count(const struct param_sweep *sweep, size_t limit, size_t *out_count,
                       struct error *err);
/* Stores combination `index` (the last row varies fastest) in the owner's struct. */
void param_sweep_store(const struct param_sweep *sweep, size_t index, void *object);

/* Below, equal to or above 0, as strcmp: an order of all values, first by type. */
int param_compare(const struct param_value *a, const struct param_value *b);
bool param_equal(const struct param_value *a, const struct param_value *b);

/* Stores the default of every row that has one. A default that breaks its own rule is E_INTERNAL.
 */
bool param_defaults(const struct param_table *table, struct arena *arena, void *object,
                    struct error *err);

/* The default of one row. E_INVALID when the row has none ("… must be given"). */
bool param_default(const struct param *param, struct arena *arena, struct param_value *out_value,
                   struct error *err);

/* Index of a name among the choices of a row; -1 when it is none of them. */
int param_choice_find(const struct param *param, const char *name);

/* Number of choices of a row, at most 63. */
int param_choice_count(const struct param *param);

/* E_INVALID that lists the choices of a row; always false. */
bool param_fail_choice(const struct param *param, const char *text, struct error *err);
