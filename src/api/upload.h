#pragma once

/* Uploads: a file streams into a blob, is looked at before it gets its name, and gets a row. A file
 * that is refused leaves nothing behind. */

#include "api_private.h"

#include "ptqd/base/digest.h"

struct blob_writer;

struct upload {
    struct api *api; /* borrowed */
    const struct upload_kind *kind;
    const char *expected;       /* the id that it must have; NULL: any */
    struct blob_writer *writer; /* NULL before the first bytes and after upload_commit */
    char id[DIGEST_ID_BYTES];   /* after upload_commit */
    uint64_t size;
};

/* What kind of object a file becomes. */
struct upload_kind {
    uint64_t (*limit)(const struct api *api); /* bytes */
    /* Looks at the file; `out_row` is a model_row or dataset_row in `arena` whose id, name, owner
     * and bytes are still to come. */
    bool (*inspect)(struct api *api, const uint8_t *bytes, size_t size, void *settings,
                    struct arena *arena, void **out_row, struct error *err);
    /* In a write. */
    bool (*insert)(struct database *database, const struct upload *upload, void *row,
                   const char *name, const char *owner, bool *out_known, struct error *err);
};
extern const struct upload_kind upload_model, upload_dataset;

/* The mapped file while it is looked at: upload_passed is the `passed` of a struct reading. */
struct upload_window {
    const uint8_t *bytes; /* at the start of a page */
    size_t size, offset;  /* offset: as far as it was read when memory was last given back */
};
void upload_passed(void *window, const uint8_t *end);

/* Settings of upload_dataset; those of upload_model are NULL. */
struct upload_scale {
    double scale, zero_point;
};

/* Nothing is on the disk yet: whoever calls need not wait for one. `expected` is borrowed. */
void upload_init(struct upload *upload, struct api *api, const struct upload_kind *kind,
                 const char *expected);
/* The `write` of a sink. */
bool upload_write(void *upload, const void *bytes, size_t size, struct error *err);
/* For http_set_state. */
void upload_abandon(void *upload);

/* Looks at what came. May take seconds. */
bool upload_inspect(struct upload *upload, void *settings, struct arena *arena, void **out_row,
                    struct error *err);
/* Puts file and row in place, both on disk when this returns. */
bool upload_commit(struct upload *upload, void *row, const char *name, const char *owner,
                   bool *out_known, struct error *err);

/* For a `begin`: E_LIMIT when the owner has no room for the body, of which `extra_bytes` may be no
 * file. One that comes in chunks passes: what is in it is looked at by upload_commit. */
bool upload_fits(struct http_request *request, struct api *api, uint64_t extra_bytes,
                 struct error *err);
/* `begin` of a route whose body is one file, which must be the one that `id` of the query string
 * names, if it does. */
bool upload_begin(struct http_request *request, struct api *api, const struct upload_kind *kind,
                  struct error *err);
