#pragma once

/* Uploaded data sets: samples, or labels on their own. A row names the blob with the same id. The
 * same file uploaded by several owners is one data set that each of them holds, with a scale of
 * their own. */

#include "ptqd/store/store.h"

struct dataset_row {
    const char *id;     /* "sha256:<hex>" */
    const char *name;   /* the holder's, as the scale and what it changes in `detail` */
    const char *owner;  /* the holder */
    const char *detail; /* JSON object: what else is known of the data set (shape, type, range) */
    int64_t bytes;
    int64_t samples;
    double scale, zero_point; /* value = (stored − zero_point) · scale */
    int64_t created_ms;       /* when the holder came by it; set by dataset_row_insert */
};

/* In a write: the owner holds the data set. One that the owner holds already is left as it is
 * (`*out_known` true). E_NOT_FOUND without the blob, E_LIMIT above the owner's bytes. */
bool dataset_row_insert(struct database *database, const struct dataset_row *row, bool *out_known,
                        struct error *err);
/* In a write: it counts as sent just now (retention.h); nothing is done when it has gone. */
bool dataset_row_touch(struct database *database, const char *id, struct error *err);
bool dataset_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                      struct arena *arena, struct dataset_row *out_row, struct error *err);
/* `out_next` is "" on the last page. */
bool dataset_row_list(struct database *database, const struct store_viewer *viewer,
                      const struct store_page *page, struct arena *arena,
                      struct dataset_row **out_rows, size_t *out_count,
                      char out_next[static STORE_CURSOR_BYTES], struct error *err);
/* In a write, as model_row_delete. */
bool dataset_row_delete(struct database *database, const char *id, const char *owner,
                        struct error *err);
