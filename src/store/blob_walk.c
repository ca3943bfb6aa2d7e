#include "blob_walk.h"

#include "ptqd/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FANOUT_CHARS = 2 };

struct blob_walk {
    char path[BLOB_FOLDER_BYTES]; /* of blobs/ */
    DIR *all;
    DIR *fanout; /* the one of its directories that is being read; NULL: the next one is opened */
};

bool blob_walk_open(struct blobs *blobs, struct blob_walk **out_walk, struct error *err)
{
    struct blob_walk *walk = calloc(1, sizeof(*walk));
    if (walk == NULL)
        return FAIL(err, E_MEMORY, "no memory to look at the blobs");
    blob_folder(blobs, walk->path);
    walk->all = opendir(walk->path);
    if (walk->all == NULL) {
        (void)file_fail(err, errno, "open the directory", walk->path);
        blob_walk_close(walk);
        return false;
    }
    *out_walk = walk;
    return true;
}

void blob_walk_close(struct blob_walk *walk)
{
    if (walk == NULL)
        return;
    if (walk->fanout != NULL)
        (void)closedir(walk->fanout); /* it was only read */
    if (walk->all != NULL)
        (void)closedir(walk->all); /* as well */
    free(walk);
}

/* Opens the next of the directories in blobs/; none is left when it is still NULL. */
static bool open_fanout(struct blob_walk *walk, struct error *err)
{
    for (struct dirent *entry; (entry = readdir(walk->all)) != NULL;) {
        char path[PATH_MAX];
        if (strlen(entry->d_name) != FANOUT_CHARS || entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%.2s", walk->path, entry->d_name);
        walk->fanout = opendir(path);
        if (walk->fanout != NULL)
            return true;
        if (errno != ENOTDIR)
            return file_fail(err, errno, "open the directory", path);
    }
    return true;
}

/* The next blob of the directory; "" when there is none. */
static void read_fanout(struct blob_walk *walk, char out_id[static DIGEST_ID_BYTES])
{
    for (struct dirent *entry; (entry = readdir(walk->fanout)) != NULL;) {
        char hex[DIGEST_HEX_BYTES];
        struct error ignored; /* a name that is no digest is no blob */
        (void)snprintf(out_id, DIGEST_ID_BYTES, "sha256:%.64s", entry->d_name);
        if (strlen(entry->d_name) == DIGEST_HEX_BYTES - 1 && digest_parse_id(out_id, hex, &ignored))
            return;
    }
    out_id[0] = '\0';
}

bool blob_walk_next(struct blob_walk *walk, char out_id[static DIGEST_ID_BYTES], struct error *err)
{
    out_id[0] = '\0';
    for (;;) {
        if (walk->fanout == NULL && !open_fanout(walk, err))
            return false;
        if (walk->fanout == NULL)
            return true;
        read_fanout(walk, out_id);
        if (out_id[0] != '\0')
            return true;
        (void)closedir(walk->fanout); /* it was only read */
        walk->fanout = NULL;
    }
}

bool blob_walk(struct blobs *blobs, bool (*visit)(void *context, const char *id, struct error *err),
               void *context, struct error *err)
{
    struct blob_walk *walk;
    char id[DIGEST_ID_BYTES];
    if (!blob_walk_open(blobs, &walk, err))
        return false;
    bool ok = true, more = true;
    while (ok && more) {
        ok = blob_walk_next(walk, id, err);
        more = ok && id[0] != '\0';
        ok = ok && (!more || visit(context, id, err));
    }
    blob_walk_close(walk);
    return ok;
}
