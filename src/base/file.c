#include "ptqd/base/file.h"

#include "ptqd/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum error_code code_of_errno(int system_errno)
{
    switch (system_errno) {
    case ENOENT:
    case ENOTDIR:
        return E_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return E_NO_SPACE;
    case ENOMEM:
        return E_MEMORY;
    default:
        return E_IO;
    }
}

bool file_fail(struct error *err, int system_errno, const char *action, const char *path)
{
    char buffer[128];
    FAIL(err, code_of_errno(system_errno), "can't %s '%s': %s", action, path,
         strerror_r(system_errno, buffer, sizeof(buffer)));
    return error_internal(err);
}

/* Reads until `size` bytes or the end of the file. */
static bool read_all(int fd, char *bytes, size_t size, const char *path, size_t *out_size,
                     struct error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(err, errno, "read", path);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *out_size = done;
    return true;
}

bool file_open(const char *path, int *out_fd, size_t *out_size, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the open */
    if (fd < 0)
        return file_fail(err, errno, "open", path);
    struct stat status;
    bool ok = fstat(fd, &status) == 0 || file_fail(err, errno, "look at", path);
    if (ok && !S_ISREG(status.st_mode))
        ok = FAIL(err, E_IO, "can't read '%s': it is not a regular file", path);
    if (!ok) {
        (void)close(fd); /* nothing was written that could be lost */
        return false;
    }
    *out_fd = fd;
    *out_size = (size_t)status.st_size;
    return true;
}

bool file_read(struct arena *arena, const char *path, size_t limit_bytes, char **out_bytes,
               size_t *out_size, struct error *err)
{
    int fd;
    size_t size;
    if (!file_open(path, &fd, &size, err))
        return false;
    bool ok = false;
    if (size > limit_bytes) {
        FAIL(err, E_TOO_LARGE, "'%s' has %zu bytes; at most %zu are accepted", path, size,
             limit_bytes);
        (void)error_internal(err);
        goto out;
    }
    char *bytes = arena_alloc(arena, size + 1, err);
    if (bytes == NULL) {
        (void)error_context(err, "'%s'", path);
        (void)error_internal(err);
        goto out;
    }
    if (!read_all(fd, bytes, size, path, &size, err))
        goto out;
    *out_bytes = bytes;
    *out_size = size;
    ok = true;
out:
    (void)close(fd); /* nothing was written that could be lost */
    return ok;
}

bool file_write_all(int fd, const void *bytes, size_t size, const char *path, struct error *err)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t put = write(fd, next, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return file_fail(err, errno, "write", path);
        next += put;
        size -= (size_t)put;
    }
    return true;
}

/* Writes, fsyncs and closes `fd`, whatever happens. */
static bool write_and_close(int fd, const void *bytes, size_t size, const char *path,
                            struct error *err)
{
    bool ok = file_write_all(fd, bytes, size, path, err);
    if (ok && fsync(fd) != 0)
        ok = file_fail(err, errno, "fsync", path);
    if (close(fd) != 0 && ok)
        ok = file_fail(err, errno, "close", path);
    return ok;
}

bool file_write(const char *path, const void *bytes, size_t size, struct error *err)
{
    /* Unique in this process by the counter, on this machine by the process id. */
    static atomic_uint counter;
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof(temporary), "%s.%ld-%u.tmp", path, (long)getpid(),
                          atomic_fetch_add(&counter, 1));
    if (length < 0 || (size_t)length >= sizeof(temporary))
        return file_fail(err, ENAMETOOLONG, "write", path);

    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_fail(err, errno, "write", path);
    bool ok = write_and_close(fd, bytes, size, path, err);
    if (ok && rename(temporary, path) != 0)
        ok = file_fail(err, errno, "rename a new file to", path);
    if (!ok) {
        (void)unlink(temporary); /* the first error is the one to report */
        return false;
    }
    return file_sync_parent(path, err);
}

bool file_remove(const char *path, struct error *err)
{
    return unlink(path) == 0 || errno == ENOENT || file_fail(err, errno, "remove", path);
}

bool file_sync_parent(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX] = ".";
    if (slash != NULL) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);
        if (length >= sizeof(parent))
            return file_fail(err, ENAMETOOLONG, "fsync the directory of", path);
        memcpy(parent, path, length);
        parent[length] = '\0';
    }
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_fail(err, errno, "open the directory", parent);
    bool ok = fsync(fd) == 0 || file_fail(err, errno, "fsync the directory", parent);
    (void)close(fd); /* the fsync said what there is to say */
    return ok;
}

static bool make_one_directory(const char *path, struct error *err)
{
    struct stat status;
    if (mkdir(path, 0750) == 0)
        return true;
    int reason = errno;
    if (reason == EEXIST && stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return true;
        reason = ENOTDIR;
    }
    return file_fail(err, reason, "make the directory", path);
}

bool file_make_directory(const char *path, struct error *err)
{
    char prefix[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(prefix))
        return file_fail(err, length == 0 ? ENOENT : ENAMETOOLONG, "make the directory", path);
    memcpy(prefix, path, length + 1);

    for (char *slash = strchr(prefix + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!make_one_directory(prefix, err))
            return false;
        *slash = '/';
    }
    return make_one_directory(prefix, err);
}

char *file_join(struct arena *arena, const char *directory, const char *name, struct error *err)
{
    if (directory[0] == '\0' || name[0] == '/')
        return arena_strdup(arena, name, err);
    bool has_slash = directory[strlen(directory) - 1] == '/';
    return arena_printf(arena, err, has_slash ? "%s%s" : "%s/%s", directory, name);
}
