/* Pins: blob_commit lists the blob before it renames the file to its name, and blob_remove looks at
 * the list and unlinks under one lock. So whichever comes first, a file whose commit has returned
 * is there: it was pinned before the look, or renamed after the unlink. What is unpinned moves to a
 * second list, whose entries the store's writer looks at: a blob that got no row has no other way
 * to be noticed before the next start.
 */

#include "ptqd/store/blob.h"

#include "blob_walk.h"

#include "ptqd/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "/blobs/ab/<64 hex>" and "/tmp/<pid>-<counter>" fit behind the directory: no path is cut. */
enum { PATH_TAIL_BYTES = 96, FANOUT_CHARS = 2 };

struct pin {
    char hex[DIGEST_HEX_BYTES];
    struct pin *next;
};

struct blobs {
    char directory[PATH_MAX - PATH_TAIL_BYTES];
    atomic_uint counter; /* of temporary names */
    pthread_mutex_t lock;
    struct pin *pinned, *loose; /* one for each commit, until it is unpinned, then looked at */
};

struct blob_writer {
    struct blobs *blobs; /* borrowed */
    struct digest *digest;
    struct pin *pin; /* made beforehand, so that a commit needs no memory */
    int fd;
    bool broken; /* an append failed */
    uint64_t size, limit;
    char expected[DIGEST_HEX_BYTES]; /* "": any content will do */
    char path[PATH_MAX];             /* under tmp/ */
};

static bool clear_directory(const char *path, struct error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return file_fail(err, errno, "open the directory", path);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != EISDIR)
            ok = file_fail(err, errno, "clear", path);
    }
    (void)closedir(directory); /* it was only read */
    return ok;
}

static bool make_directories(const struct blobs *blobs, bool clear, struct error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/blobs", blobs->directory);
    if (!file_make_directory(path, err))
        return false;
    (void)snprintf(path, sizeof(path), "%s/tmp", blobs->directory);
    return file_make_directory(path, err) && (!clear || clear_directory(path, err));
}

bool blobs_open(const char *directory, bool clear, struct blobs **out_blobs, struct error *err)
{
    struct blobs *blobs = calloc(1, sizeof(*blobs));
    if (blobs == NULL)
        return FAIL(err, E_MEMORY, "no memory for the blobs of '%s'", directory);
    (void)pthread_mutex_init(&blobs->lock, NULL); /* can't fail with default attributes */
    int length = snprintf(blobs->directory, sizeof(blobs->directory), "%s", directory);
    bool ok = (length >= 0 && (size_t)length < sizeof(blobs->directory)) ||
              file_fail(err, ENAMETOOLONG, "keep blobs in", directory);
    if (!ok || !make_directories(blobs, clear, err)) {
        blobs_close(blobs);
        return false;
    }
    *out_blobs = blobs;
    return true;
}

static void free_pins(struct pin *pin)
{
    while (pin != NULL) {
        struct pin *next = pin->next;
        free(pin);
        pin = next;
    }
}

void blobs_close(struct blobs *blobs)
{
    if (blobs == NULL)
        return;
    free_pins(blobs->pinned);
    free_pins(blobs->loose);
    pthread_mutex_destroy(&blobs->lock);
    free(blobs);
}

/* ---- pins ---- */

static void push(struct pin **list, struct pin *pin)
{
    pin->next = *list;
    *list = pin;
}

/* Takes the first entry of the blob out of the list; NULL without one. */
static struct pin *take(struct pin **list, const char *hex)
{
    while (*list != NULL && strcmp((*list)->hex, hex) != 0)
        list = &(*list)->next;
    struct pin *pin = *list;
    if (pin != NULL)
        *list = pin->next;
    return pin;
}

static bool is_listed(const struct pin *list, const char *hex)
{
    while (list != NULL && strcmp(list->hex, hex) != 0)
        list = list->next;
    return list != NULL;
}

static void pin_blob(struct blobs *blobs, struct pin *pin, const char *hex)
{
    (void)snprintf(pin->hex, sizeof(pin->hex), "%s", hex);
    pthread_mutex_lock(&blobs->lock);
    push(&blobs->pinned, pin);
    pthread_mutex_unlock(&blobs->lock);
}

static void unpin(struct blobs *blobs, const char *hex)
{
    pthread_mutex_lock(&blobs->lock);
    struct pin *pin = take(&blobs->pinned, hex);
    if (pin != NULL)
        push(&blobs->loose, pin);
    pthread_mutex_unlock(&blobs->lock);
}

void blob_unpin(struct blobs *blobs, const char *id)
{
    char hex[DIGEST_HEX_BYTES];
    struct error ignored; /* what is no id was never pinned */
    if (digest_parse_id(id, hex, &ignored))
        unpin(blobs, hex);
}

bool blob_is_pinned(struct blobs *blobs, const char *id)
{
    char hex[DIGEST_HEX_BYTES];
    struct error ignored; /* as above */
    if (!digest_parse_id(id, hex, &ignored))
        return false;
    pthread_mutex_lock(&blobs->lock);
    bool pinned = is_listed(blobs->pinned, hex) || is_listed(blobs->loose, hex);
    pthread_mutex_unlock(&blobs->lock);
    return pinned;
}

void blob_first_loose(struct blobs *blobs, char out_id[static DIGEST_ID_BYTES])
{
    pthread_mutex_lock(&blobs->lock);
    if (blobs->loose != NULL)
        (void)snprintf(out_id, DIGEST_ID_BYTES, "sha256:%s", blobs->loose->hex);
    else
        out_id[0] = '\0';
    pthread_mutex_unlock(&blobs->lock);
}

void blob_forget_loose(struct blobs *blobs, const char *id)
{
    pthread_mutex_lock(&blobs->lock);
    struct pin *pin = take(&blobs->loose, id + strlen("sha256:"));
    pthread_mutex_unlock(&blobs->lock);
    free(pin);
}

/* ---- writing ---- */

static void writer_destroy(struct blob_writer *writer)
{
    if (writer->fd >= 0)
        (void)close(writer->fd); /* what mattered was synced */
    free(writer->pin);
    digest_destroy(writer->digest);
    free(writer);
}

bool blob_create(struct blobs *blobs, uint64_t limit_bytes, struct blob_writer **out_writer,
                 struct error *err)
{
    struct blob_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return FAIL(err, E_MEMORY, "no memory for a blob");
    *writer = (struct blob_writer){.blobs = blobs, .limit = limit_bytes, .fd = -1};
    (void)snprintf(writer->path, sizeof(writer->path), "%s/tmp/%ld-%u", blobs->directory,
                   (long)getpid(), atomic_fetch_add(&blobs->counter, 1));

    bool ok = false;
    writer->digest = digest_create(err);
    if (writer->digest == NULL)
        goto out;
    writer->pin = calloc(1, sizeof(*writer->pin));
    if (writer->pin == NULL) {
        (void)FAIL(err, E_MEMORY, "no memory for a blob");
        goto out;
    }
    writer->fd = open(writer->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (writer->fd < 0) {
        (void)file_fail(err, errno, "create", writer->path);
        goto out;
    }
    *out_writer = writer;
    ok = true;
out:
    if (!ok)
        writer_destroy(writer);
    return ok;
}

bool blob_append(struct blob_writer *writer, const void *bytes, size_t size, struct error *err)
{
    if (writer->limit != 0 && size > writer->limit - writer->size) {
        writer->broken = true;
        return FAIL(err, E_TOO_LARGE, "the file is larger than %" PRIu64 " bytes", writer->limit);
    }
    if (!file_write_all(writer->fd, bytes, size, writer->path, err)) {
        writer->broken = true;
        return false;
    }
    digest_update(writer->digest, bytes, size);
    writer->size += size;
    return true;
}

static void print_path(const struct blobs *blobs, const char *hex, char out_path[static PATH_MAX])
{
    (void)snprintf(out_path, PATH_MAX, "%s/blobs/%.*s/%.64s", blobs->directory, FANOUT_CHARS, hex,
                   hex);
}

/* Makes blobs/ab when it is missing. It has to survive a power cut, and who finds it there can't
 * know whether who made it has synced it, or could: so blobs/ is synced every time. */
static bool make_fanout(const char *path, struct error *err)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
    return (access(parent, F_OK) == 0 || file_make_directory(parent, err)) &&
           file_sync_parent(parent, err);
}

static bool put_in_place(struct blob_writer *writer, const char *hex, struct error *err)
{
    char path[PATH_MAX];
    print_path(writer->blobs, hex, path);
    if (writer->broken)
        return FAIL(err, E_IO, "'%s' is incomplete: an earlier write failed", writer->path);
    if (fsync(writer->fd) != 0)
        return file_fail(err, errno, "fsync", writer->path);
    if (!make_fanout(path, err))
        return false;
    if (rename(writer->path, path) != 0)
        return file_fail(err, errno, "rename a new blob to", path);
    return file_sync_parent(path, err);
}

int blob_descriptor(const struct blob_writer *writer)
{
    return writer->fd;
}

bool blob_expect(struct blob_writer *writer, const char *id, struct error *err)
{
    return digest_parse_id(id, writer->expected, err);
}

bool blob_commit(struct blob_writer *writer, char out_id[static DIGEST_ID_BYTES],
                 uint64_t *out_size, struct error *err)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(writer->digest, hex);
    if (writer->expected[0] != '\0' && strcmp(writer->expected, hex) != 0) {
        FAIL(err, E_INVALID, "what came is sha256:%s, not sha256:%s", hex, writer->expected);
        blob_abandon(writer);
        return false;
    }
    pin_blob(writer->blobs, writer->pin, hex);
    writer->pin = NULL;
    if (!put_in_place(writer, hex, err)) {
        unpin(writer->blobs, hex); /* the rename may have gone well, and only the sync failed */
        blob_abandon(writer);
        return false;
    }
    (void)snprintf(out_id, DIGEST_ID_BYTES, "sha256:%s", hex);
    *out_size = writer->size;
    writer_destroy(writer);
    return true;
}

void blob_abandon(struct blob_writer *writer)
{
    if (writer == NULL)
        return;
    (void)unlink(writer->path); /* what stays is cleared at the next start */
    writer_destroy(writer);
}

/* ---- reading ---- */

static bool find_path(const struct blobs *blobs, const char *id, char out_path[static PATH_MAX],
                      struct error *err)
{
    char hex[DIGEST_HEX_BYTES];
    if (!digest_parse_id(id, hex, err))
        return false;
    print_path(blobs, hex, out_path);
    return true;
}

static bool fail_missing(struct error *err, const char *id)
{
    return FAIL(err, E_NOT_FOUND, "there is no file %s", id);
}

bool blob_open(struct blobs *blobs, const char *id, int *out_fd, uint64_t *out_size,
               struct error *err)
{
    char path[PATH_MAX];
    if (!find_path(blobs, id, path, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? fail_missing(err, id) : file_fail(err, errno, "open", path);
    struct stat status;
    if (fstat(fd, &status) != 0) {
        int reason = errno;
        (void)close(fd); /* opened for reading */
        return file_fail(err, reason, "look at", path);
    }
    *out_fd = fd;
    *out_size = (uint64_t)status.st_size;
    return true;
}

bool blob_path(struct blobs *blobs, const char *id, struct arena *arena, const char **out_path,
               struct error *err)
{
    char path[PATH_MAX];
    if (!find_path(blobs, id, path, err))
        return false;
    if (access(path, R_OK) != 0)
        return errno == ENOENT ? fail_missing(err, id) : file_fail(err, errno, "read", path);
    char *copy = arena_strdup(arena, path, err);
    if (copy == NULL)
        return false;
    *out_path = copy;
    return true;
}

bool blob_set_aside(struct blobs *blobs, const char *id, struct error *err)
{
    char path[PATH_MAX], folder[PATH_MAX], lost[PATH_MAX];
    if (!find_path(blobs, id, path, err))
        return false;
    (void)snprintf(folder, sizeof(folder), "%s/lost", blobs->directory);
    (void)snprintf(lost, sizeof(lost), "%s/lost/%.64s", blobs->directory, strrchr(path, '/') + 1);
    if (!file_make_directory(folder, err))
        return false;
    if (rename(path, lost) != 0)
        return errno == ENOENT ? fail_missing(err, id) : file_fail(err, errno, "move", path);
    return file_sync_parent(lost, err) && file_sync_parent(path, err);
}

bool blob_remove(struct blobs *blobs, const char *id, struct error *err)
{
    char path[PATH_MAX], hex[DIGEST_HEX_BYTES];
    if (!digest_parse_id(id, hex, err))
        return false;
    print_path(blobs, hex, path);
    pthread_mutex_lock(&blobs->lock);
    int reason = is_listed(blobs->pinned, hex) || unlink(path) == 0 ? 0 : errno;
    pthread_mutex_unlock(&blobs->lock);
    if (reason == 0)
        return true;
    return reason == ENOENT ? fail_missing(err, id) : file_fail(err, reason, "remove", path);
}

void blob_folder(const struct blobs *blobs, char out_path[static BLOB_FOLDER_BYTES])
{
    (void)snprintf(out_path, BLOB_FOLDER_BYTES, "%s/blobs", blobs->directory);
}
