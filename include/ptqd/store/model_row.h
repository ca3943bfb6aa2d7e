#pragma once

/* Uploaded models. A row names the blob with the same id. The same file uploaded by several owners
 * is one model that each of them holds. */

#include "ptqd/store/store.h"

struct model_row {
    const char *id;     /* "sha256:<hex>" */
    const char *name;   /* the holder's */
    const char *owner;  /* the holder */
    const char *format; /* "onnx", "tflite" */
    const char *detail; /* JSON object: what else is known of the model (shapes, layers) */
    int64_t bytes;
    int64_t created_ms; /* when the holder came by it; set by model_row_insert */
};

/* In a write: the owner holds the model. One that the owner holds already is left as it is
 * (`*out_known` true). E_NOT_FOUND without the blob, E_LIMIT above the owner's bytes. */
bool model_row_insert(struct database *database, const struct model_row *row, bool *out_known,
                      struct error *err);
/* In a write: it counts as sent just now (retention.h); nothing is done when it has gone. */
bool model_row_touch(struct database *database, const char *id, struct error *err);
bool model_row_find(struct database *database, const struct store_viewer *viewer, const char *id,
                    struct arena *arena, struct model_row *out_row, struct error *err);
/* E_NOT_FOUND unless the viewer sees the model; nothing of it is read. */
bool model_row_check(struct database *database, const struct store_viewer *viewer, const char *id,
                     struct error *err);
/* `out_next` is "" on the last page. */
bool model_row_list(struct database *database, const struct store_viewer *viewer,
                    const struct store_page *page, struct arena *arena, struct model_row **out_rows,
                    size_t *out_count, char out_next[static STORE_CURSOR_BYTES], struct error *err);
/* In a write: `owner` (NULL: everybody) does not hold it any more. With the last holder the model
 * goes, and the blob, unless something else names it. E_CONFLICT while a queued or running job of
 * that owner names it, for the last holder one of anybody. */
bool model_row_delete(struct database *database, const char *id, const char *owner,
                      struct error *err);
