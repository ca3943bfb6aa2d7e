#pragma once

/* What is wrong with a store, as store_check reports and store_repair repairs it. */

#include "database.h"

enum finding_kind {
    FINDING_DATABASE,   /* subject: what SQLite says */
    FINDING_PARENT,     /* a row without its parent; subject: the table */
    FINDING_HOLDER,     /* a model or data set that nobody holds; subject: its id, as below */
    FINDING_COUNTS,     /* runs by state are miscounted; subject: the job */
    FINDING_TALLY,      /* jobs and runs by state are miscounted; subject: the table */
    FINDING_LABEL,      /* knows another owner or state than its job's; subject: the job */
    FINDING_MISSING,    /* a row names a file that is not there; subject: its id, as below */
    FINDING_UNREADABLE, /* the file can't be opened or read */
    FINDING_CONTENT,    /* the file has not the content of its name */
    FINDING_ORPHAN,     /* a file that nothing names */
};

/* "missing file" … */
const char *finding_name(enum finding_kind kind);

struct finding {
    enum finding_kind kind;
    const char *subject;
    struct finding *next;
};

struct findings {
    struct finding *first; /* in the arena */
    size_t count;
};

/* Reads everything. `alone`: nobody else writes files, so that one without a name is an orphan
 * whatever its age; else it must be older than any upload takes. */
bool store_scan(struct database *database, bool alone, struct arena *arena,
                struct findings *out_findings, struct error *err);
