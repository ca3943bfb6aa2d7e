#pragma once

/* What the tables of rows share. */

#include "statement.h"

/* The number of rows of a page; E_INVALID outside 1 to STORE_PAGE_MAX. 0 and no page: 100. */
bool page_limit(const struct store_page *page, int64_t *out_limit, struct error *err);

/* Pages of numbered rows, newest first: the number that the page's rows are below; INT64_MAX for
 * the first page. E_INVALID for what is no cursor. */
bool page_number(const struct store_page *page, int64_t *out_below, struct error *err);

/* E_INVALID: the page's cursor is none. Always false. */
bool page_fail_cursor(const struct store_page *page, struct error *err);

/* E_NOT_FOUND unless the file that a new row names is there. */
bool row_needs_blob(struct database *database, const char *id, struct error *err);

/* E_CONFLICT with the job's id when a queued or running job (of `owner`; NULL: of anybody) names
 * the model or data set. */
bool row_is_free(struct database *database, const char *what, const char *id, const char *owner,
                 struct error *err);

/* Binds the owner at `index` and, behind it, 1 when only that owner's are seen. */
void bind_viewer(struct statement *statement, int index, const struct store_viewer *viewer);
