/* What an upload of 100 MB takes of the daemon's memory. */

#include "client.h"
#include "program.h"
#include "support.h"

#include "ptqd/base/arena.h"
#include "ptqd/nn/npy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { GROWTH_MAX_KIB = 16 << 10 };

static char directory[256];
static struct arena *arena;
static struct error err;
static struct program program;

static void setup(void)
{
    (void)support_make_directory(directory, sizeof(directory));
    arena = arena_create(0);
    program_serve(&program, directory);
}

static void teardown(void)
{
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    arena_destroy(arena);
    support_remove_tree(directory);
}

/* The most memory that the daemon ever had resident, mapped files included. */
static long peak_kib(void)
{
    char path[64], line[256];
    long kib = -1;
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)program.pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL)
        (void)sscanf(line, "VmHWM: %ld kB", &kib); /* the line that has it */
    fclose(file);
    ck_assert_int_gt(kib, 0);
    return kib;
}

static void upload(const uint8_t *bytes, size_t size, int status)
{
    struct reply reply = client_call(program.port, "POST", "/v1/datasets", NULL, bytes, size);
    ck_assert_msg(reply.status == status, "%d: %s", reply.status, reply.body);
    reply_free(&reply);
}

/* 100 MB of samples; `last` tells one file from another. */
static void make_samples(float last, uint8_t **out_bytes, size_t *out_size)
{
    int64_t dim[] = {support_short() ? 10000 : 25000, 1000};
    size_t count = (size_t)(dim[0] * dim[1]);
    float *values = calloc(count, sizeof(*values));
    ck_assert_ptr_nonnull(values);
    values[count - 1] = last;
    ck_assert_ok(npy_encode(arena, "<f4", 2, dim, values, out_bytes, out_size, &err), &err);
    free(values);
}

static uint8_t *put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

/* From the version to the sizes, as both headers of a member have it. */
static uint8_t *put_common(uint8_t *at, uint32_t crc, uint32_t size)
{
    at = put(at, 20, 2); /* version */
    at = put(at, 0, 8);  /* flags, stored, time and date */
    at = put(at, crc, 4);
    at = put(at, size, 4);
    at = put(at, size, 4);
    at = put(at, 5, 2); /* length of the name */
    return put(at, 0, 2);
}

/* A zip archive with the file stored as x.npy. */
static void make_archive(const uint8_t *file, size_t file_size, uint8_t **out_bytes,
                         size_t *out_size)
{
    enum { ROOM_BYTES = 200 };
    uint8_t *bytes = arena_alloc(arena, file_size + ROOM_BYTES, &err), *at = bytes;
    ck_assert_ptr_nonnull(bytes);
    uint32_t crc = (uint32_t)crc32_z(0, file, file_size), size = (uint32_t)file_size;
    at = put_common(put(at, 0x04034b50, 4), crc, size);
    memcpy(at, "x.npy", 5);
    memcpy(at + 5, file, file_size);
    uint8_t *directory_at = at + 5 + file_size;
    at = put_common(put(put(directory_at, 0x02014b50, 4), 20, 2), crc, size);
    at = put(put(put(at, 0, 2), 0, 8), 0, 4); /* comment, attributes; offset of the header */
    memcpy(at, "x.npy", 5);
    at += 5;
    uint32_t directory_bytes = (uint32_t)(at - directory_at);
    at = put(put(put(at, 0x06054b50, 4), 0, 4), 1 | 1 << 16, 4);
    at = put(put(put(at, directory_bytes, 4), (uint32_t)(directory_at - bytes), 4), 0, 2);
    *out_bytes = bytes;
    *out_size = (size_t)(at - bytes);
}

/* Law: looking at a file of 100 MB takes 16 MB at most, whatever its packing; only what has to be
 * unpacked takes what it has. */
START_TEST(an_upload_is_not_held_in_memory)
{
    uint8_t *samples, *others, *archive;
    size_t size, others_size, archive_size;
    make_samples(1, &samples, &size);
    make_samples(2, &others, &others_size);
    make_archive(others, others_size, &archive, &archive_size);
    upload(samples, 200, 400); /* everything that is made once is there */
    long before = peak_kib();
    upload(samples, size, 201);
    long file = peak_kib() - before;
    upload(archive, archive_size, 201);
    long packed = peak_kib() - before;
    ck_assert_msg(file <= GROWTH_MAX_KIB && packed <= GROWTH_MAX_KIB,
                  "%ld KiB for a file of %zu bytes, %ld KiB for an archive of %zu", file, size,
                  packed, archive_size);
    printf("# %ld KiB, archive %ld KiB\n", file, packed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upload memory");
    TCase *tcase = tcase_create("upload memory");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_upload_is_not_held_in_memory);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
