#pragma once

/* Uploaded models. A row names the blob with the same id. */

#include "ptqd/store/store.h"

struct model_row {
    const char *id; /* "sha256:<hex>" */
    const char *name;
    const char *owner;
    const char *format; /* "onnx", "tflite" */
    const char *detail; /* JSON object: what else is known of the model (shapes, layers) */
    int64_t bytes;
    int64_t created_ms; /* set by model_row_insert */
};

/* In a write. A model that is known already is left as it is (`*out_known` true). E_NOT_FOUND
 * without the blob, E_LIMIT above the owner's bytes. */
bool model_row_insert(struct database *database, const struct model_row *row, bool *out_known,
                      struct error *err);
bool model_row_find(struct database *database, const char *id, struct arena *arena,
                    struct model_row *out_row, struct error *err);
/* `owner` NULL: everybody's. `out_next` is "" on the last page. */
bool model_row_list(struct database *database, const char *owner, const struct store_page *page,
                    struct arena *arena, struct model_row **out_rows, size_t *out_count,
                    char out_next[static STORE_CURSOR_BYTES], struct error *err);
/* In a write. E_CONFLICT while a queued or running job names it. The blob goes as well, unless
 * something else names it. */
bool model_row_delete(struct database *database, const char *id, struct error *err);
