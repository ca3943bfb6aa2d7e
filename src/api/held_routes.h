#pragma once

/* What the calls about models and those about data sets do alike: files that several owners may
 * hold, named by the digest of their bytes. Each row of such a route has its resource as subject,
 * and these functions as handlers. */

#include "upload.h"
#include "view.h"

struct held_resource {
    const char *noun;     /* "the model" */
    const char *filename; /* "model"; its format is the ending, where it has one */
    const struct upload_kind *upload;
    const struct view *view; /* of a page */
    /* Adds what the viewer sees under the id: the viewer's own, if there is one. */
    bool (*add)(struct json *object, struct database *database, const struct store_viewer *viewer,
                const char *id, struct arena *arena, struct error *err);
    /* Adds a page, by reply_list. */
    bool (*add_page)(struct json *object, struct database *database,
                     const struct store_viewer *viewer, const struct store_page *page,
                     struct arena *arena, struct error *err);
    /* In a write, as model_row_touch. */
    bool (*touch)(struct database *database, const char *id, struct error *err);
    /* In a write, as model_row_delete. */
    bool (*delete)(struct database *database, const char *id, const char *owner, struct error *err);
    /* E_CONFLICT when the caller holds the object as another one than the request speaks of; NULL:
     * it can't. */
    bool (*agrees)(struct http_request *request, const struct json *object, struct error *err);
};

http_handler begin_held_post, list_held, get_held, get_held_file, delete_held;
/* The end of POST; `settings` are those of the upload. */
bool post_held(struct http_request *request, struct api *api, void *settings, struct error *err);
