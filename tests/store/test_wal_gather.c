/* Law: the log is what it would be without gathering, whenever somebody looks. */

#include "database.h"
#include "wal_gather.h"

#include "support.h"

#include "ptqd/base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a disk that counts writes to the log, and may refuse them ---- */

static const sqlite3_io_methods *disk_methods;
static sqlite3_io_methods counting_methods;
static sqlite3_vfs *disk, counting_disk;
static int writes, refused_write; /* the latter: which is refused, 0 none */

static int counted_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    return ++writes == refused_write ? SQLITE_FULL
                                     : disk_methods->xWrite(file, bytes, size, offset);
}

static int open_counted(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *out_flags)
{
    int status = disk->xOpen(vfs, name, file, flags, out_flags);
    if (status == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        disk_methods = file->pMethods;
        counting_methods = *disk_methods;
        counting_methods.xWrite = counted_write;
        file->pMethods = &counting_methods;
    }
    return status;
}

/* Before anybody asks for the name: what gathers is above this disk. */
static bool count_writes(void)
{
    disk = sqlite3_vfs_find(NULL);
    counting_disk = *disk;
    counting_disk.zName = "counting";
    counting_disk.xOpen = open_counted;
    return sqlite3_vfs_register(&counting_disk, 1) == SQLITE_OK;
}

/* ---- databases ---- */

static char directory[64], path[96];
static struct database *writer, *reader;
static struct error err;

static void run(const char *sql)
{
    ck_assert_ok(database_script(writer, sql, &err), &err);
}

static int64_t read_number(struct database *database, const char *sql)
{
    int64_t number = -1;
    ck_assert_ok(database_number(database, sql, &number, &err), &err);
    return number;
}

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    (void)snprintf(path, sizeof(path), "%s/x.db", directory);
    ck_assert_ok(database_open(path, DATABASE_WRITE, &writer, &err), &err);
    run("CREATE TABLE item (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    ck_assert_ok(database_open(path, DATABASE_READ, &reader, &err), &err);
    writes = refused_write = 0;
}

static void teardown(void)
{
    database_close(reader);
    database_close(writer);
    support_remove_tree(directory);
}

static const char count_sql[] = "SELECT count(*) FROM item";

static const char insert_50_sql[] =
    "BEGIN;"
    "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
    " INSERT INTO item (bytes) SELECT randomblob(3000) FROM n;"
    "COMMIT";

/* 50 pages are two pieces. */
START_TEST(a_commit_is_few_writes_that_others_see)
{
    run(insert_50_sql);
    ck_assert_int_eq(writes, 2);
    ck_assert_int_eq(read_number(reader, count_sql), 50);
}
END_TEST

START_TEST(a_commit_that_is_refused_is_not_there)
{
    run(insert_50_sql);
    for (int i = 1; i <= 3; i++) {
        refused_write = writes + 1;
        ck_assert_fails(database_script(writer, insert_50_sql, &err), &err, E_NO_SPACE, "full");
        if (!sqlite3_get_autocommit(writer->handle))
            run("ROLLBACK");
        ck_assert_int_eq(read_number(writer, count_sql), 50 * i);
        run(insert_50_sql);
        ck_assert_int_eq(read_number(reader, count_sql), 50 * (i + 1));
    }
    ck_assert_int_eq(read_number(reader, "SELECT count(*) FROM pragma_integrity_check"
                                         " WHERE integrity_check <> 'ok'"),
                     0);
}
END_TEST

/* What does not fit into the cache is read back from the log before it is committed. */
START_TEST(a_large_transaction_is_read_back)
{
    static const char fill[] =
        "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
        " INSERT INTO item (bytes) SELECT zeroblob(3000) FROM n";
    static const char sum_sql[] = "SELECT sum(length(bytes)) FROM item";
    run("PRAGMA cache_size = 10");
    run("BEGIN");
    run(fill);
    run("UPDATE item SET bytes = zeroblob(2000) WHERE number % 7 = 0");
    ck_assert_int_eq(read_number(writer, sum_sql), 999 * 3000 - 142 * 1000);
    ck_assert_int_eq(read_number(reader, count_sql), 0);
    run("ROLLBACK");
    ck_assert_int_eq(read_number(writer, count_sql), 0);
    run(fill);
    ck_assert_int_eq(read_number(reader, sum_sql), 999 * 3000);
}
END_TEST

/* What was taken back, and is in nobody's log, is not written over what another process has
 * committed in its place. */
START_TEST(what_was_rolled_back_is_never_written)
{
    struct database *other;
    run("PRAGMA cache_size = 10");
    ck_assert_ok(database_open(path, DATABASE_WRITE, &other, &err), &err);
    for (int i = 1; i <= 40; i++) {
        char fill[160];
        (void)snprintf(fill, sizeof(fill),
                       "BEGIN; WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE"
                       " i < %d) INSERT INTO item (bytes) SELECT zeroblob(3000) FROM n; ROLLBACK",
                       10 + i);
        run("PRAGMA wal_checkpoint(TRUNCATE)");
        run(fill);
        ck_assert_ok(database_script(other, "INSERT INTO item (bytes) VALUES (x'01')", &err), &err);
        ck_assert_int_eq(read_number(writer, count_sql), i);
        ck_assert_int_eq(read_number(reader, count_sql), i);
    }
    ck_assert_int_eq(read_number(reader, "SELECT count(*) FROM pragma_integrity_check"
                                         " WHERE integrity_check <> 'ok'"),
                     0);
    database_close(other);
}
END_TEST

/* ---- one file ---- */

enum { FILE_BYTES = 1 << 20, PIECE_BYTES_MAX = 64 << 10 };

static sqlite3_file *open_log(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(wal_gather_name());
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    static char name[128]; /* SQLite keeps the pointer */
    (void)snprintf(name, sizeof(name), "%s/x.db-log", directory);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL;
    ck_assert_int_eq(vfs->xOpen(vfs, name, file, flags, &flags), SQLITE_OK);
    return file;
}

START_TEST(any_writes_and_cuts_are_read_back)
{
    static unsigned char model[FILE_BYTES + PIECE_BYTES_MAX], piece[PIECE_BYTES_MAX];
    sqlite3_file *file = open_log();
    sqlite3_int64 size = 0, end = 0, found;
    struct rng rng;
    rng_init(&rng, 1, (uint64_t)_i);
    for (int step = 0; step < 300; step++) {
        uint64_t kind = rng_below(&rng, 20);
        int bytes = (int)rng_below(&rng, kind == 0 ? PIECE_BYTES_MAX : 5000);
        sqlite3_int64 at = (sqlite3_int64)rng_below(&rng, (uint64_t)size + 1);
        if (kind < 15) { /* mostly behind the last */
            at = kind < 12 && end < FILE_BYTES ? end : at % FILE_BYTES;
            memset(piece, step, (size_t)bytes);
            ck_assert_int_eq(file->pMethods->xWrite(file, piece, bytes, at), SQLITE_OK);
            memcpy(model + at, piece, (size_t)bytes);
            end = at + bytes;
            size = end > size ? end : size;
        } else if (kind == 15) {
            ck_assert_int_eq(file->pMethods->xTruncate(file, at), SQLITE_OK);
            memset(model + at, 0, (size_t)(size - at));
            size = at;
            end = at;
        } else if (kind == 16) {
            ck_assert_int_eq(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
        } else {
            bytes = bytes < size - at ? bytes : (int)(size - at);
            ck_assert_int_eq(file->pMethods->xRead(file, piece, bytes, at), SQLITE_OK);
            ck_assert_mem_eq(piece, model + at, (size_t)bytes);
            ck_assert_int_eq(file->pMethods->xFileSize(file, &found), SQLITE_OK);
            ck_assert_int_eq(found, size);
        }
    }
    ck_assert_int_eq(file->pMethods->xClose(file), SQLITE_OK);
    free(file);
}
END_TEST

int main(void)
{
    if (!count_writes())
        return 1;
    TCase *cases = tcase_create("gathered log");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_commit_is_few_writes_that_others_see);
    tcase_add_test(cases, a_commit_that_is_refused_is_not_there);
    tcase_add_test(cases, a_large_transaction_is_read_back);
    tcase_add_test(cases, what_was_rolled_back_is_never_written);
    tcase_add_loop_test(cases, any_writes_and_cuts_are_read_back, 0, 10);
    Suite *suite = suite_create("wal_gather");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
