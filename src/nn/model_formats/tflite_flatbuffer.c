/* Flatbuffers: tables whose fields are found through a table of offsets.
 *
 *   file    at 0: offset of the root table (4 bytes); at 4: file identifier (4 bytes)
 *   table   at 0: signed distance back to its vtable (4 bytes); then its fields, as the vtable says
 *   vtable  at 0: bytes of the vtable (2); at 2: bytes of the table (2); then 2 bytes per field:
 *           the field's offset in the table, 0 where the field is absent and has its default
 *   field   a scalar, or (table, vector, string) the distance forward to it (4 bytes, unsigned)
 *   vector  at 0: count (4 bytes); then the elements: scalars, or distances forward as in a field
 *   string  a vector of bytes, NUL-terminated
 *
 * All numbers are little-endian; offsets may be anything in a hostile file, so that objects may
 * overlap, and lists of lists may be longer than the file in total. Nothing here recurses, no
 * pointer is formed before its range is checked, and `budget` bounds the elements read to a
 * multiple of the file's size. Source: flatbuffers.dev, "FlatBuffer Internals".
 */

#include "tflite_flatbuffer.h"

#include "ptqd/base/text.h"

#include <string.h>

enum {
    OFFSET_BYTES = 4,
    VTABLE_HEADER_BYTES = 4,
    VTABLE_ENTRY_BYTES = 2,
    BUDGET_FACTOR = 16, /* a sound file has each element once, and the importer reads it thrice */
    BUDGET_LEAST = 4096,
};

/* Little-endian, unsigned; the range is checked by the caller. */
static uint64_t read_number(const struct flat *flat, size_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | flat->bytes[at + i];
    return value;
}

static int64_t read_signed(const struct flat *flat, size_t at, size_t bytes)
{
    int unused = 64 - 8 * (int)bytes;
    return (int64_t)(read_number(flat, at, bytes) << unused) >> unused;
}

static float read_float(const struct flat *flat, size_t at)
{
    uint32_t bits = (uint32_t)read_number(flat, at, sizeof(bits));
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool inside(const struct flat *flat, size_t at, size_t bytes)
{
    return at <= flat->size && bytes <= flat->size - at;
}

/* Notes the first failure only. */
#define MALFORMED(flat, ...)                                                                       \
    do {                                                                                           \
        if (!(flat)->failed)                                                                       \
            (flat)->failed = !FAIL(&(flat)->error, E_SYNTAX, __VA_ARGS__);                         \
    } while (0)

static void spend(struct flat *flat, size_t elements)
{
    if (elements <= flat->budget) {
        flat->budget -= elements;
        return;
    }
    flat->budget = 0;
    MALFORMED(flat,
              "the lists of the file overlap: they have more elements than %zu bytes can hold",
              flat->size);
}

/* Follows the distance that is stored at `at`; 0 on failure (where no object can be). */
static size_t follow(struct flat *flat, size_t at)
{
    uint64_t distance = read_number(flat, at, OFFSET_BYTES);
    if (distance >= flat->size - at || !inside(flat, at + (size_t)distance, OFFSET_BYTES)) {
        MALFORMED(flat, "byte %zu: an offset of %llu leads past the end of the file (%zu bytes)",
                  at, (unsigned long long)distance, flat->size);
        return 0;
    }
    return at + (size_t)distance;
}

/* The table at `at`, where at least OFFSET_BYTES are inside the file. */
static struct flat_table table_at(struct flat *flat, size_t at)
{
    const struct flat_table absent = {.at = 0};
    int64_t vtable = (int64_t)at - read_signed(flat, at, OFFSET_BYTES);
    if (vtable < 0 || !inside(flat, (size_t)vtable, VTABLE_HEADER_BYTES)) {
        MALFORMED(flat,
                  "byte %zu: a table's vtable is at byte %lld, outside of the file (%zu bytes)", at,
                  (long long)vtable, flat->size);
        return absent;
    }
    struct flat_table table = {
        .at = at,
        .vtable = (size_t)vtable,
        .vtable_bytes = (size_t)read_number(flat, (size_t)vtable, 2),
        .bytes = (size_t)read_number(flat, (size_t)vtable + 2, 2),
    };
    if (table.vtable_bytes < VTABLE_HEADER_BYTES ||
        !inside(flat, table.vtable, table.vtable_bytes) || !inside(flat, at, table.bytes)) {
        MALFORMED(flat,
                  "byte %zu: a table of %zu bytes with a vtable of %zu bytes runs past the end of "
                  "the file (%zu bytes)",
                  at, table.bytes, table.vtable_bytes, flat->size);
        return absent;
    }
    return table;
}

struct flat_table flat_open(struct flat *flat, const uint8_t *bytes, size_t size)
{
    *flat = (struct flat){.bytes = bytes, .size = size, .budget = BUDGET_LEAST};
    if (size < 2 * OFFSET_BYTES) {
        MALFORMED(flat, "truncated: %zu bytes", size);
        return (struct flat_table){.at = 0};
    }
    flat->budget += BUDGET_FACTOR * size;
    size_t root = follow(flat, 0);
    return flat->failed ? (struct flat_table){.at = 0} : table_at(flat, root);
}

bool flat_check(const struct flat *flat, struct error *err)
{
    if (!flat->failed)
        return true;
    if (err)
        *err = flat->error;
    return false;
}

/* Where a field's `bytes` bytes are; 0 when the table doesn't have it. */
static size_t find_field(struct flat *flat, const struct flat_table *table, int field, size_t bytes)
{
    size_t entry = VTABLE_HEADER_BYTES + (size_t)field * VTABLE_ENTRY_BYTES;
    if (flat->failed || entry + VTABLE_ENTRY_BYTES > table->vtable_bytes)
        return 0;
    size_t offset = (size_t)read_number(flat, table->vtable + entry, VTABLE_ENTRY_BYTES);
    if (offset == 0)
        return 0;
    if (offset > table->bytes || bytes > table->bytes - offset) {
        MALFORMED(flat, "byte %zu: field %d is at offset %zu of a table of %zu bytes", table->at,
                  field, offset, table->bytes);
        return 0;
    }
    return table->at + offset;
}

bool flat_has(struct flat *flat, const struct flat_table *table, int field)
{
    return find_field(flat, table, field, 1) != 0;
}

int64_t flat_int(struct flat *flat, const struct flat_table *table, int field, size_t bytes,
                 int64_t fallback)
{
    size_t at = find_field(flat, table, field, bytes);
    return at ? read_signed(flat, at, bytes) : fallback;
}

float flat_float(struct flat *flat, const struct flat_table *table, int field, float fallback)
{
    size_t at = find_field(flat, table, field, sizeof(float));
    return at ? read_float(flat, at) : fallback;
}

struct flat_table flat_table(struct flat *flat, const struct flat_table *table, int field)
{
    size_t at = find_field(flat, table, field, OFFSET_BYTES);
    size_t target = at ? follow(flat, at) : 0;
    return target ? table_at(flat, target) : (struct flat_table){.at = 0};
}

struct flat_list flat_list(struct flat *flat, const struct flat_table *table, int field,
                           size_t element_bytes)
{
    const struct flat_list absent = {.at = 0};
    size_t at = find_field(flat, table, field, OFFSET_BYTES);
    size_t target = at ? follow(flat, at) : 0;
    if (!target)
        return absent;
    size_t count = (size_t)read_number(flat, target, OFFSET_BYTES);
    size_t first = target + OFFSET_BYTES;
    if (count > (flat->size - first) / element_bytes) {
        MALFORMED(
            flat,
            "byte %zu: a list of %zu elements of %zu bytes runs past the end of the file (%zu "
            "bytes)",
            target, count, element_bytes, flat->size);
        return absent;
    }
    return (struct flat_list){.at = first, .count = count, .element_bytes = element_bytes};
}

const char *flat_text(struct flat *flat, const struct flat_table *table, int field,
                      struct arena *arena, struct error *err)
{
    struct flat_list list = flat_list(flat, table, field, 1);
    const char *text = (const char *)flat->bytes + list.at;
    spend(flat, list.count);
    if (!flat->failed && !text_is_utf8(text, list.count))
        MALFORMED(flat, "byte %zu: a text of %zu bytes is not UTF-8", list.at, list.count);
    return flat->failed ? "" : arena_strndup(arena, text, list.count, err);
}

/* Where an element is; 0 when there is no such element. */
static size_t find_element(struct flat *flat, const struct flat_list *list, size_t index)
{
    spend(flat, 1);
    if (flat->failed)
        return 0;
    if (index >= list->count) {
        MALFORMED(flat, "element %zu is asked for of a list of %zu", index, list->count);
        return 0;
    }
    return list->at + index * list->element_bytes;
}

struct flat_table flat_list_table(struct flat *flat, const struct flat_list *list, size_t index)
{
    size_t at = find_element(flat, list, index);
    size_t target = at ? follow(flat, at) : 0;
    return target ? table_at(flat, target) : (struct flat_table){.at = 0};
}

int64_t flat_list_int(struct flat *flat, const struct flat_list *list, size_t index)
{
    size_t at = find_element(flat, list, index);
    return at ? read_signed(flat, at, list->element_bytes) : 0;
}

float flat_list_float(struct flat *flat, const struct flat_list *list, size_t index)
{
    size_t at = find_element(flat, list, index);
    return at ? read_float(flat, at) : 0;
}
