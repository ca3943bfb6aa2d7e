/* A model as a graph, for as long as somebody looks at it. */

#include "model_use.h"

#include "ptqd/nn/model.h"
#include "ptqd/store/blob.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool model_use(struct api *api, const uint8_t *bytes, size_t size, struct model_user user,
               const struct model_format **out_format, struct error *err)
{
    struct graph *graph;
    struct arena *scratch = arena_create_within(api->options.import_bytes, &api->imports);
    if (scratch == NULL)
        return FAIL(err, E_MEMORY, "no memory to look at a model of %zu bytes", size);
    bool ok = model_import(scratch, bytes, size, &graph, out_format, err) &&
              user.use(user.context, graph, scratch, err);
    arena_destroy(scratch);
    return ok;
}

bool stored_model_use(struct api *api, const char *id, struct model_user user, struct error *err)
{
    const struct model_format *format;
    uint64_t size;
    int fd;
    if (!blob_open(store_blobs(api->options.store), id, &fd, &size, err))
        return false;
    void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    int reason = errno;
    (void)close(fd); /* the map stays */
    if (bytes == MAP_FAILED)
        return FAIL(err, E_IO, "can't map a model of %" PRIu64 " bytes: %s", size,
                    strerror(reason));
    bool ok = model_use(api, bytes, (size_t)size, user, &format, err);
    (void)munmap(bytes, (size_t)size); /* fails for no map only */
    return ok;
}
