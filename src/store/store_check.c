/* Reads everything there is, in one transaction: it does not disturb the daemon. */

#include "ptqd/store/store.h"

#include "statement.h"

#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_LIMIT_BYTES = 1 << 20, READ_BYTES = 1 << 16 };

struct findings {
    struct text text; /* a line each */
    size_t count;
};

static void note(struct findings *findings, const char *what, const char *subject)
{
    text_printf(&findings->text, "%s: %s\n", what, subject);
    findings->count++;
}

/* Notes every row of a query whose first column is the subject, but for "ok". */
static bool note_rows(struct database *database, const char *sql, const char *what,
                      struct findings *findings, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, sql, err);
    while (statement_step(&statement)) {
        const char *subject = (const char *)sqlite3_column_text(statement.handle, 0);
        if (subject == NULL || strcmp(subject, "ok") != 0)
            note(findings, what, subject == NULL ? "?" : subject);
    }
    return statement_close(&statement);
}

static bool check_database(struct database *database, struct findings *findings, struct error *err)
{
    return note_rows(database, "PRAGMA integrity_check", "damaged database", findings, err) &&
           note_rows(database, "PRAGMA foreign_key_check", "row without its parent, in table",
                     findings, err) &&
           note_rows(
               database,
               "SELECT 'j' || number FROM job WHERE (queued, running, succeeded, failed,"
               " cancelled) IS NOT (SELECT count(*) FILTER (WHERE state = 'queued'),"
               " count(*) FILTER (WHERE state = 'running'),"
               " count(*) FILTER (WHERE state = 'succeeded'),"
               " count(*) FILTER (WHERE state = 'failed'),"
               " count(*) FILTER (WHERE state = 'cancelled') FROM run WHERE job = job.number)",
               "counts that differ from the runs, of job", findings, err);
}

static bool digest_file(int fd, char out_hex[static DIGEST_HEX_BYTES], struct error *err)
{
    struct digest *digest = digest_create(err);
    if (digest == NULL)
        return false;
    char bytes[READ_BYTES];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0)
            digest_update(digest, bytes, (size_t)got);
    }
    digest_hex(digest, out_hex);
    digest_destroy(digest);
    return got == 0 || FAIL(err, E_IO, "can't read: %s", strerrorname_np(errno));
}

static void check_blob(struct blobs *blobs, const char *id, struct findings *findings)
{
    struct error reason;
    char hex[DIGEST_HEX_BYTES];
    int fd;
    uint64_t size;
    if (!blob_open(blobs, id, &fd, &size, &reason)) {
        note(findings, "missing file", id);
        return;
    }
    if (!digest_file(fd, hex, &reason))
        note(findings, "unreadable file", id);
    else if (strcmp(hex, id + strlen("sha256:")) != 0)
        note(findings, "file with other content", id);
    (void)close(fd); /* opened for reading */
}

static bool check_blobs(struct database *database, struct findings *findings, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT id FROM model UNION SELECT id FROM dataset UNION SELECT blob FROM"
                   " artifact",
                   err);
    while (statement_step(&statement)) {
        const char *id = (const char *)sqlite3_column_text(statement.handle, 0);
        if (id != NULL)
            check_blob(database->blobs, id, findings);
    }
    return statement_close(&statement);
}

bool store_check(struct store *store, struct arena *arena, const char **out_report,
                 size_t *out_findings, struct error *err)
{
    struct database *database;
    if (!store_reader(store, &database, err))
        return false;
    struct findings findings = {.count = 0};
    text_init(&findings.text, REPORT_LIMIT_BYTES);
    char *report = NULL;
    if (check_database(database, &findings, err) && check_blobs(database, &findings, err))
        report = text_dup(&findings.text, arena, err);
    text_finish(&findings.text);
    if (report == NULL)
        return false;
    *out_report = report;
    *out_findings = findings.count;
    return true;
}
