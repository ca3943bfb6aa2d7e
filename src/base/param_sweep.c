/* Sweeps: the values asked for, and their combinations as numbers in a mixed radix. */

#include "ptqd/base/param.h"

#include "ptqd/base/mem.h"

bool param_sweep_create(const struct param_table *table, struct arena *arena,
                        struct param_sweep *out_sweep, struct error *err)
{
    struct param_list *rows = ARENA_ARRAY(arena, struct param_list, table->count, err);
    struct param_value *defaults = ARENA_ARRAY(arena, struct param_value, table->count, err);
    if (rows == NULL || defaults == NULL)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].default_text == NULL)
            continue;
        if (!param_default(&table->rows[i], arena, &defaults[i], err))
            return error_context(err, "table '%s'", table->name);
        rows[i] = (struct param_list){.values = &defaults[i], .count = 1};
    }
    *out_sweep = (struct param_sweep){.table = table, .rows = rows};
    return true;
}

bool param_sweep_count(const struct param_sweep *sweep, size_t limit, size_t *out_count,
                       struct error *err)
{
    size_t count = 1;
    for (size_t i = 0; i < sweep->table->count; i++) {
        if (sweep->rows[i].count == 0)
            return FAIL(err, E_INVALID, "%s must be given", sweep->table->rows[i].name);
        if (!mem_mul(count, sweep->rows[i].count, &count) || count > limit)
            return FAIL(err, E_TOO_LARGE,
                        "the lists in '%s' make more than %zu combinations; \"%s\" is one too many",
                        sweep->table->name, limit, sweep->table->rows[i].name);
    }
    *out_count = count;
    return true;
}

void param_sweep_store(const struct param_sweep *sweep, size_t index, void *object)
{
    for (size_t i = sweep->table->count; i-- > 0;) {
        const struct param_list *row = &sweep->rows[i];
        param_store(&sweep->table->rows[i], &row->values[index % row->count], object);
        index /= row->count;
    }
}
