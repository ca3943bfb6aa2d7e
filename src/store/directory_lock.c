#include "directory_lock.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* 0, or why not. */
static int try_for_a_while(int fd, int patience_ms)
{
    enum { STEP_MS = 10 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    for (int left_ms = patience_ms; flock(fd, LOCK_EX | LOCK_NB) != 0; left_ms -= STEP_MS) {
        if (errno != EWOULDBLOCK || left_ms <= 0)
            return errno;
        nanosleep(&step, NULL);
    }
    return 0;
}

bool directory_lock(const char *directory, int patience_ms, int *out_fd, struct error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/lock", directory); /* a cut name can't be opened */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return file_fail(err, errno, "open", path);
    int reason = try_for_a_while(fd, patience_ms);
    if (reason == 0) {
        *out_fd = fd;
        return true;
    }
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
