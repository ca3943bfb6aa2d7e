#include "openapi.h"

#include "ptqd/api/api.h"

static const char description[] =
    "Quantization of tiny neural networks below 8 bits. GET also serves HEAD, and OPTIONS names "
    "the methods of a path. Times are RFC 3339 in UTC, sizes bytes, durations seconds, accuracies "
    "fractions from 0 to 1; a number that is not known is null. An error is a problem document "
    "(RFC 9457) with a stable code. Every answer has an X-Request-Id. JSON and text are sent as "
    "gzip to who accepts it.";

static void add_info(struct json *document)
{
    struct json *info = json_add_object(document, "info");
    json_add_string(info, "title", "ptqd");
    json_add_string(info, "version", PTQD_VERSION);
    json_add_string(info, "description", description);
    struct json *servers = json_add_array(document, "servers");
    json_add_string(json_add_object(servers, NULL), "url", "/");
}

bool openapi_print(const struct http_table *const *tables, struct arena *arena,
                   const char **out_text, size_t *out_size, struct error *err)
{
    enum { SCRATCH_BYTES = 64 << 20 };
    struct arena *scratch = arena_create(SCRATCH_BYTES);
    if (scratch == NULL)
        return FAIL(err, E_MEMORY, "no memory for the document of the interface");
    struct json *document = json_object(scratch);
    json_add_string(document, "openapi", "3.1.0");
    add_info(document);
    openapi_add_paths(document, tables);
    const char *text = NULL;
    size_t size = 0;
    if (openapi_add_components(document, tables, err))
        text = json_print_string(document, scratch, &size, err);
    const char *copy = text != NULL ? arena_strndup(arena, text, size, err) : NULL;
    arena_destroy(scratch);
    *out_text = copy;
    *out_size = size;
    return copy != NULL;
}
