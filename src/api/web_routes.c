/* The dashboard: static files, for anybody. What they show comes from the other calls, with the
 * caller's token. */

#include "api_private.h"

#include "web_files.h"

#include <string.h>

/* Nothing comes from elsewhere, nothing runs but our own files, and no other page may put a frame
 * around it. */
static const char *const page_headers[][2] = {
    {"Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'; object-src 'none'"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-cache"}, /* kept, but asked for: another version has other files */
};

static const struct web_file *find_file(const char *name)
{
    for (size_t i = 0; i < web_file_count; i++) {
        if (strcmp(web_files[i].name, name) == 0)
            return &web_files[i];
    }
    return NULL;
}

bool reply_web_file(struct http_request *request, const char *name, struct error *err)
{
    const struct web_file *file = find_file(name);
    if (file == NULL)
        return FAIL(err, E_NOT_FOUND, "the dashboard has no file '%s'", name);
    for (size_t i = 0; i < sizeof(page_headers) / sizeof(page_headers[0]); i++)
        http_add_header(request, page_headers[i][0], page_headers[i][1]);
    http_set_etag(request, file->etag);
    http_answer(request, 200, file->media_type, file->bytes, file->size, false);
    if (file->gzip != NULL)
        http_set_gzip(request, file->gzip, file->gzip_size);
    return true;
}

static bool get_file(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    return reply_web_file(request, http_param(request, "name"), err);
}

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/web/{name}",
     .access = ACCESS_ANYBODY,
     .handle = get_file,
     .summary = "A file of the dashboard",
     .replies = {{200, "The script", .type = "text/javascript", .headers = {"ETag"}},
                 {200, "The style", .type = "text/css", .headers = {"ETag"}},
                 {200, "The page", .type = "text/html", .headers = {"ETag"}},
                 {200, "The icon", .type = "image/svg+xml", .headers = {"ETag"}},
                 {200, "The typeface", .type = "font/woff2", .headers = {"ETag"}}}},
};
const struct http_table web_routes = {routes, sizeof(routes) / sizeof(routes[0])};
