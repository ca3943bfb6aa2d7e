/* Reads everything there is: it does not disturb the daemon. */

#include "store_scan.h"

#include "blob_walk.h"
#include "collect.h"
#include "statement.h"

#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A file has no name from the last byte of an upload until what is in it was looked at: minutes,
 * for the largest. */
enum { REPORT_LIMIT_BYTES = 1 << 20, READ_BYTES = 1 << 16, ORPHAN_AGE_SECONDS = 3600 };

static const char *const names[] = {
    [FINDING_DATABASE] = "damaged database",
    [FINDING_PARENT] = "row without its parent, in table",
    [FINDING_HOLDER] = "model or data set that nobody holds",
    [FINDING_COUNTS] = "counts that differ from the runs, of job",
    [FINDING_TALLY] = "counts that differ from the rows, in table",
    [FINDING_LABEL] = "label with another owner or state than its job",
    [FINDING_MISSING] = "missing file",
    [FINDING_UNREADABLE] = "unreadable file",
    [FINDING_CONTENT] = "file with other content",
    [FINDING_ORPHAN] = "file that nothing names",
};

const char *finding_name(enum finding_kind kind)
{
    return names[kind];
}

struct scan {
    struct database *database;
    struct arena *arena;
    bool alone;
    struct finding *first, *last;
    size_t count;
};

static bool note(struct scan *scan, enum finding_kind kind, const char *subject, struct error *err)
{
    struct finding *finding = ARENA_NEW(scan->arena, struct finding, err);
    char *copy = arena_strdup(scan->arena, subject, err);
    if (finding == NULL || copy == NULL)
        return false;
    *finding = (struct finding){.kind = kind, .subject = copy};
    if (scan->last != NULL)
        scan->last->next = finding;
    else
        scan->first = finding;
    scan->last = finding;
    scan->count++;
    return true;
}

/* ---- database ---- */

/* Notes every row of a query whose first column is the subject, but for "ok". */
static bool note_rows(struct scan *scan, const char *sql, enum finding_kind kind, struct error *err)
{
    bool ok = true;
    struct statement statement;
    statement_open(&statement, scan->database, sql, err);
    while (ok && statement_step(&statement)) {
        const char *subject = (const char *)sqlite3_column_text(statement.handle, 0);
        if (subject == NULL || strcmp(subject, "ok") != 0)
            ok = note(scan, kind, subject == NULL ? "?" : subject, err);
    }
    return statement_close(&statement) && ok;
}

static bool scan_database(struct scan *scan, struct error *err)
{
    return note_rows(scan, "PRAGMA integrity_check", FINDING_DATABASE, err) &&
           note_rows(scan, "PRAGMA foreign_key_check", FINDING_PARENT, err) &&
           note_rows(scan,
                     "SELECT id FROM model WHERE id NOT IN (SELECT model FROM model_holder)"
                     " UNION SELECT id FROM dataset"
                     " WHERE id NOT IN (SELECT dataset FROM dataset_holder)",
                     FINDING_HOLDER, err) &&
           note_rows(
               scan,
               "SELECT 'j' || number FROM job WHERE (queued, running, succeeded, failed,"
               " cancelled) IS NOT (SELECT count(*) FILTER (WHERE state = 'queued'),"
               " count(*) FILTER (WHERE state = 'running'),"
               " count(*) FILTER (WHERE state = 'succeeded'),"
               " count(*) FILTER (WHERE state = 'failed'),"
               " count(*) FILTER (WHERE state = 'cancelled') FROM run WHERE job = job.number)",
               FINDING_COUNTS, err) &&
           note_rows(scan,
                     "SELECT 'tally' FROM (SELECT 1, * FROM tally_counted"
                     " EXCEPT SELECT * FROM tally)",
                     FINDING_TALLY, err) &&
           note_rows(scan,
                     "SELECT 'stored' FROM (SELECT 1, * FROM stored_counted"
                     " EXCEPT SELECT * FROM stored)",
                     FINDING_TALLY, err) &&
           note_rows(scan,
                     "SELECT 'j' || job FROM job_label JOIN job ON number = job"
                     " WHERE (job_owner, job_state) <> (owner, state)",
                     FINDING_LABEL, err);
}

/* ---- files with a name ---- */

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

static bool scan_blob(struct scan *scan, const char *id, struct error *err)
{
    struct error reason;
    char hex[DIGEST_HEX_BYTES];
    int fd;
    uint64_t size;
    if (!blob_open(scan->database->blobs, id, &fd, &size, &reason))
        return note(scan, reason.code == E_NOT_FOUND ? FINDING_MISSING : FINDING_UNREADABLE, id,
                    err);
    bool read = digest_file(fd, hex, &reason);
    (void)close(fd); /* opened for reading */
    if (!read)
        return note(scan, FINDING_UNREADABLE, id, err);
    return strcmp(hex, id + strlen("sha256:")) == 0 || note(scan, FINDING_CONTENT, id, err);
}

/* What was deleted since it was listed is no finding. */
static bool drop_deleted(struct scan *scan, struct error *err)
{
    struct finding **link = &scan->first;
    scan->last = NULL;
    while (*link != NULL) {
        bool named = true;
        if ((*link)->kind == FINDING_MISSING &&
            !collect_is_named(scan->database, (*link)->subject, &named, err))
            return false;
        if (named) {
            scan->last = *link;
            link = &(*link)->next;
        } else {
            *link = (*link)->next;
            scan->count--;
        }
    }
    return true;
}

static bool scan_named(struct scan *scan, struct error *err)
{
    const char **ids;
    size_t count;
    if (!collect_list_named(scan->database, scan->arena, &ids, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!scan_blob(scan, ids[i], err))
            return false;
    }
    return drop_deleted(scan, err);
}

/* ---- files without ---- */

static bool is_old(struct scan *scan, const char *id, bool *out_old, struct error *err)
{
    struct error reason;
    struct stat status;
    uint64_t size;
    int fd;
    *out_old = false; /* one that has gone meanwhile is none */
    if (!blob_open(scan->database->blobs, id, &fd, &size, &reason))
        return true;
    bool ok = fstat(fd, &status) == 0 || FAIL(err, E_IO, "can't look at %s", id);
    (void)close(fd); /* opened for reading */
    *out_old = ok && (scan->alone || time(NULL) - status.st_mtime > ORPHAN_AGE_SECONDS);
    return ok;
}

/* What is on the list of garbage is about to go. */
static bool is_garbage(struct database *database, const char *id, bool *out_garbage,
                       struct error *err)
{
    struct statement statement;
    statement_open(&statement, database, "SELECT EXISTS (SELECT 1 FROM garbage WHERE id = ?1)",
                   err);
    statement_bind_text(&statement, 1, id);
    *out_garbage = statement_step(&statement) && statement_integer(&statement, 0) != 0;
    return statement_close(&statement);
}

/* In this order, what is deleted meanwhile is garbage when its row is gone, and gone when it is no
 * garbage any more. What is pinned waits for its row. */
static bool scan_file(void *context, const char *id, struct error *err)
{
    struct scan *scan = context;
    bool old, garbage, named, pinned = blob_is_pinned(scan->database->blobs, id);
    if (!collect_is_named(scan->database, id, &named, err) ||
        !is_garbage(scan->database, id, &garbage, err) || !is_old(scan, id, &old, err))
        return false;
    return named || garbage || !old || pinned || note(scan, FINDING_ORPHAN, id, err);
}

bool store_scan(struct database *database, bool alone, struct arena *arena,
                struct findings *out_findings, struct error *err)
{
    struct scan scan = {.database = database, .arena = arena, .alone = alone};
    if (!scan_database(&scan, err) || !scan_named(&scan, err) ||
        !blob_walk(database->blobs, scan_file, &scan, err))
        return false;
    *out_findings = (struct findings){.first = scan.first, .count = scan.count};
    return true;
}

bool store_check(struct store *store, struct arena *arena, const char **out_report,
                 size_t *out_findings, struct error *err)
{
    struct database *database;
    struct findings findings;
    if (!store_reader(store, &database, err) ||
        !store_scan(database, store_is_alone(store), arena, &findings, err))
        return false;
    struct text text;
    text_init(&text, REPORT_LIMIT_BYTES);
    for (const struct finding *f = findings.first; f != NULL && !text.broken; f = f->next)
        text_printf(&text, "%s: %s\n", finding_name(f->kind), f->subject);
    char *report = text_dup(&text, arena, err);
    text_finish(&text);
    if (report == NULL)
        return false;
    *out_report = report;
    *out_findings = findings.count;
    return true;
}
