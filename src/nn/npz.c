/* numpy's `.npz`: the part of the zip format that numpy writes.
 *
 * Read from the end: the end record names the central directory, which has one record per member;
 * a member's content follows its local header. All numbers are little-endian.
 *
 *   end record (22 bytes, then a comment of up to 65535)
 *     0  "PK\5\6"         10  members, 2 bytes    12  directory's bytes, 4    16  its offset, 4
 *     20 comment's length, 2
 *   ZIP64 locator (20 bytes, right before the end record when one of its fields is all ones)
 *     0  "PK\6\7"         8   offset of the ZIP64 end record, 8
 *   ZIP64 end record
 *     0  "PK\6\6"         32  members, 8          40  directory's bytes, 8    48  its offset, 8
 *   central directory record (46 bytes, then name, extra fields, comment)
 *     0  "PK\1\2"         8   flags (bit 0: encrypted)   10  method (0 stored, 8 deflate)
 *     16 CRC-32           20  packed bytes        24  bytes    28  length of name, extra (30),
 *     comment (32)        42  offset of the local header
 *     ZIP64 extra field (id 1): 8 bytes each for bytes, packed bytes and offset, in this order,
 *     of those that are all ones in the record
 *   local header (30 bytes, then name and extra fields, then the content)
 *     0  "PK\3\4"         26  length of name      28  length of extra
 *
 * numpy always writes ZIP64 extra fields into local headers; sizes are therefore taken from the
 * central directory alone. Source: PKWARE, APPNOTE.TXT 6.3.
 */

#define ZLIB_CONST /* inflate reads through pointers to const */

#include "ptqd/nn/npz.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    RECORD_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_BYTES_MAX = UINT16_MAX,
    EXTRA_ZIP64 = 1,
    METHOD_STORED = 0,
    METHOD_DEFLATE = 8,
    FLAG_ENCRYPTED = 1,
    /* A deflate stream expands at most 1032 times (zlib's own bound, zlib.net/zlib_tech.html). */
    DEFLATE_EXPANSION = 1032,
};

static const char END_MAGIC[] = "PK\5\6", LOCATOR_MAGIC[] = "PK\6\7", END64_MAGIC[] = "PK\6\6",
                  RECORD_MAGIC[] = "PK\1\2", LOCAL_MAGIC[] = "PK\3\4";
enum { MAGIC_BYTES = 4 };

/* Where the list of members is. */
struct directory {
    uint64_t members, bytes, offset;
};

static uint64_t read_number(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)read_number(at, 2);
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)read_number(at, 4);
}

static bool has_magic(const uint8_t *at, const char *magic)
{
    return memcmp(at, magic, MAGIC_BYTES) == 0;
}

/* True when `length` bytes at `offset` are inside `size` bytes. */
static bool inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

bool npz_recognize(const uint8_t *bytes, size_t size)
{
    return size >= MAGIC_BYTES && (has_magic(bytes, LOCAL_MAGIC) || has_magic(bytes, END_MAGIC));
}

/* The end record: the last place where it can be, whose comment reaches just to the file's end. */
static const uint8_t *find_end(const uint8_t *bytes, size_t size)
{
    for (size_t comment = 0; comment <= COMMENT_BYTES_MAX && END_BYTES + comment <= size;
         comment++) {
        const uint8_t *at = bytes + size - END_BYTES - comment;
        if (has_magic(at, END_MAGIC) && read_u16(at + 20) == comment)
            return at;
    }
    return NULL;
}

static bool read_end64(const struct npz *npz, const uint8_t *end, struct directory *directory,
                       struct error *err)
{
    size_t before = (size_t)(end - npz->bytes);
    const uint8_t *locator = before >= LOCATOR_BYTES ? end - LOCATOR_BYTES : NULL;
    if (!locator || !has_magic(locator, LOCATOR_MAGIC))
        return FAIL(err, E_SYNTAX, ".npz: the ZIP64 locator before the end record is missing");
    uint64_t offset = read_number(locator + 8, 8);
    if (!inside(offset, END64_BYTES, npz->size) || !has_magic(npz->bytes + offset, END64_MAGIC))
        return FAIL(err, E_SYNTAX, ".npz: there is no ZIP64 end record at byte %" PRIu64, offset);
    const uint8_t *end64 = npz->bytes + offset;
    directory->members = read_number(end64 + 32, 8);
    directory->bytes = read_number(end64 + 40, 8);
    directory->offset = read_number(end64 + 48, 8);
    return true;
}

static bool find_directory(const struct npz *npz, struct directory *out, struct error *err)
{
    const uint8_t *end = find_end(npz->bytes, npz->size);
    if (!end)
        return FAIL(err, E_SYNTAX,
                    ".npz: no end record among the %zu bytes: truncated, or not a zip archive",
                    npz->size);
    struct directory directory = {.members = read_u16(end + 10),
                                  .bytes = read_u32(end + 12),
                                  .offset = read_u32(end + 16)};
    if ((directory.members == UINT16_MAX || directory.bytes == UINT32_MAX ||
         directory.offset == UINT32_MAX) &&
        !read_end64(npz, end, &directory, err))
        return false;
    if (!inside(directory.offset, directory.bytes, npz->size))
        return FAIL(err, E_SYNTAX,
                    ".npz: the directory (%" PRIu64 " bytes at %" PRIu64
                    ") is outside of the file (%zu bytes)",
                    directory.bytes, directory.offset, npz->size);
    if (directory.members > directory.bytes / RECORD_BYTES)
        return FAIL(err, E_SYNTAX,
                    ".npz: %" PRIu64 " members don't fit a directory of %" PRIu64 " bytes",
                    directory.members, directory.bytes);
    *out = directory;
    return true;
}

/* Takes the values that are all ones in the record from the ZIP64 extra field. */
static bool read_extra64(const uint8_t *extra, size_t length, struct npz_member *member,
                         struct error *err)
{
    uint64_t *const fields[] = {&member->bytes, &member->packed_bytes, &member->header_offset};
    const uint8_t *at = NULL, *end = extra;
    for (size_t offset = 0; offset + 4 <= length;) {
        size_t field_bytes = read_u16(extra + offset + 2);
        if (!inside(offset + 4, field_bytes, length))
            break;
        if (read_u16(extra + offset) == EXTRA_ZIP64) {
            at = extra + offset + 4;
            end = at + field_bytes;
            break;
        }
        offset += 4 + field_bytes;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (*fields[i] != UINT32_MAX)
            continue;
        if (!at || end - at < 8)
            return FAIL(err, E_SYNTAX, ".npz: member '%s': its ZIP64 field is missing or too short",
                        member->name);
        *fields[i] = read_number(at, 8);
        at += 8;
    }
    return true;
}

/* One record of the directory; `left` bytes follow `at`. */
static bool read_record(struct arena *arena, const uint8_t *at, uint64_t left,
                        struct npz_member *member, uint64_t *out_bytes, struct error *err)
{
    if (left < RECORD_BYTES || !has_magic(at, RECORD_MAGIC))
        return FAIL(err, E_SYNTAX, ".npz: the directory is damaged");
    size_t name = read_u16(at + 28), extra = read_u16(at + 30), comment = read_u16(at + 32);
    uint64_t bytes = (uint64_t)RECORD_BYTES + name + extra + comment;
    if (bytes > left)
        return FAIL(err, E_SYNTAX, ".npz: the directory is damaged");
    member->name = arena_strndup(arena, (const char *)at + RECORD_BYTES, name, err);
    if (!member->name)
        return false;
    member->encrypted = read_u16(at + 8) & FLAG_ENCRYPTED;
    member->method = read_u16(at + 10);
    member->crc32 = read_u32(at + 16);
    member->packed_bytes = read_u32(at + 20);
    member->bytes = read_u32(at + 24);
    member->header_offset = read_u32(at + 42);
    *out_bytes = bytes;
    return read_extra64(at + RECORD_BYTES + name, extra, member, err);
}

bool npz_open(struct arena *arena, const uint8_t *bytes, size_t size, struct npz *out_npz,
              struct error *err)
{
    struct npz npz = {.bytes = bytes, .size = size};
    struct directory directory = {.members = 0};
    if (!find_directory(&npz, &directory, err))
        return false;
    npz.members = ARENA_ARRAY(arena, struct npz_member, directory.members, err);
    if (!npz.members)
        return false;
    npz.member_count = (size_t)directory.members;
    const uint8_t *at = bytes + directory.offset;
    uint64_t left = directory.bytes, record_bytes = 0;
    for (size_t i = 0; i < npz.member_count; i++, at += record_bytes, left -= record_bytes) {
        if (!read_record(arena, at, left, &npz.members[i], &record_bytes, err))
            return false;
    }
    *out_npz = npz;
    return true;
}

const struct npz_member *npz_find(const struct npz *npz, const char *name)
{
    for (size_t i = 0; i < npz->member_count; i++) {
        if (strcmp(npz->members[i].name, name) == 0)
            return &npz->members[i];
    }
    return NULL;
}

void npz_list(const struct npz *npz, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < npz->member_count && length < size; i++) {
        int more =
            snprintf(out + length, size - length, "%s%s", i > 0 ? ", " : "", npz->members[i].name);
        length += more > 0 ? (size_t)more : 0;
    }
}

/* Where the packed content of a member is, behind its local header. */
static bool find_content(const struct npz *npz, const struct npz_member *member,
                         const uint8_t **out_content, struct error *err)
{
    uint64_t offset = member->header_offset;
    if (!inside(offset, LOCAL_BYTES, npz->size) || !has_magic(npz->bytes + offset, LOCAL_MAGIC))
        return FAIL(err, E_SYNTAX, ".npz: member '%s': no local header at byte %" PRIu64,
                    member->name, offset);
    const uint8_t *header = npz->bytes + offset;
    offset += LOCAL_BYTES + (uint64_t)read_u16(header + 26) + read_u16(header + 28);
    if (!inside(offset, member->packed_bytes, npz->size))
        return FAIL(err, E_SYNTAX,
                    ".npz: member '%s': %" PRIu64 " bytes at %" PRIu64
                    " run past the end of the file (%zu bytes): truncated",
                    member->name, member->packed_bytes, offset, npz->size);
    *out_content = npz->bytes + offset;
    return true;
}

/* Whether the sizes of a member can be true at all, and are allowed. */
static bool check_sizes(const struct npz_member *member, size_t limit_bytes, struct error *err)
{
    if (member->bytes > limit_bytes)
        return FAIL(err, E_TOO_LARGE,
                    ".npz: member '%s' has %" PRIu64 " bytes unpacked; at most %zu are allowed",
                    member->name, member->bytes, limit_bytes);
    if (member->method == METHOD_STORED && member->bytes != member->packed_bytes)
        return FAIL(err, E_SYNTAX,
                    ".npz: member '%s' is stored, but claims %" PRIu64 " bytes and %" PRIu64
                    " packed bytes",
                    member->name, member->bytes, member->packed_bytes);
    if (member->method == METHOD_DEFLATE &&
        member->bytes / DEFLATE_EXPANSION > member->packed_bytes)
        return FAIL(err, E_SYNTAX,
                    ".npz: member '%s' claims %" PRIu64 " bytes from %" PRIu64
                    " packed bytes; deflate expands at most %d times",
                    member->name, member->bytes, member->packed_bytes, DEFLATE_EXPANSION);
    return true;
}

/* Moves the next piece of a buffer, whose length may not fit zlib's counters, to the stream. */
static uInt next_piece(size_t left)
{
    return left < UINT_MAX ? (uInt)left : UINT_MAX;
}

/* Unpacks until the stream ends or `out` is full; the number of bytes written, and whether the
 * stream ended there. */
static int inflate_all(z_stream *stream, const uint8_t *packed, size_t packed_bytes, uint8_t *out,
                       size_t out_bytes, size_t *out_written)
{
    size_t read = 0, written = 0;
    int status = Z_OK;
    while (status == Z_OK) {
        uInt in_piece = next_piece(packed_bytes - read);
        uInt out_piece = next_piece(out_bytes - written);
        stream->next_in = packed + read;
        stream->avail_in = in_piece;
        stream->next_out = out + written;
        stream->avail_out = out_piece;
        status = inflate(stream, Z_NO_FLUSH);
        read += in_piece - stream->avail_in;
        written += out_piece - stream->avail_out;
    }
    *out_written = written;
    return status;
}

/* Unpacks a member whose claimed size has been checked, into one byte more than that, so that a
 * longer stream shows. */
static bool unpack(struct arena *arena, const struct npz_member *member, const uint8_t *packed,
                   uint8_t **out, struct error *err)
{
    size_t bytes = (size_t)member->bytes, written;
    uint8_t *content = arena_alloc(arena, bytes + 1, err);
    if (!content)
        return false;
    z_stream stream = {.zalloc = Z_NULL};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return FAIL(err, E_MEMORY, ".npz: no memory to unpack member '%s'", member->name);
    int status =
        inflate_all(&stream, packed, (size_t)member->packed_bytes, content, bytes + 1, &written);
    const char *reason = stream.msg;
    (void)inflateEnd(&stream); /* fails only for a stream that was never begun */
    if (status == Z_MEM_ERROR)
        return FAIL(err, E_MEMORY, ".npz: no memory to unpack member '%s'", member->name);
    if (status == Z_DATA_ERROR || status == Z_NEED_DICT)
        return FAIL(err, E_SYNTAX, ".npz: member '%s' can't be unpacked: %s", member->name,
                    reason ? reason : "it needs a dictionary");
    if (written > bytes)
        return FAIL(err, E_SYNTAX, ".npz: member '%s' claims %zu bytes, but more come out of it",
                    member->name, bytes);
    if (status != Z_STREAM_END || written != bytes)
        return FAIL(err, E_SYNTAX,
                    ".npz: member '%s' claims %zu bytes, but only %zu come out of it", member->name,
                    bytes, written);
    *out = content;
    return true;
}

static uint32_t checksum(const struct npz *npz, const uint8_t *content, size_t size)
{
    enum { STEP_BYTES = 1 << 20 };
    uLong crc = 0;
    for (size_t done = 0, step; done < size; done += step) {
        step = size - done < STEP_BYTES ? size - done : STEP_BYTES;
        crc = crc32_z(crc, content + done, step);
        if (npz->reading.passed != NULL)
            npz->reading.passed(npz->reading.context, content + done + step);
    }
    return (uint32_t)crc;
}

bool npz_extract(struct arena *arena, const struct npz *npz, const struct npz_member *member,
                 size_t limit_bytes, const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    if (member->encrypted)
        return FAIL(err, E_UNSUPPORTED, ".npz: member '%s' is encrypted", member->name);
    if (member->method != METHOD_STORED && member->method != METHOD_DEFLATE)
        return FAIL(err, E_UNSUPPORTED,
                    ".npz: member '%s' is packed with method %d; stored (0) and deflate (8) are "
                    "supported",
                    member->name, member->method);
    const uint8_t *content = NULL;
    if (!find_content(npz, member, &content, err) || !check_sizes(member, limit_bytes, err))
        return false;
    if (member->method == METHOD_DEFLATE) {
        uint8_t *unpacked = NULL;
        if (!unpack(arena, member, content, &unpacked, err))
            return false;
        content = unpacked;
    }
    uint32_t crc = checksum(npz, content, (size_t)member->bytes);
    if (crc != member->crc32)
        return FAIL(err, E_SYNTAX,
                    ".npz: member '%s' is damaged: its CRC-32 is %08" PRIx32 ", not %08" PRIx32,
                    member->name, crc, member->crc32);
    *out_bytes = content;
    *out_size = (size_t)member->bytes;
    return true;
}
