/* The last checkpoint of each run that is not finished. */

#include "ptqd/store/run_file.h"

#include "ptqd/base/file.h"
#include "ptqd/store/run_row.h"
#include "ptqd/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "checkpoints";

/* "<directory>/checkpoints/<name>"; the folder itself when the name is "". */
static bool print_path(const char *directory, const char *name, char out_path[static PATH_MAX],
                       struct error *err)
{
    int length =
        snprintf(out_path, PATH_MAX, "%s/%s%s%s", directory, folder, name[0] ? "/" : "", name);
    return (length > 0 && length < PATH_MAX) ||
           file_fail(err, ENAMETOOLONG, "keep checkpoints in", directory);
}

/* Makes the folder when it is missing, so that it survives a power cut. */
static bool make_folder(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    return print_path(directory, "", path, err) &&
           (access(path, F_OK) == 0 ||
            (file_make_directory(path, err) && file_sync_parent(path, err)));
}

bool run_file_write(const char *directory, const char *run, const void *bytes, size_t size,
                    struct error *err)
{
    char path[PATH_MAX];
    return make_folder(directory, err) && print_path(directory, run, path, err) &&
           file_write(path, bytes, size, err);
}

bool run_file_read(struct arena *arena, const char *directory, const char *run, size_t limit_bytes,
                   const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    char path[PATH_MAX], *bytes;
    if (!print_path(directory, run, path, err) ||
        !file_read(arena, path, limit_bytes, &bytes, out_size, err))
        return false;
    *out_bytes = (const uint8_t *)bytes;
    return true;
}

bool run_file_remove(const char *directory, const char *run, struct error *err)
{
    char path[PATH_MAX];
    return print_path(directory, run, path, err) && file_remove(path, err);
}

/* ---- all files ---- */

/* "j1-v000-s0" is, "j12-v000-s0" and "j1-v000-s0.123-4.tmp" are not. */
static bool is_of_job(const char *name, const char *job)
{
    size_t length = strlen(job);
    return strncmp(name, job, length) == 0 && name[length] == '-' && strchr(name, '.') == NULL;
}

bool run_file_remove_job(const char *directory, const char *job, struct error *err)
{
    char path[PATH_MAX];
    if (!print_path(directory, "", path, err))
        return false;
    DIR *files = opendir(path);
    if (files == NULL)
        return errno == ENOENT || file_fail(err, errno, "open the directory", path);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(files)) != NULL;) {
        if (is_of_job(entry->d_name, job))
            ok = run_file_remove(directory, entry->d_name, err);
    }
    (void)closedir(files); /* it was only read */
    return ok;
}

struct folder_walk {
    const char *directory; /* borrowed */
    struct store *store;   /* borrowed; NULL where nothing is written */
    struct arena *arena;
};

/* `row` is NULL when the name is no run's: that of a half-written file, or of a run that is gone.
 */
typedef bool (*visit_fn)(const struct folder_walk *walk, const char *name,
                         const struct run_row *row, struct error *err);

static bool visit_file(const struct folder_walk *walk, struct database *database, const char *name,
                       visit_fn visit, struct error *err)
{
    struct arena_mark mark = arena_mark(walk->arena);
    struct run_row row;
    struct error reason = {.message = ""};
    bool found = run_row_find(database, name, walk->arena, &row, &reason);
    bool ok = found || reason.code == E_NOT_FOUND;
    if (ok)
        ok = visit(walk, name, found ? &row : NULL, err);
    else
        *err = reason;
    arena_reset(walk->arena, mark);
    return ok;
}

static bool visit_files(struct folder_walk *walk, struct database *database, visit_fn visit,
                        struct error *err)
{
    char path[PATH_MAX];
    if (!print_path(walk->directory, "", path, err))
        return false;
    DIR *files = opendir(path);
    if (files == NULL)
        return errno == ENOENT || file_fail(err, errno, "open the directory", path);
    walk->arena = arena_create(0);
    bool ok =
        walk->arena != NULL || FAIL(err, E_MEMORY, "no memory to look through the checkpoints");
    for (struct dirent *entry; ok && (entry = readdir(files)) != NULL;) {
        if (entry->d_name[0] != '.')
            ok = visit_file(walk, database, entry->d_name, visit, err);
    }
    arena_destroy(walk->arena);
    (void)closedir(files); /* it was only read */
    return ok;
}

static bool remove_unwanted(const struct folder_walk *walk, const char *name,
                            const struct run_row *row, struct error *err)
{
    return (row != NULL && (row->state == RUN_QUEUED || row->state == RUN_RUNNING)) ||
           run_file_remove(walk->directory, name, err);
}

bool run_file_collect(struct database *database, const char *directory, struct error *err)
{
    struct folder_walk walk = {.directory = directory};
    return visit_files(&walk, database, remove_unwanted, err);
}

/* ---- progress between crashes ---- */

static bool apply_progress(struct database *database, void *context, struct error *err)
{
    return run_row_progressed(database, context, err);
}

/* A crash between the two steps only lets the file count twice. */
static bool count_progress(const struct folder_walk *walk, const char *name,
                           const struct run_row *row, struct error *err)
{
    static const struct timespec counted[2];
    char path[PATH_MAX];
    struct stat status;
    if (row == NULL || row->state != RUN_RUNNING)
        return true;
    if (!print_path(walk->directory, name, path, err))
        return false;
    if (stat(path, &status) != 0)
        return file_fail(err, errno, "look at", path);
    if (status.st_mtim.tv_sec == counted[1].tv_sec)
        return true;
    char id[RUN_ID_BYTES];
    (void)snprintf(id, sizeof(id), "%s", row->id); /* as long as the other */
    return store_write_now(walk->store, apply_progress, id, err) &&
           (utimensat(AT_FDCWD, path, counted, 0) == 0 ||
            file_fail(err, errno, "set the time of", path));
}

bool run_file_recover(struct store *store, const char *directory, struct error *err)
{
    struct folder_walk walk = {.directory = directory, .store = store};
    struct database *database;
    return store_reader(store, &database, err) && visit_files(&walk, database, count_progress, err);
}
