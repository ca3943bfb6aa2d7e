#include "upload.h"

#include "ptqd/store/blob.h"
#include "ptqd/store/quota.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void upload_init(struct upload *upload, struct api *api, const struct upload_kind *kind,
                 const char *expected)
{
    *upload = (struct upload){.api = api, .kind = kind, .expected = expected};
}

static bool create_blob(struct upload *upload, struct error *err)
{
    const struct api *api = upload->api;
    return blob_create(store_blobs(api->options.store), upload->kind->limit(api), &upload->writer,
                       err) &&
           (upload->expected == NULL || blob_expect(upload->writer, upload->expected, err));
}

bool upload_write(void *context, const void *bytes, size_t size, struct error *err)
{
    struct upload *upload = context;
    if (upload->writer == NULL && !create_blob(upload, err))
        return false;
    upload->size += size;
    return blob_append(upload->writer, bytes, size, err);
}

void upload_abandon(void *context)
{
    struct upload *upload = context;
    blob_abandon(upload->writer);
    upload->writer = NULL;
}

/* What was read leaves this process's memory, and stays with the kernel as long as it has room. */
void upload_passed(void *context, const uint8_t *end)
{
    enum { STEP_BYTES = 2 << 20 };
    struct upload_window *window = context;
    if (end < window->bytes || end > window->bytes + window->size)
        return; /* in a copy, unpacked or put into another order */
    size_t offset = (size_t)(end - window->bytes);
    size_t moved = offset > window->offset ? offset - window->offset : window->offset - offset;
    if (moved < STEP_BYTES)
        return;
    window->offset = offset;
    union {
        const uint8_t *constant;
        void *plain;
    } start = {.constant = window->bytes};
    (void)madvise(start.plain, offset, MADV_DONTNEED); /* what does not go only takes memory */
}

bool upload_inspect(struct upload *upload, void *settings, struct arena *arena, void **out_row,
                    struct error *err)
{
    if (upload->size == 0)
        return FAIL(err, E_SYNTAX, "the file is empty");
    size_t size = (size_t)upload->size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, blob_descriptor(upload->writer), 0);
    if (bytes == MAP_FAILED)
        return FAIL(err, E_IO, "can't map an upload of %zu bytes: %s", size, strerror(errno));
    bool ok = upload->kind->inspect(upload->api, bytes, size, settings, arena, out_row, err);
    munmap(bytes, size);
    return ok;
}

struct insertion {
    const struct upload *upload;
    void *row;
    const char *name, *owner;
    bool known;
};

static bool apply_insertion(struct database *database, void *context, struct error *err)
{
    struct insertion *insertion = context;
    const struct upload *upload = insertion->upload;
    return upload->kind->insert(database, upload, insertion->row, insertion->name, insertion->owner,
                                &insertion->known, err);
}

bool upload_commit(struct upload *upload, void *row, const char *name, const char *owner,
                   bool *out_known, struct error *err)
{
    struct blob_writer *writer = upload->writer;
    struct store *store = upload->api->options.store;
    upload->writer = NULL; /* gone in either case */
    if (!blob_commit(writer, upload->id, &upload->size, err))
        return false;
    struct insertion insertion = {.upload = upload, .row = row, .name = name, .owner = owner};
    bool ok = store_write_now(store, apply_insertion, &insertion, err);
    blob_unpin(store_blobs(store), upload->id);
    if (ok)
        *out_known = insertion.known;
    else
        store_collect(store); /* the file has no row, and a client that goes on fills the disk */
    return ok;
}

bool upload_fits(struct http_request *request, struct api *api, uint64_t extra_bytes,
                 struct error *err)
{
    uint64_t size = http_body_size(request);
    struct database *database;
    if (size == UINT64_MAX || size <= extra_bytes)
        return true;
    uint64_t file_bytes = size - extra_bytes;
    return store_reader(api->options.store, &database, err) &&
           quota_fits_bytes(database, http_owner(request),
                            file_bytes > INT64_MAX ? INT64_MAX : (int64_t)file_bytes, err);
}

bool upload_begin(struct http_request *request, struct api *api, const struct upload_kind *kind,
                  struct error *err)
{
    struct upload *upload = ARENA_NEW(http_arena(request), struct upload, err);
    const char *id = http_query(request, "id");
    char hex[DIGEST_HEX_BYTES];
    if (http_body_is(request, "multipart/form-data"))
        return FAIL(err, E_INVALID,
                    "the body is a form; it is to be the file itself, which curl --data-binary "
                    "@FILE sends");
    if (upload == NULL || !upload_fits(request, api, 0, err))
        return false;
    if (id != NULL && !digest_parse_id(id, hex, err))
        return error_context(err, "id") || error_parameter(err, "id");
    upload_init(upload, api, kind, id);
    const struct http_sink sink = {.write = upload_write, .context = upload};
    http_set_sink(request, &sink, kind->limit(api));
    http_set_state(request, upload, upload_abandon);
    return true;
}
