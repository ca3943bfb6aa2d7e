/* Bytes go through the page cache and are never synced: nobody needs them after a power cut. */

#include "ptqd/base/spill.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct spill {
    const char *directory; /* borrowed */
    int fd;
};

/* Some file systems have no files without a name: there one is made and its name removed. */
static int open_nameless(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/spill-XXXXXX", directory);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path); /* fails when somebody else removed it */
    return fd;
}

bool spill_create(const char *directory, struct spill **out_spill, struct error *err)
{
    struct spill *spill = calloc(1, sizeof(*spill));
    if (spill == NULL)
        return FAIL(err, E_MEMORY, "no memory for a spill file (%zu bytes)", sizeof(*spill));
    spill->directory = directory;
    spill->fd = open_nameless(directory);
    if (spill->fd < 0) {
        free(spill);
        return file_fail(err, errno, "make a spill file in", directory);
    }
    *out_spill = spill;
    return true;
}

void spill_destroy(struct spill *spill)
{
    if (spill == NULL)
        return;
    (void)close(spill->fd); /* its bytes are wanted no more */
    free(spill);
}

bool spill_write(struct spill *spill, uint64_t offset, const void *bytes, size_t size,
                 struct error *err)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t put = pwrite(spill->fd, next, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return file_fail(err, errno, "write a spill file in", spill->directory);
        next += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return true;
}

bool spill_read(const struct spill *spill, uint64_t offset, void *bytes, size_t size,
                struct error *err)
{
    char *next = bytes;
    while (size > 0) {
        ssize_t got = pread(spill->fd, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(err, errno, "read a spill file in", spill->directory);
        if (got == 0)
            return FAIL(err, E_IO, "a spill file in '%s' has no %zu bytes at %llu",
                        spill->directory, size, (unsigned long long)offset);
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}
