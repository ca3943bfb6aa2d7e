#include "directory_lock.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

bool directory_lock(const char *directory, int *out_fd, struct error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/lock", directory); /* a cut name can't be opened */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return file_fail(err, errno, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out_fd = fd;
        return true;
    }
    int reason = errno;
    (void)close(fd); /* nothing was written */
    return reason == EWOULDBLOCK || file_fail(err, reason, "lock", path);
}

void directory_unlock(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* nothing was written */
}

bool directory_fail_locked(const char *directory, struct error *err)
{
    return FAIL(err, E_CONFLICT, "another ptqd is using the directory '%s'", directory);
}
