#include "ptqd/nn/npz.h"

#include "numpy_files.h"
#include "ptqd/nn/npy.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LIMIT = 1 << 20, FILE_BYTES = 4096 };

static struct error err;
static struct arena *arena;

static void setup(void)
{
    arena = arena_create(4 * LIMIT);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* A zip archive with one member, and what is wrong with it. */
struct zip {
    const char *name;
    const void *content;
    uint32_t bytes;
    bool deflated, zip64;
    uint16_t flags;
    uint16_t method;        /* when not 0: instead of the real one */
    uint64_t claimed_bytes; /* when not 0: instead of `bytes` */
    uint32_t crc_error;
};

struct writer {
    uint8_t bytes[FILE_BYTES];
    size_t size;
};

static void put(struct writer *writer, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        writer->bytes[writer->size++] = (uint8_t)(value >> 8 * i);
}

static void put_bytes(struct writer *writer, const void *bytes, size_t size)
{
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static uint32_t deflate_raw(const void *content, uint32_t bytes, uint8_t *out, size_t out_bytes)
{
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)content,
                       .avail_in = bytes,
                       .next_out = out,
                       .avail_out = (uInt)out_bytes};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    ck_assert_int_eq(deflateEnd(&stream), Z_OK);
    return (uint32_t)stream.total_out;
}

/* Local header, content, central directory, end record; ZIP64 records where asked for. */
static size_t write_zip(const struct zip *zip, struct writer *out)
{
    uint8_t packed[FILE_BYTES];
    uint32_t packed_bytes = zip->bytes;
    if (zip->deflated)
        packed_bytes = deflate_raw(zip->content, zip->bytes, packed, sizeof(packed));
    uint64_t bytes = zip->claimed_bytes ? zip->claimed_bytes : zip->bytes;
    uint32_t crc = (uint32_t)crc32(0, zip->content, zip->bytes) ^ zip->crc_error;
    uint16_t method = zip->method ? zip->method : zip->deflated ? 8 : 0;
    uint16_t name_bytes = (uint16_t)strlen(zip->name);
    *out = (struct writer){.size = 0};

    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, zip->flags, 2);
    put(out, method, 2);
    put(out, 0, 4); /* time, date */
    put(out, crc, 4);
    put(out, packed_bytes, 4);
    put(out, (uint32_t)bytes, 4);
    put(out, name_bytes, 2);
    put(out, 0, 2);
    put_bytes(out, zip->name, name_bytes);
    put_bytes(out, zip->deflated ? packed : zip->content, packed_bytes);

    uint64_t directory = out->size;
    put(out, 0x02014b50, 4);
    put(out, 20, 2);
    put(out, 20, 2);
    put(out, zip->flags, 2);
    put(out, method, 2);
    put(out, 0, 4);
    put(out, crc, 4);
    put(out, zip->zip64 ? UINT32_MAX : packed_bytes, 4);
    put(out, zip->zip64 ? UINT32_MAX : bytes, 4);
    put(out, name_bytes, 2);
    put(out, zip->zip64 ? 5 + 28 : 0, 2);
    put(out, 0, 8); /* comment, disk, attributes */
    put(out, 0, 2);
    put(out, zip->zip64 ? UINT32_MAX : 0, 4);
    put_bytes(out, zip->name, name_bytes);
    if (zip->zip64) {
        put(out, 0x9999, 2); /* a field of somebody else, to be skipped */
        put(out, 1, 2);
        put(out, 0, 1);
        put(out, 1, 2);
        put(out, 24, 2);
        put(out, bytes, 8);
        put(out, packed_bytes, 8);
        put(out, 0, 8);
    }

    uint64_t directory_bytes = out->size - directory;
    if (zip->zip64) {
        uint64_t end64 = out->size;
        put(out, 0x06064b50, 4);
        put(out, 44, 8);
        put(out, 45, 2);
        put(out, 45, 2);
        put(out, 0, 8);
        put(out, 1, 8);
        put(out, 1, 8);
        put(out, directory_bytes, 8);
        put(out, directory, 8);
        put(out, 0x07064b50, 4);
        put(out, 0, 4);
        put(out, end64, 8);
        put(out, 1, 4);
    }
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, zip->zip64 ? UINT16_MAX : 1, 2);
    put(out, zip->zip64 ? UINT16_MAX : 1, 2);
    put(out, zip->zip64 ? UINT32_MAX : directory_bytes, 4);
    put(out, zip->zip64 ? UINT32_MAX : directory, 4);
    put(out, 0, 2);
    return out->size;
}

/* The content of a member, out of memory of exactly this size. */
static bool extract(const uint8_t *bytes, size_t size, const char *name, size_t limit_bytes,
                    const uint8_t **out, size_t *out_size)
{
    struct npz npz;
    uint8_t *copy = malloc(size + (size == 0));
    memcpy(copy, bytes, size);
    bool ok = npz_open(arena, copy, size, &npz, &err);
    if (ok) {
        const struct npz_member *member = npz_find(&npz, name);
        ck_assert_ptr_nonnull(member);
        ok = npz_extract(arena, &npz, member, limit_bytes, out, out_size, &err);
        if (ok)
            *out = arena_memdup(arena, *out, *out_size, &err);
    }
    free(copy);
    return ok;
}

static bool extract_zip(const struct zip *zip, const uint8_t **out, size_t *out_size)
{
    struct writer writer;
    size_t size = write_zip(zip, &writer);
    return extract(writer.bytes, size, zip->name, LIMIT, out, out_size);
}

static const char CONTENT[] = "many many many many many many many many bytes";
static const struct zip PLAIN = {.name = "x.npy", .content = CONTENT, .bytes = sizeof(CONTENT)};

/* Law: stored or deflated, with or without ZIP64 fields, what comes out is what went in. */
START_TEST(members_come_out_as_they_went_in)
{
    for (int form = 0; form < 4; form++) {
        struct zip zip = PLAIN;
        zip.deflated = form & 1;
        zip.zip64 = form & 2;
        const uint8_t *out;
        size_t size;
        ck_assert_ok(extract_zip(&zip, &out, &size), &err);
        ck_assert_uint_eq(size, sizeof(CONTENT));
        ck_assert_mem_eq(out, CONTENT, size);
    }
}
END_TEST

static void check_numpy(const uint8_t *bytes, size_t size)
{
    const uint8_t *out;
    size_t out_size;
    ck_assert_ok(extract(bytes, size, "x.npy", LIMIT, &out, &out_size), &err);
    ck_assert_uint_eq(out_size, sizeof(NPY_F4));
    ck_assert_mem_eq(out, NPY_F4, out_size);
}

START_TEST(numpys_archives_are_read)
{
    check_numpy(NPZ_STORED, sizeof(NPZ_STORED));
    check_numpy(NPZ_DEFLATED, sizeof(NPZ_DEFLATED));
}
END_TEST

START_TEST(members_are_listed)
{
    struct npz npz;
    char list[64];
    ck_assert_ok(npz_open(arena, NPZ_DEFLATED, sizeof(NPZ_DEFLATED), &npz, &err), &err);
    ck_assert_uint_eq(npz.member_count, 3);
    ck_assert_ptr_null(npz_find(&npz, "x"));
    npz_list(&npz, list, sizeof(list));
    ck_assert_str_eq(list, "z.npy, x.npy, y.npy");
    npz_list(&npz, list, 8);
    ck_assert_str_eq(list, "z.npy, ");
}
END_TEST

/* Law: a file cut anywhere is refused, without a read past its end. */
START_TEST(every_truncation_is_refused)
{
    const uint8_t *out;
    size_t out_size;
    for (size_t size = 0; size < sizeof(NPZ_DEFLATED); size++)
        ck_assert_fails(extract(NPZ_DEFLATED, size, "x.npy", LIMIT, &out, &out_size), &err,
                        E_SYNTAX, "no end record among the");
}
END_TEST

/* Law: whatever one byte is changed to, the answer is the right content or an error. */
START_TEST(no_damaged_byte_goes_unnoticed)
{
    for (size_t at = 0; at < sizeof(NPZ_DEFLATED); at++) {
        uint8_t bytes[sizeof(NPZ_DEFLATED)];
        memcpy(bytes, NPZ_DEFLATED, sizeof(bytes));
        bytes[at] ^= 0xff;
        struct npz npz;
        const uint8_t *out;
        size_t size;
        const struct npz_member *member = NULL;
        if (npz_open(arena, bytes, sizeof(bytes), &npz, &err))
            member = npz_find(&npz, "x.npy");
        if (member && npz_extract(arena, &npz, member, LIMIT, &out, &size, &err)) {
            ck_assert_uint_eq(size, sizeof(NPY_F4));
            ck_assert_mem_eq(out, NPY_F4, size);
        }
    }
}
END_TEST

START_TEST(a_wrong_checksum_is_refused)
{
    struct zip zip = PLAIN;
    const uint8_t *out;
    size_t size;
    zip.crc_error = 1;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_SYNTAX,
                    "member 'x.npy' is damaged: its CRC-32 is ");
}
END_TEST

START_TEST(encryption_and_other_methods_are_refused)
{
    struct zip zip = PLAIN;
    const uint8_t *out;
    size_t size;
    zip.flags = 1;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_UNSUPPORTED,
                    "member 'x.npy' is encrypted");
    zip.flags = 0;
    zip.method = 14;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_UNSUPPORTED,
                    "packed with method 14; stored (0) and deflate (8) are supported");
}
END_TEST

START_TEST(a_member_above_the_limit_is_refused_unopened)
{
    const uint8_t *out;
    size_t size;
    ck_assert_fails(extract(NPZ_STORED, sizeof(NPZ_STORED), "x.npy", 151, &out, &size), &err,
                    E_TOO_LARGE, "member 'x.npy' has 152 bytes unpacked; at most 151 are allowed");
    ck_assert_ok(extract(NPZ_STORED, sizeof(NPZ_STORED), "x.npy", 152, &out, &size), &err);
}
END_TEST

/* A gigabyte in a kilobyte: refused by the limit, and without one by what deflate can do. */
START_TEST(a_zip_bomb_is_refused)
{
    struct zip zip = PLAIN;
    struct writer writer;
    const uint8_t *out;
    size_t size;
    zip.deflated = true;
    zip.claimed_bytes = 1 << 30;
    size_t file_bytes = write_zip(&zip, &writer);
    ck_assert_fails(extract(writer.bytes, file_bytes, "x.npy", LIMIT, &out, &size), &err,
                    E_TOO_LARGE, "has 1073741824 bytes unpacked; at most 1048576 are allowed");
    ck_assert_fails(extract(writer.bytes, file_bytes, "x.npy", SIZE_MAX, &out, &size), &err,
                    E_SYNTAX, "claims 1073741824 bytes from ");
    ck_assert_fails(extract(writer.bytes, file_bytes, "x.npy", SIZE_MAX, &out, &size), &err,
                    E_SYNTAX, "deflate expands at most 1032 times");
}
END_TEST

START_TEST(a_claimed_size_must_be_the_real_one)
{
    struct zip zip = PLAIN;
    const uint8_t *out;
    size_t size;
    zip.claimed_bytes = sizeof(CONTENT) + 1;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_SYNTAX,
                    "is stored, but claims 47 bytes and 46 packed bytes");
    zip.deflated = true;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_SYNTAX,
                    "claims 47 bytes, but only 46 come out of it");
    zip.claimed_bytes = sizeof(CONTENT) - 1;
    ck_assert_fails(extract_zip(&zip, &out, &size), &err, E_SYNTAX,
                    "claims 45 bytes, but more come out of it");
}
END_TEST

START_TEST(a_member_without_its_local_header_is_refused)
{
    struct writer writer;
    const uint8_t *out;
    size_t out_size, size = write_zip(&PLAIN, &writer);
    writer.bytes[0] = 'Q';
    ck_assert_fails(extract(writer.bytes, size, "x.npy", LIMIT, &out, &out_size), &err, E_SYNTAX,
                    "member 'x.npy': no local header at byte 0");
}
END_TEST

/* The end record is the last 22 bytes: members at 8 and 10, directory's bytes at 12, offset 16. */
START_TEST(a_directory_outside_of_the_file_is_refused)
{
    struct writer writer;
    struct npz npz;
    size_t size = write_zip(&PLAIN, &writer);
    uint8_t *end = writer.bytes + size - 22;
    end[18] = 1;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "is outside of the file (");
    end[18] = 0;
    end[10] = 200;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "200 members don't fit a directory of 51 bytes");
    end[10] = 1;
    end[16]++;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "the directory is damaged");
}
END_TEST

START_TEST(zip64_records_that_are_missing_are_noticed)
{
    struct writer writer;
    struct npz npz;
    struct zip zip = PLAIN;
    zip.zip64 = true;
    size_t size = write_zip(&zip, &writer);
    uint8_t *locator = writer.bytes + size - 22 - 20;
    locator[8]++;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "there is no ZIP64 end record at byte ");
    locator[0] = 0;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "the ZIP64 locator before the end record is missing");

    size = write_zip(&zip, &writer);
    uint8_t *field = writer.bytes + size - 22 - 20 - 56 - 28;
    ck_assert_uint_eq(field[0], 1); /* the id of the ZIP64 field */
    field[0] = 2;
    ck_assert_fails(npz_open(arena, writer.bytes, size, &npz, &err), &err, E_SYNTAX,
                    "member 'x.npy': its ZIP64 field is missing or too short");
}
END_TEST

static bool open_and_extract(struct arena *limited, void *context, struct error *error)
{
    (void)context;
    struct npz npz;
    const uint8_t *out;
    size_t size;
    return npz_open(limited, NPZ_DEFLATED, sizeof(NPZ_DEFLATED), &npz, error) &&
           npz_extract(limited, &npz, npz_find(&npz, "x.npy"), LIMIT, &out, &size, error);
}

START_TEST(a_failing_allocation_is_an_error)
{
    ck_assert_uint_ge(support_fail_each_allocation(open_and_extract, NULL), 1);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("npz");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, members_come_out_as_they_went_in);
    tcase_add_test(cases, numpys_archives_are_read);
    tcase_add_test(cases, members_are_listed);
    tcase_add_test(cases, every_truncation_is_refused);
    tcase_add_test(cases, no_damaged_byte_goes_unnoticed);
    tcase_add_test(cases, a_wrong_checksum_is_refused);
    tcase_add_test(cases, encryption_and_other_methods_are_refused);
    tcase_add_test(cases, a_member_above_the_limit_is_refused_unopened);
    tcase_add_test(cases, a_zip_bomb_is_refused);
    tcase_add_test(cases, a_claimed_size_must_be_the_real_one);
    tcase_add_test(cases, a_member_without_its_local_header_is_refused);
    tcase_add_test(cases, a_directory_outside_of_the_file_is_refused);
    tcase_add_test(cases, zip64_records_that_are_missing_are_noticed);
    tcase_add_test(cases, a_failing_allocation_is_an_error);
    Suite *suite = suite_create("npz");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
