#pragma once

/* Checkpoints as bytes: named arrays of numbers, and what run they are of. The format is in the
 * head of checkpoint.c. */

#include "ptqd/base/arena.h"
#include "ptqd/base/digest.h"
#include "ptqd/recon/keeper.h"

struct checkpoint_array {
    const char *name;
    enum keeper_type type;
    int64_t count;
    const uint8_t *values; /* not aligned */
};

struct checkpoint {
    char identity[DIGEST_HEX_BYTES]; /* of the run, as given to checkpoint_encode */
    const struct checkpoint_array *arrays;
    int array_count;
};

bool checkpoint_encode(struct arena *arena, const char identity[static DIGEST_HEX_BYTES],
                       const struct keeper_field *fields, int count, uint8_t **out_bytes,
                       size_t *out_size, struct error *err);

/* E_SYNTAX for anything that checkpoint_encode did not write. The arrays point into `bytes`. */
bool checkpoint_decode(struct arena *arena, const uint8_t *bytes, size_t size,
                       struct checkpoint *out_checkpoint, struct error *err);

/* NULL when there is no such array. */
const struct checkpoint_array *checkpoint_find(const struct checkpoint *checkpoint,
                                               const char *name);

/* Fills every field, or none: E_CONFLICT names the first that is missing, or of another type or
 * size. */
bool checkpoint_load(const struct checkpoint *checkpoint, const struct keeper_field *fields,
                     int count, struct error *err);
