/* Checkpoints as bytes. All numbers are little-endian.
 *
 *   offset  bytes
 *   0       8      "ptqdckpt"
 *   8       4      version of the format, 1
 *   12      4      number of arrays
 *   16      8      size of the file
 *   24      64     identity of the run: 64 hexadecimal digits
 *   88             the arrays, one behind the other:
 *             4      type (enum keeper_type)
 *             4      length of the name, at least 1
 *             8      number of elements
 *                    the name, without NUL
 *                    the elements
 *   end−64  64     SHA-256 of everything before, in hexadecimal digits
 *
 * The digest finds what a disk or a half-finished copy did to the file. Sizes and names are checked
 * nevertheless, so that no file can make the reader leave its bytes.
 */

#include "ptqd/flow/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they are");

static const char magic[8] = {'p', 't', 'q', 'd', 'c', 'k', 'p', 't'};

enum { VERSION = 1, HEX_CHARS = DIGEST_HEX_BYTES - 1 };

struct head {
    char magic[8];
    uint32_t version, array_count;
    uint64_t size;
    char identity[HEX_CHARS];
};
_Static_assert(sizeof(struct head) == 88, "the layout is that of the file");

struct array_head {
    uint32_t type, name_length;
    uint64_t count;
};
_Static_assert(sizeof(struct array_head) == 16, "the layout is that of the file");

static size_t values_bytes(const struct keeper_field *field)
{
    return (size_t)field->count * keeper_type_bytes(field->type);
}

static uint8_t *put(uint8_t *place, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(place, bytes, size);
    return place + size;
}

static uint8_t *put_array(uint8_t *place, const struct keeper_field *field)
{
    struct array_head head = {
        .type = (uint32_t)field->type,
        .name_length = (uint32_t)strlen(field->name),
        .count = (uint64_t)field->count,
    };
    place = put(place, &head, sizeof(head));
    place = put(place, field->name, head.name_length);
    return put(place, field->values, values_bytes(field));
}

bool checkpoint_encode(struct arena *arena, const char identity[static DIGEST_HEX_BYTES],
                       const struct keeper_field *fields, int count, uint8_t **out_bytes,
                       size_t *out_size, struct error *err)
{
    struct head head = {.version = VERSION, .array_count = (uint32_t)count};
    size_t size = sizeof(head) + HEX_CHARS;
    for (int i = 0; i < count; i++) /* all of it is in memory: the sum fits */
        size += sizeof(struct array_head) + strlen(fields[i].name) + values_bytes(&fields[i]);
    uint8_t *bytes = ARENA_ARRAY(arena, uint8_t, size, err);
    if (!bytes)
        return false;

    memcpy(head.magic, magic, sizeof(magic));
    memcpy(head.identity, identity, HEX_CHARS);
    head.size = size;
    uint8_t *place = put(bytes, &head, sizeof(head));
    for (int i = 0; i < count; i++)
        place = put_array(place, &fields[i]);
    char hex[DIGEST_HEX_BYTES];
    if (!digest_bytes(bytes, (size_t)(place - bytes), hex, err))
        return false;
    place = put(place, hex, HEX_CHARS);
    assert(place == bytes + size);
    *out_bytes = bytes;
    *out_size = size;
    return true;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *place, *end; /* `end`: of the arrays */
    struct arena *arena;
    struct error *err;
};

static bool take(struct reader *reader, void *out, size_t size)
{
    if ((size_t)(reader->end - reader->place) < size)
        return FAIL(reader->err, E_SYNTAX, "the checkpoint ends inside an array");
    memcpy(out, reader->place, size);
    reader->place += size;
    return true;
}

static bool read_array(struct reader *reader, struct checkpoint_array *out)
{
    struct array_head head;
    if (!take(reader, &head, sizeof(head)))
        return false;
    size_t left = (size_t)(reader->end - reader->place);
    if (head.type >= KEEP_TYPE_COUNT)
        return FAIL(reader->err, E_SYNTAX, "the checkpoint has an array of type %" PRIu32,
                    head.type);
    if (head.name_length == 0 || head.name_length > left ||
        memchr(reader->place, '\0', head.name_length))
        return FAIL(reader->err, E_SYNTAX, "the checkpoint has an array without a name");
    size_t element = keeper_type_bytes((enum keeper_type)head.type);
    left -= head.name_length;
    if (head.count > left / element)
        return FAIL(reader->err, E_SYNTAX,
                    "the checkpoint has an array of %" PRIu64 " elements of %zu bytes in %zu bytes",
                    head.count, element, left);
    out->name =
        arena_strndup(reader->arena, (const char *)reader->place, head.name_length, reader->err);
    out->type = (enum keeper_type)head.type;
    out->count = (int64_t)head.count;
    out->values = reader->place + head.name_length;
    reader->place = out->values + (size_t)head.count * element;
    return out->name != NULL;
}

static bool read_head(const uint8_t *bytes, size_t size, struct head *out, struct error *err)
{
    if (size < sizeof(*out) + HEX_CHARS || memcmp(bytes, magic, sizeof(magic)) != 0)
        return FAIL(err, E_SYNTAX, "%zu bytes that are no checkpoint", size);
    memcpy(out, bytes, sizeof(*out));
    if (out->version != VERSION)
        return FAIL(err, E_SYNTAX, "a checkpoint of format %" PRIu32 "; this program reads %d",
                    out->version, VERSION);
    if (out->size != size)
        return FAIL(err, E_SYNTAX, "%zu bytes of a checkpoint of %" PRIu64, size, out->size);
    return true;
}

static bool check_digest(const uint8_t *bytes, size_t size, struct error *err)
{
    char hex[DIGEST_HEX_BYTES];
    if (!digest_bytes(bytes, size - HEX_CHARS, hex, err))
        return false;
    return memcmp(hex, bytes + size - HEX_CHARS, HEX_CHARS) == 0 ||
           FAIL(err, E_SYNTAX, "a checkpoint whose digest is another: it is damaged");
}

bool checkpoint_decode(struct arena *arena, const uint8_t *bytes, size_t size,
                       struct checkpoint *out_checkpoint, struct error *err)
{
    struct head head;
    if (!read_head(bytes, size, &head, err) || !check_digest(bytes, size, err))
        return false;
    struct reader reader = {
        .place = bytes + sizeof(head),
        .end = bytes + size - HEX_CHARS,
        .arena = arena,
        .err = err,
    };
    size_t most = (size_t)(reader.end - reader.place) / sizeof(struct array_head);
    if (head.array_count > most || head.array_count > INT_MAX)
        return FAIL(err, E_SYNTAX, "%" PRIu32 " arrays in a checkpoint of %zu bytes",
                    head.array_count, size);
    struct checkpoint checkpoint = {.array_count = (int)head.array_count};
    struct checkpoint_array *arrays =
        ARENA_ARRAY(arena, struct checkpoint_array, head.array_count, err);
    if (!arrays)
        return false;
    for (int i = 0; i < checkpoint.array_count; i++)
        if (!read_array(&reader, &arrays[i]))
            return false;
    if (reader.place != reader.end)
        return FAIL(err, E_SYNTAX, "%td bytes behind the arrays of a checkpoint",
                    reader.end - reader.place);
    memcpy(checkpoint.identity, head.identity, HEX_CHARS); /* the NUL is there */
    checkpoint.arrays = arrays;
    *out_checkpoint = checkpoint;
    return true;
}

const struct checkpoint_array *checkpoint_find(const struct checkpoint *checkpoint,
                                               const char *name)
{
    for (int i = 0; i < checkpoint->array_count; i++)
        if (strcmp(checkpoint->arrays[i].name, name) == 0)
            return &checkpoint->arrays[i];
    return NULL;
}

static bool fits(const struct checkpoint *checkpoint, const struct keeper_field *field,
                 struct error *err)
{
    const struct checkpoint_array *array = checkpoint_find(checkpoint, field->name);
    if (!array)
        return FAIL(err, E_CONFLICT, "the checkpoint has no array '%s'", field->name);
    if (array->type != field->type || array->count != field->count)
        return FAIL(err, E_CONFLICT,
                    "the checkpoint's array '%s' has %" PRId64 " elements of type %d; %" PRId64
                    " of type %d are expected",
                    field->name, array->count, (int)array->type, field->count, (int)field->type);
    return true;
}

bool checkpoint_load(const struct checkpoint *checkpoint, const struct keeper_field *fields,
                     int count, struct error *err)
{
    for (int i = 0; i < count; i++)
        if (!fits(checkpoint, &fields[i], err))
            return false;
    for (int i = 0; i < count; i++)
        if (fields[i].count > 0)
            memcpy(fields[i].values, checkpoint_find(checkpoint, fields[i].name)->values,
                   values_bytes(&fields[i]));
    return true;
}
