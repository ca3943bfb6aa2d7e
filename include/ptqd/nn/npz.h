#pragma once

/* numpy's `.npz`: a zip archive with one `.npy` file per array, read from memory. */

#include "ptqd/base/arena.h"
#include "ptqd/base/error.h"
#include "ptqd/nn/npy.h"

#include <stdint.h>

struct npz_member {
    const char *name; /* as in the archive: "x.npy" */
    int method;       /* 0 stored, 8 deflate */
    bool encrypted;
    uint32_t crc32;
    uint64_t packed_bytes, bytes; /* as in the archive, and unpacked */
    uint64_t header_offset;       /* of the local header */
};

struct npz {
    const uint8_t *bytes; /* borrowed */
    size_t size;
    struct npz_member *members;
    size_t member_count;
    struct reading reading; /* of npz_extract; npz_open leaves it empty */
};

/* True when the bytes start as a zip archive does. */
bool npz_recognize(const uint8_t *bytes, size_t size);

/* Reads the list of members. E_SYNTAX for what is not a zip archive, or a truncated one. */
bool npz_open(struct arena *arena, const uint8_t *bytes, size_t size, struct npz *out_npz,
              struct error *err);

/* The member of this name; NULL when there is none. */
const struct npz_member *npz_find(const struct npz *npz, const char *name);

/* "a.npy, b.npy", as much as fits. */
void npz_list(const struct npz *npz, char *out, size_t size);

/* The content of a member: borrowed when it is stored, else unpacked into the arena. Above
 * `limit_bytes` E_TOO_LARGE, before anything is unpacked; a wrong size or CRC-32 is E_SYNTAX,
 * encryption and other methods E_UNSUPPORTED. */
bool npz_extract(struct arena *arena, const struct npz *npz, const struct npz_member *member,
                 size_t limit_bytes, const uint8_t **out_bytes, size_t *out_size,
                 struct error *err);
