/* Loaded in front of the C library: lets system calls on regular files fail as fault_control.h
 * says. The log (descriptors 0 to 2) is spared, so that it can tell. */

/* With 64 bits asked for, pwrite is a second name of pwrite64; here both are needed. */
#undef _FILE_OFFSET_BITS

#include "fault_control.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fault_control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv(FAULT_VARIABLE);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at != MAP_FAILED)
        control = at;
}

/* The function that this module stands before. */
static void find_next(const char *name, void *out_function)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    memcpy(out_function, &function, sizeof(function));
}

static bool is_regular(int fd)
{
    struct stat status;
    return fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Whether this call fails; errno is set then, to 0 for one that pretends to succeed. */
static bool strikes(enum fault_call call)
{
    if (control == NULL)
        return false;
    struct fault_row *row = &control->rows[call];
    unsigned number = atomic_fetch_add(&row->calls, 1) + 1;
    int every = atomic_load(&row->every);
    /* Scattered: calls that come in pairs must not let the same of the two fail each time. */
    if (every == 0 || (number * 2654435761U >> 16) % (unsigned)every != 0)
        return false;
    atomic_fetch_add(&row->injected, 1);
    errno = atomic_load(&row->error);
    return true;
}

int fsync(int fd)
{
    int (*next)(int);
    if (strikes(FAULT_FSYNC)) /* of directories, too */
        return errno == 0 ? 0 : -1;
    find_next("fsync", &next);
    return next(fd);
}

int fdatasync(int fd)
{
    int (*next)(int);
    if (strikes(FAULT_FDATASYNC))
        return errno == 0 ? 0 : -1;
    find_next("fdatasync", &next);
    return next(fd);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    ssize_t (*next)(int, const void *, size_t);
    if (is_regular(fd) && strikes(FAULT_WRITE))
        return errno == 0 ? (ssize_t)size : -1;
    find_next("write", &next);
    return next(fd, bytes, size);
}

static ssize_t write_at(const char *name, int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off_t);
    if (is_regular(fd) && strikes(FAULT_PWRITE))
        return errno == 0 ? (ssize_t)size : -1;
    find_next(name, &next);
    return next(fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at("pwrite", fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return write_at("pwrite64", fd, bytes, size, offset);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    if (strikes(FAULT_RENAME))
        return errno == 0 ? 0 : -1;
    find_next("rename", &next);
    return next(from, to);
}
