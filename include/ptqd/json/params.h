#pragma once

/* Parameter tables as JSON: reading a request, printing it with every default, the catalogue.
 *
 * A dotted row name is a path of nested objects: "weights.bits" is {"weights": {"bits": 4}}. A list
 * on a row that may be swept gives one variant per element.
 */

#include "ptqd/base/param.h"
#include "ptqd/json/json.h"

/* Reads `object` (NULL: nothing given) by the rows of `table`; rows that are not there get their
 * defaults. `others` lists (NULL-terminated; or NULL) top-level fields that the caller reads.
 * E_INVALID with pointer, value and rule: wrong type, out of range, unknown choice, unknown field
 * (with the nearest known one), an empty list, a value twice in a list, a list on a row that is not
 * swept, a row without default that is missing. */
bool json_params_parse(struct arena *arena, const struct json *object,
                       const struct param_table *table, const char *const *others,
                       struct param_sweep *out_sweep, struct error *err);

/* As json_params_parse for values that may not be swept, stored in the owner's struct. */
bool json_params_read(struct arena *arena, const struct json *object,
                      const struct param_table *table, const char *const *others, void *out_object,
                      struct error *err);

/* As json_params_read, but what is not there stays as it is in the owner's struct: no default, and
 * no row must be given. Bit i of `out_given` says that row i (of 64 at most) is there. */
bool json_params_read_given(struct arena *arena, const struct json *object,
                            const struct param_table *table, void *out_object, uint64_t *out_given,
                            struct error *err);

/* Adds every row to `parent`, nested as it is read, swept rows as lists. */
void json_params_print(struct json *parent, const struct param_sweep *sweep);
/* Adds every row to `parent` with the value it has in the owner's struct. */
void json_params_print_object(struct json *parent, const struct param_table *table,
                              const void *object);
/* As json_params_print_object, but only the rows whose bit is set. */
void json_params_print_given(struct json *parent, const struct param_table *table,
                             const void *object, uint64_t given);
/* Adds one value under `key` as its row writes it. */
void json_add_param(struct json *parent, const char *key, const struct param *param,
                    const struct param_value *value);

/* Adds the rows of a table to an array: name, type, default, minimum, maximum (also, special) or
 * choices, unit, help, sweep. */
void json_params_catalog(struct json *array, const struct param_table *table);
