#include "state_owner.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

bool state_owner_become(const char *directory, struct error *err)
{
    struct stat status;
    if (geteuid() != 0 || stat(directory, &status) != 0 || status.st_uid == 0)
        return true;
    if (setgroups(1, &status.st_gid) != 0 ||
        setresgid(status.st_gid, status.st_gid, status.st_gid) != 0 ||
        setresuid(status.st_uid, status.st_uid, status.st_uid) != 0)
        return file_fail(err, errno, "become the owner of", directory);
    return true;
}

static bool give_entry(const FTSENT *entry, const struct stat *to, struct error *err)
{
    switch (entry->fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return file_fail(err, entry->fts_errno, "read", entry->fts_path);
    case FTS_DP: /* was there on the way down */
        return true;
    default:
        return fchownat(AT_FDCWD, entry->fts_accpath, to->st_uid, to->st_gid,
                        AT_SYMLINK_NOFOLLOW) == 0 ||
               file_fail(err, errno, "change the owner of", entry->fts_path);
    }
}

bool state_owner_give(const char *directory, struct error *err)
{
    struct stat owner;
    if (geteuid() != 0)
        return true;
    if (stat(directory, &owner) != 0)
        return file_fail(err, errno, "look at", directory);
    union {
        const char *path;
        char *fts;
    } root = {.path = directory}; /* which fts only reads */
    char *const roots[] = {root.fts, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return file_fail(err, errno, "read", directory);
    bool ok = true;
    for (const FTSENT *entry; ok && (entry = fts_read(walk)) != NULL;)
        ok = give_entry(entry, &owner, err);
    (void)fts_close(walk); /* was read only */
    return ok;
}
