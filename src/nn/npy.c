/* numpy's `.npy` format, versions 1.0, 2.0 and 3.0.
 *
 *   offset  bytes  content
 *   0       6      "\x93NUMPY"
 *   6       2      version: major, minor (1.0, 2.0 or 3.0)
 *   8       2 | 4  length of the header, little-endian: 2 bytes in version 1.0, else 4
 *   …              header: a Python dict literal with exactly the keys 'descr' (element type, a
 *                  string), 'fortran_order' (True, False) and 'shape' (a tuple of integers), in any
 *                  order, padded with spaces and closed by a newline
 *   …              the elements, first index slowest, or fastest in Fortran order
 *
 * Version 3.0 differs from 2.0 in allowing UTF-8 in the names of structured types, which are not
 * supported here. An element type is a byte order ('<', '>', '|' where there is none), a kind and a
 * size in bytes. Source: numpy/lib/format.py.
 */

#include "ptqd/nn/npy.h"

#include "ptqd/base/mem.h"
#include "ptqd/nn/half.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as they are stored");

static const char NPY_MAGIC[] = "\x93NUMPY";
enum {
    MAGIC_BYTES = sizeof(NPY_MAGIC) - 1,
    PREFIX_BYTES = MAGIC_BYTES + 2, /* magic and version */
    DATA_ALIGNMENT = 64,            /* what numpy aligns the elements to */
    DESCR_BYTES = 16,
};

static double decode_f2(const uint8_t *element)
{
    uint16_t bits;
    memcpy(&bits, element, sizeof(bits));
    return (double)half_decode(bits);
}

#define DECODE(name, type)                                                                         \
    static inline double decode_##name(const uint8_t *element)                                     \
    {                                                                                              \
        type value;                                                                                \
        memcpy(&value, element, sizeof(value));                                                    \
        return (double)value;                                                                      \
    }

DECODE(f4, float)
DECODE(f8, double)
DECODE(i1, int8_t)
DECODE(u1, uint8_t)
DECODE(i2, int16_t)
DECODE(i4, int32_t)
DECODE(i8, int64_t)

/* A loop of its own for each type: data sets are read again and again. */
#define READ(name, size)                                                                           \
    static void read_##name(const uint8_t *elements, size_t count, double scale,                   \
                            double zero_point, float *out)                                         \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            out[i] = (float)((decode_##name(elements + i * (size)) - zero_point) * scale);         \
    }

READ(f2, 2)
READ(f4, 4)
READ(f8, 8)
READ(i1, 1)
READ(u1, 1)
READ(i2, 2)
READ(i4, 4)
READ(i8, 8)

static const struct array_type ARRAY_TYPES[] = {
    {"<f2", 2, false, decode_f2, read_f2}, {"<f4", 4, false, decode_f4, read_f4},
    {"<f8", 8, false, decode_f8, read_f8}, {"|i1", 1, true, decode_i1, read_i1},
    {"|u1", 1, true, decode_u1, read_u1},  {"<i2", 2, true, decode_i2, read_i2},
    {"<i4", 4, true, decode_i4, read_i4},  {"<i8", 8, true, decode_i8, read_i8},
};
enum { ARRAY_TYPE_COUNT = sizeof(ARRAY_TYPES) / sizeof(ARRAY_TYPES[0]) };

/* What the header says. */
struct npy_header {
    char descr[DESCR_BYTES];
    bool fortran_order;
    int rank;
    int64_t dim[ARRAY_RANK_MAX];
};

/* The header's text, read from left to right. */
struct scanner {
    const uint8_t *start, *at, *end;
};

static bool fail_at(const struct scanner *scanner, struct error *err, const char *wanted)
{
    int position = (int)(scanner->at - scanner->start);
    if (scanner->at == scanner->end)
        return FAIL(err, E_SYNTAX, ".npy header: ends at character %d, where %s should be",
                    position, wanted);
    return FAIL(err, E_SYNTAX, ".npy header: character %d is '%c', where %s should be", position,
                isprint(*scanner->at) ? *scanner->at : '?', wanted);
}

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\n'))
        scanner->at++;
}

/* Takes the character when it is the next one after spaces. */
static bool accept(struct scanner *scanner, char character)
{
    skip_space(scanner);
    if (scanner->at == scanner->end || *scanner->at != (uint8_t)character)
        return false;
    scanner->at++;
    return true;
}

static bool expect(struct scanner *scanner, char character, struct error *err)
{
    const char wanted[] = {'\'', character, '\'', '\0'};
    return accept(scanner, character) || fail_at(scanner, err, wanted);
}

/* A string in either kind of quotes; no escapes occur in what numpy writes here. */
static bool scan_string(struct scanner *scanner, char *out, size_t size, struct error *err)
{
    char quote = '\'';
    if (!accept(scanner, quote)) {
        quote = '"';
        if (!accept(scanner, quote))
            return fail_at(scanner, err, "a string");
    }
    size_t length = 0;
    while (scanner->at < scanner->end && *scanner->at != (uint8_t)quote) {
        if (length + 1 == size || !isprint(*scanner->at) || *scanner->at == '\\')
            return fail_at(scanner, err, "a closing quote");
        out[length++] = (char)*scanner->at++;
    }
    out[length] = '\0';
    return expect(scanner, quote, err);
}

/* Takes the word when the text goes on with it. */
static bool accept_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    skip_space(scanner);
    if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
        return false;
    scanner->at += length;
    return true;
}

static bool scan_extent(struct scanner *scanner, int64_t *out, struct error *err)
{
    skip_space(scanner);
    if (scanner->at == scanner->end || !isdigit(*scanner->at))
        return fail_at(scanner, err, "an extent");
    int64_t value = 0;
    for (; scanner->at < scanner->end && isdigit(*scanner->at); scanner->at++) {
        int digit = *scanner->at - '0';
        if (value > (INT64_MAX - digit) / 10)
            return FAIL(err, E_SYNTAX, ".npy header: an extent of the shape is above 2^63 − 1");
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool scan_descr(struct scanner *scanner, struct npy_header *header, struct error *err)
{
    if (accept(scanner, '['))
        return FAIL(err, E_UNSUPPORTED,
                    ".npy: the elements are structured; only plain numbers are supported");
    return scan_string(scanner, header->descr, sizeof(header->descr), err);
}

static bool scan_fortran_order(struct scanner *scanner, struct npy_header *header,
                               struct error *err)
{
    header->fortran_order = accept_word(scanner, "True");
    return header->fortran_order || accept_word(scanner, "False") ||
           fail_at(scanner, err, "True or False");
}

/* "()", "(3,)" or "(3, 4)", with or without a last comma. */
static bool scan_shape(struct scanner *scanner, struct npy_header *header, struct error *err)
{
    if (!expect(scanner, '(', err))
        return false;
    header->rank = 0;
    while (!accept(scanner, ')')) {
        if (header->rank == ARRAY_RANK_MAX)
            return FAIL(err, E_UNSUPPORTED, ".npy: more than %d axes; at most %d are supported",
                        ARRAY_RANK_MAX, ARRAY_RANK_MAX);
        if (!scan_extent(scanner, &header->dim[header->rank], err))
            return false;
        header->rank++;
        if (!accept(scanner, ',')) {
            if (header->rank == 1) /* "(3)" is an integer, not a tuple */
                return fail_at(scanner, err, "','");
            return expect(scanner, ')', err);
        }
    }
    return true;
}

static const struct header_key {
    const char *name;
    bool (*scan)(struct scanner *scanner, struct npy_header *header, struct error *err);
} HEADER_KEYS[] = {
    {"descr", scan_descr},
    {"fortran_order", scan_fortran_order},
    {"shape", scan_shape},
};
enum { HEADER_KEY_COUNT = sizeof(HEADER_KEYS) / sizeof(HEADER_KEYS[0]), KEY_BYTES = 32 };

/* One "'key': value" of the dict; `seen` has a flag per row of HEADER_KEYS. */
static bool scan_item(struct scanner *scanner, struct npy_header *header, bool *seen,
                      struct error *err)
{
    char name[KEY_BYTES];
    if (!scan_string(scanner, name, sizeof(name), err) || !expect(scanner, ':', err))
        return false;
    for (int i = 0; i < HEADER_KEY_COUNT; i++) {
        if (strcmp(name, HEADER_KEYS[i].name) != 0)
            continue;
        if (seen[i])
            return FAIL(err, E_SYNTAX, ".npy header: '%s' is there twice", name);
        seen[i] = true;
        return HEADER_KEYS[i].scan(scanner, header, err);
    }
    return FAIL(err, E_SYNTAX,
                ".npy header: '%s' is not one of 'descr', 'fortran_order' and 'shape'", name);
}

static bool scan_header(const uint8_t *text, size_t length, struct npy_header *header,
                        struct error *err)
{
    struct scanner scanner = {.start = text, .at = text, .end = text + length};
    bool seen[HEADER_KEY_COUNT] = {false};
    if (!expect(&scanner, '{', err))
        return false;
    while (!accept(&scanner, '}')) {
        if (!scan_item(&scanner, header, seen, err))
            return false;
        if (!accept(&scanner, ',')) {
            if (!expect(&scanner, '}', err))
                return false;
            break;
        }
    }
    skip_space(&scanner);
    if (scanner.at != scanner.end)
        return fail_at(&scanner, err, "the end");
    for (int i = 0; i < HEADER_KEY_COUNT; i++) {
        if (!seen[i])
            return FAIL(err, E_SYNTAX, ".npy header: '%s' is missing", HEADER_KEYS[i].name);
    }
    return true;
}

/* The row of an element type. numpy writes '|' for single bytes, but reads any order there. */
bool array_type_find(const char *descr, const struct array_type **out_type, struct error *err)
{
    for (int i = 0; i < ARRAY_TYPE_COUNT; i++) {
        const struct array_type *type = &ARRAY_TYPES[i];
        bool same_order = descr[0] == type->descr[0] ||
                          (type->bytes == 1 && descr[0] != '\0' && strchr("<>=", descr[0]));
        if (same_order && strcmp(descr + 1, type->descr + 1) == 0) {
            *out_type = type;
            return true;
        }
    }
    if (descr[0] == '>')
        return FAIL(err, E_UNSUPPORTED,
                    ".npy: elements are '%s', which is big-endian; convert to little-endian "
                    "(x.astype(x.dtype.newbyteorder('<')))",
                    descr);
    return FAIL(err, E_UNSUPPORTED,
                ".npy: elements are '%s'; little-endian f2, f4, f8, i1, u1, i2, i4 and i8 are "
                "supported",
                descr);
}

bool npy_recognize(const uint8_t *bytes, size_t size)
{
    return size >= MAGIC_BYTES && memcmp(bytes, NPY_MAGIC, MAGIC_BYTES) == 0;
}

/* Finds the header's text by the prefix: magic, version, length. */
static bool find_header(const uint8_t *bytes, size_t size, size_t *out_start, size_t *out_length,
                        struct error *err)
{
    if (!npy_recognize(bytes, size))
        return FAIL(err, E_SYNTAX, "not an .npy file: it doesn't start with \"\\x93NUMPY\"");
    if (size < PREFIX_BYTES)
        return FAIL(err, E_SYNTAX, ".npy: truncated after %zu bytes, in the version", size);
    int major = bytes[MAGIC_BYTES], minor = bytes[MAGIC_BYTES + 1];
    if (major < 1 || major > 3 || minor != 0)
        return FAIL(err, E_UNSUPPORTED, ".npy: version %d.%d; 1.0, 2.0 and 3.0 are supported",
                    major, minor);
    size_t length_bytes = major == 1 ? 2 : 4;
    size_t start = PREFIX_BYTES + length_bytes;
    if (size < start)
        return FAIL(err, E_SYNTAX, ".npy: truncated after %zu bytes, in the header's length", size);
    uint32_t length = 0;
    memcpy(&length, bytes + PREFIX_BYTES, length_bytes);
    if (length > size - start)
        return FAIL(err, E_SYNTAX, ".npy: the header has %" PRIu32 " bytes, but %zu are left",
                    length, size - start);
    *out_start = start;
    *out_length = length;
    return true;
}

/* Elements of the shape, and their bytes, which must be exactly what is left of the file. */
static bool count_elements(struct array *array, size_t left, struct error *err)
{
    size_t count = 1, bytes;
    bool counted = true;
    for (int i = 0; i < array->rank; i++)
        counted = counted && mem_mul(count, (size_t)array->dim[i], &count);
    if (!counted || !mem_mul(count, array->type->bytes, &bytes))
        return FAIL(err, E_SYNTAX, ".npy: the shape has more elements than can be counted");
    if (bytes != left)
        return FAIL(err, E_SYNTAX,
                    ".npy: %s: the shape has %zu elements of type '%s', which is %zu bytes, but "
                    "%zu bytes follow the header",
                    left < bytes ? "truncated" : "bytes are left over", count, array->type->descr,
                    bytes, left);
    array->count = count;
    return true;
}

/* Replaces data in Fortran order by a copy in C order: walks the copy from front to back, with the
 * index of the element and where it is in the source. */
static bool copy_to_c_order(struct arena *arena, struct array *array, struct error *err)
{
    size_t bytes = array->type->bytes;
    uint8_t *copy = arena_array(arena, array->count, bytes, err);
    if (!copy)
        return false;
    int64_t index[ARRAY_RANK_MAX] = {0};
    size_t stride[ARRAY_RANK_MAX] = {0};
    for (int i = 0; i < array->rank; i++)
        stride[i] = i == 0 ? 1 : stride[i - 1] * (size_t)array->dim[i - 1];
    size_t source = 0;
    for (size_t target = 0; target < array->count; target++) {
        memcpy(copy + target * bytes, array->data + source * bytes, bytes);
        for (int i = array->rank - 1; i >= 0; i--) {
            source += stride[i];
            if (++index[i] < array->dim[i])
                break;
            source -= stride[i] * (size_t)array->dim[i];
            index[i] = 0;
        }
    }
    array->data = copy;
    return true;
}

bool npy_decode(struct arena *arena, const uint8_t *bytes, size_t size, struct array *out_array,
                struct error *err)
{
    size_t start = 0, length = 0;
    struct npy_header header = {.rank = 0};
    struct array array = {.rank = 0};
    if (!find_header(bytes, size, &start, &length, err) ||
        !scan_header(bytes + start, length, &header, err) ||
        !array_type_find(header.descr, &array.type, err))
        return false;
    array.rank = header.rank;
    memcpy(array.dim, header.dim, sizeof(array.dim));
    array.data = bytes + start + length;
    if (!count_elements(&array, size - start - length, err))
        return false;
    if (header.fortran_order && array.rank > 1 && !copy_to_c_order(arena, &array, err))
        return false;
    *out_array = array;
    return true;
}

/* "(3, 4)", "(3,)" or "()". */
static void print_tuple(char *out, size_t size, int rank, const int64_t *dim)
{
    int length = snprintf(out, size, "(");
    for (int i = 0; i < rank; i++)
        length +=
            snprintf(out + length, size - (size_t)length, "%s%" PRId64, i > 0 ? ", " : "", dim[i]);
    (void)snprintf(out + length, size - (size_t)length, rank == 1 ? ",)" : ")"); /* it fits */
}

bool npy_encode(struct arena *arena, const char *descr, int rank, const int64_t *dim,
                const void *values, uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    enum { EXTENT_CHARACTERS = 22, TUPLE_BYTES = ARRAY_RANK_MAX * EXTENT_CHARACTERS + 4 };
    const struct array_type *type;
    if (rank < 0 || rank > ARRAY_RANK_MAX)
        return FAIL(err, E_INVALID, ".npy: %d axes; at most %d are supported", rank,
                    ARRAY_RANK_MAX);
    if (!array_type_find(descr, &type, err))
        return false;
    size_t data_bytes = type->bytes;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || !mem_mul(data_bytes, (size_t)dim[i], &data_bytes))
            return FAIL(err, E_INVALID, ".npy: extent %d is %" PRId64 ": not a shape", i, dim[i]);
    }

    char tuple[TUPLE_BYTES], header[TUPLE_BYTES + 64];
    print_tuple(tuple, sizeof(tuple), rank, dim);
    int length =
        snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                 type->descr, tuple);
    size_t start = PREFIX_BYTES + sizeof(uint16_t);
    size_t data_start =
        (start + (size_t)length + 1 + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    size_t size;
    if (!mem_add(data_start, data_bytes, &size))
        return FAIL(err, E_INVALID, ".npy: the shape has more bytes than can be counted");
    uint8_t *bytes = arena_alloc(arena, size, err);
    if (!bytes)
        return false;

    uint16_t header_bytes = (uint16_t)(data_start - start);
    memcpy(bytes, NPY_MAGIC, MAGIC_BYTES);
    bytes[MAGIC_BYTES] = 1;
    memcpy(bytes + PREFIX_BYTES, &header_bytes, sizeof(header_bytes));
    memcpy(bytes + start, header, (size_t)length);
    memset(bytes + start + length, ' ', data_start - start - (size_t)length - 1);
    bytes[data_start - 1] = '\n';
    if (data_bytes > 0)
        memcpy(bytes + data_start, values, data_bytes);
    *out_bytes = bytes;
    *out_size = size;
    return true;
}

double array_value(const struct array *array, size_t index)
{
    return array->type->value(array->data + index * array->type->bytes);
}

void array_read(const struct array *array, size_t first, size_t count, double scale,
                double zero_point, float *out)
{
    array->type->read(array->data + first * array->type->bytes, count, scale, zero_point, out);
}
