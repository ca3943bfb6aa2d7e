#include "row_list.h"

#include "row_id.h"

#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"

#include <inttypes.h>
#include <unistd.h>

enum { PAGE_DEFAULT = 100 };

bool page_limit(const struct store_page *page, int64_t *out_limit, struct error *err)
{
    int64_t limit = page == NULL || page->limit == 0 ? PAGE_DEFAULT : page->limit;
    if (limit < 1 || limit > STORE_PAGE_MAX) {
        FAIL(err, E_INVALID, "limit is %" PRId64 "; 1 to %d rows make a page", limit,
             (int)STORE_PAGE_MAX);
        return error_parameter(err, "limit");
    }
    *out_limit = limit;
    return true;
}

bool page_number(const struct store_page *page, int64_t *out_below, struct error *err)
{
    if (page == NULL || page->cursor == NULL || page->cursor[0] == '\0') {
        *out_below = INT64_MAX;
        return true;
    }
    struct error reason;
    return text_parse_i64(page->cursor, 1, INT64_MAX, out_below, &reason) ||
           page_fail_cursor(page, err);
}

bool page_fail_cursor(const struct store_page *page, struct error *err)
{
    FAIL(err, E_INVALID, "\"%s\" is no cursor; use the one of the page before", page->cursor);
    return error_parameter(err, "cursor");
}

bool row_needs_blob(struct database *database, const char *id, struct error *err)
{
    int fd;
    uint64_t size;
    if (!blob_open(database->blobs, id, &fd, &size, err))
        return false;
    (void)close(fd); /* opened for reading */
    return true;
}

void bind_viewer(struct statement *statement, int index, const struct store_viewer *viewer)
{
    statement_bind_text(statement, index, viewer != NULL ? viewer->owner : NULL);
    statement_bind_integer(statement, index + 1, viewer != NULL && viewer->own_only);
}

bool row_is_free(struct database *database, const char *what, const char *id, const char *owner,
                 struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "SELECT number FROM"
                   " (SELECT * FROM job WHERE queued > 0 UNION ALL"
                   "  SELECT * FROM job WHERE running > 0)"
                   " WHERE ?1 IN"
                   " (model, calibration, calibration_labels, evaluation, evaluation_labels)"
                   " AND (?2 IS NULL OR owner = ?2) LIMIT 1",
                   err);
    statement_bind_text(&statement, 1, id);
    statement_bind_text(&statement, 2, owner);
    int64_t number = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    if (!statement_close(&statement))
        return false;
    if (number == 0)
        return true;
    char job[JOB_ID_BYTES];
    job_id_print(number, job);
    return FAIL(err, E_CONFLICT, "job '%s' needs the %s %s; cancel it or wait for its end", job,
                what, id);
}
