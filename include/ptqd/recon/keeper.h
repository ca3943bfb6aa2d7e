#pragma once

/* How a long computation is kept, so that after an interruption it goes on to the same bits.
 *
 * It names all that changes while it runs as fields; a keeper saves their values, and puts them
 * back. What follows from its inputs is not a field. */

#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum keeper_type { KEEP_I8, KEEP_I32, KEEP_I64, KEEP_U64, KEEP_F32, KEEP_F64, KEEP_TYPE_COUNT };

size_t keeper_type_bytes(enum keeper_type type);

struct keeper_field {
    const char *name; /* "tune.biases": another one for each field of a run */
    enum keeper_type type;
    int64_t count;
    void *values; /* [count]; NULL for none */
};

struct recon_keeper {
    /* Fills the fields with what was kept of this computation; *out_found false: nothing was, it
     * begins. E_CONFLICT when they are of another type or size. */
    bool (*load)(void *context, const struct keeper_field *fields, int count, bool *out_found,
                 struct error *err);
    /* To be called wherever the computation could go on from its fields; cheap when there is no
     * need to save. */
    void (*save)(void *context, const struct keeper_field *fields, int count);
    void *context;
};

/* The same with a keeper that may be NULL: nothing is kept. */
bool recon_keeper_load(const struct recon_keeper *keeper, const struct keeper_field *fields,
                       int count, bool *out_found, struct error *err);
void recon_keeper_save(const struct recon_keeper *keeper, const struct keeper_field *fields,
                       int count);
