/* /openapi.json: the interface as a document. */

#include "api_private.h"
#include "openapi.h"

bool document_create(struct api_document *document, struct error *err)
{
    document->arena = arena_create(0);
    if (document->arena == NULL)
        return FAIL(err, E_MEMORY, "no memory for the document of the interface");
    return openapi_print(api_tables(), document->arena, &document->text, &document->size, err) &&
           make_etag(document->text, document->size, document->etag, err);
}

void document_destroy(struct api_document *document)
{
    arena_destroy(document->arena);
}

static bool get(struct http_request *request, void *context, struct error *err)
{
    (void)err;
    const struct api *api = context;
    http_set_etag(request, api->document.etag);
    http_answer(request, 200, http_media_type(request), api->document.text, api->document.size,
                false);
    return true;
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/openapi.json",
     .access = ACCESS_ANYBODY,
     .handle = get,
     .summary = "This interface as an OpenAPI document, for clients and their generators",
     .replies = {{200, "The document", .type = "application/json", .headers = {"ETag"}}}},
};
const struct http_table openapi_routes = {routes, sizeof(routes) / sizeof(routes[0])};
