/* Checkpoints of runs. Laws: what is refused has a message and is called damaged or unreadable,
 * never a bug of this program; what is accepted encodes to the same bytes again. Inputs are tried
 * as they are, and with the size and the digest that they should have: no fuzzer finds a SHA-256.
 */

#include "ptqd/flow/checkpoint.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SIZE_AT = 16, HEAD_BYTES = 88, HEX_CHARS = DIGEST_HEX_BYTES - 1 };

static const size_t arena_limit_bytes = (size_t)256 << 20;

/* Arrays of a decoded checkpoint as fields, with their values in aligned memory. */
static struct keeper_field *copy_fields(struct arena *arena, const struct checkpoint *checkpoint)
{
    struct keeper_field *fields =
        ARENA_ARRAY(arena, struct keeper_field, checkpoint->array_count, NULL);
    for (int i = 0; fields && i < checkpoint->array_count; i++) {
        const struct checkpoint_array *array = &checkpoint->arrays[i];
        size_t bytes = (size_t)array->count * keeper_type_bytes(array->type);
        void *values = arena_memdup(arena, array->values, bytes, NULL);
        if (!values)
            return NULL;
        fields[i] = (struct keeper_field){array->name, array->type, array->count, values};
    }
    return fields;
}

static void check(struct arena *arena, const uint8_t *bytes, size_t size)
{
    struct checkpoint checkpoint;
    struct error err = {.message = ""};
    uint8_t *again;
    size_t again_size;
    if (!checkpoint_decode(arena, bytes, size, &checkpoint, &err)) {
        assert(err.message[0] != '\0' && (err.code == E_SYNTAX || err.code == E_MEMORY));
        return;
    }
    struct keeper_field *fields = copy_fields(arena, &checkpoint);
    if (!fields || !checkpoint_encode(arena, checkpoint.identity, fields, checkpoint.array_count,
                                      &again, &again_size, &err))
        return;
    assert(again_size == size && memcmp(again, bytes, size) == 0);
}

/* The bytes as a file whose size and digest are right. */
static uint8_t *seal(struct arena *arena, const uint8_t *bytes, size_t size)
{
    char hex[DIGEST_HEX_BYTES];
    uint8_t *file = ARENA_ARRAY(arena, uint8_t, size + HEX_CHARS, NULL);
    uint64_t whole = size + HEX_CHARS;
    if (!file)
        return NULL;
    memcpy(file, bytes, size);
    memcpy(file + SIZE_AT, &whole, sizeof(whole));
    if (!digest_bytes(file, size, hex, NULL))
        return NULL;
    memcpy(file + size, hex, HEX_CHARS);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct arena *arena = arena_create(arena_limit_bytes);
    if (!arena)
        return 0;
    check(arena, bytes, size);
    const uint8_t *file = size >= HEAD_BYTES ? seal(arena, bytes, size) : NULL;
    if (file)
        check(arena, file, size + HEX_CHARS);
    arena_destroy(arena);
    return 0;
}
