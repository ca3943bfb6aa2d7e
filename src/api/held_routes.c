/* Handlers of what is uploaded as a file and held by owners. */

#include "held_routes.h"

#include "ptqd/base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct held_resource *resource_of(const struct http_request *request)
{
    return http_route_of(request)->subject;
}

/* What the caller sees under the id. */
static bool find(struct http_request *request, struct api *api, const char *id,
                 struct json **out_object, struct error *err)
{
    struct arena *arena = http_arena(request);
    const struct store_viewer viewer = access_viewer(request, api);
    struct json *object = json_object(arena);
    struct database *database;
    if (!store_reader(api->options.store, &database, err) ||
        !resource_of(request)->add(object, database, &viewer, id, arena, err) ||
        !json_check(object, err))
        return false;
    *out_object = object;
    return true;
}

static bool is_own(const struct http_request *request, const struct json *object)
{
    return strcmp(view_string(object, "owner"), http_owner(request)) == 0;
}

/* ---- uploading ---- */

static bool reply_upload(struct http_request *request, const struct json *object, bool known,
                         struct error *err)
{
    const struct held_resource *resource = resource_of(request);
    const char *location = arena_printf(http_arena(request), err, "%s/%s",
                                        http_route_of(request)->pattern, view_string(object, "id"));
    if (location == NULL || (resource->agrees != NULL && !resource->agrees(request, object, err)))
        return false;
    http_add_header(request, "Location", location);
    return reply_json(request, known ? 200 : 201, object, err);
}

struct touch {
    struct store_write write;
    const struct held_resource *resource;
    char id[DIGEST_ID_BYTES];
};

static bool apply_touch(struct database *database, void *context, struct error *err)
{
    const struct touch *touch = context;
    return touch->resource->touch(database, touch->id, err);
}

static void end_touch(void *context, const struct error *failure)
{
    (void)failure; /* then it is as old as it was */
    free(context);
}

/* Who names a file has the time to use it, as who sends it. The answer does not wait for that: it
 * comes before the body, when no request can wait. Whoever deletes what is old looks again when all
 * that was asked before is written. False when memory is out. */
static bool touch_start(struct api *api, const struct held_resource *resource, const char *id)
{
    struct touch *touch = malloc(sizeof(*touch));
    if (touch == NULL)
        return false;
    *touch = (struct touch){.resource = resource};
    touch->write = (struct store_write){.apply = apply_touch, .done = end_touch, .context = touch};
    (void)snprintf(touch->id, sizeof(touch->id), "%s", id); /* it is an id */
    store_submit(api->options.store, &touch->write);
    return true;
}

/* Who has it already need not send it again. */
bool begin_held_post(struct http_request *request, void *context, struct error *err)
{
    const struct held_resource *resource = resource_of(request);
    const char *id = http_query(request, "id");
    struct error ignored; /* then it is sent */
    struct json *object;
    return id != NULL && find(request, context, id, &object, &ignored) && is_own(request, object) &&
                   touch_start(context, resource, id)
               ? reply_upload(request, object, true, err)
               : upload_begin(request, context, resource->upload, err);
}

bool post_held(struct http_request *request, struct api *api, void *settings, struct error *err)
{
    struct upload *upload = http_state(request);
    struct json *object;
    void *row;
    bool known;
    return upload_inspect(upload, settings, http_arena(request), &row, err) &&
           upload_commit(upload, row, read_name(request), http_owner(request), &known, err) &&
           find(request, api, upload->id, &object, err) &&
           reply_upload(request, object, known, err);
}

/* ---- what is there ---- */

bool list_held(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    const struct held_resource *resource = resource_of(request);
    const struct store_viewer viewer = access_viewer(request, api);
    const struct store_page page = read_page(request);
    struct json *object = json_object(http_arena(request));
    struct database *database;
    enum view_form form;
    return view_negotiate(request, &form, err) &&
           store_reader(api->options.store, &database, err) &&
           resource->add_page(object, database, &viewer, &page, http_arena(request), err) &&
           reply_view(request, resource->view, form, object, err);
}

bool get_held(struct http_request *request, void *context, struct error *err)
{
    struct json *object;
    return find(request, context, http_param(request, "id"), &object, err) &&
           reply_json(request, 200, object, err);
}

bool get_held_file(struct http_request *request, void *context, struct error *err)
{
    const char *id = http_param(request, "id");
    struct json *object;
    if (!find(request, context, id, &object, err))
        return false;
    const char *format = view_string(object, "format");
    const char *filename =
        arena_printf(http_arena(request), err, "%s%s%s", resource_of(request)->filename,
                     format[0] != '\0' ? "." : "", format);
    return filename != NULL &&
           reply_blob(request, context, id, http_media_type(request), filename, err);
}

/* ---- deleting ---- */

struct deletion {
    const struct held_resource *resource;
    const char *id, *owner; /* owner NULL: everybody */
};

static bool apply_deletion(struct database *database, void *context, struct error *err)
{
    const struct deletion *deletion = context;
    return deletion->resource->delete (database, deletion->id, deletion->owner, err);
}

bool delete_held(struct http_request *request, void *context, struct error *err)
{
    struct api *api = context;
    const struct held_resource *resource = resource_of(request);
    const char *id = http_param(request, "id");
    struct json *object;
    if (!find(request, api, id, &object, err) ||
        !check_owner(request, view_string(object, "owner"), resource->noun, err))
        return false;
    /* An administrator who does not hold it takes it from everybody. */
    const char *owner = is_own(request, object) ? http_owner(request) : NULL;
    struct deletion deletion = {.resource = resource, .id = id, .owner = owner};
    return store_write_now(api->options.store, apply_deletion, &deletion, err) &&
           reply_nothing(request);
}
