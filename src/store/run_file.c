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

typedef bool (*name_fn)(void *context, const char *name, struct error *err);

/* Half-written files are among them; a folder that is not there has none. */
static bool each_file(const char *directory, name_fn act, void *context, struct error *err)
{
    char path[PATH_MAX];
    if (!print_path(directory, "", path, err))
        return false;
    DIR *files = opendir(path);
    if (files == NULL)
        return errno == ENOENT || file_fail(err, errno, "open the directory", path);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(files)) != NULL;) {
        if (entry->d_name[0] != '.')
            ok = act(context, entry->d_name, err);
    }
    (void)closedir(files); /* it was only read */
    return ok;
}

struct job_files {
    const char *directory, *job; /* borrowed */
};

/* "j1-v000-s0" is the job's, "j12-v000-s0" and "j1-v000-s0.123-4.tmp" are not. */
static bool remove_of_job(void *context, const char *name, struct error *err)
{
    const struct job_files *files = context;
    size_t length = strlen(files->job);
    bool of_job =
        strncmp(name, files->job, length) == 0 && name[length] == '-' && strchr(name, '.') == NULL;
    return !of_job || run_file_remove(files->directory, name, err);
}

bool run_file_remove_job(const char *directory, const char *job, struct error *err)
{
    struct job_files files = {directory, job};
    return each_file(directory, remove_of_job, &files, err);
}

struct folder_walk;

/* `row` is NULL when the name is no run's: that of a half-written file, or of a run that is gone.
 */
typedef bool (*visit_fn)(const struct folder_walk *walk, const char *name,
                         const struct run_row *row, struct error *err);

struct folder_walk {
    const char *directory;     /* borrowed */
    struct store *store;       /* borrowed; NULL where nothing is written */
    struct database *database; /* borrowed */
    visit_fn visit;
    struct arena *arena;
};

static bool visit_file(void *context, const char *name, struct error *err)
{
    const struct folder_walk *walk = context;
    struct arena_mark mark = arena_mark(walk->arena);
    struct run_row row;
    struct error reason = {.message = ""};
    bool found = run_row_find(walk->database, name, walk->arena, &row, &reason);
    bool ok = found || reason.code == E_NOT_FOUND;
    if (ok)
        ok = walk->visit(walk, name, found ? &row : NULL, err);
    else
        *err = reason;
    arena_reset(walk->arena, mark);
    return ok;
}

static bool visit_files(struct folder_walk *walk, struct error *err)
{
    walk->arena = arena_create(0);
    bool ok =
        (walk->arena != NULL || FAIL(err, E_MEMORY, "no memory to look through the checkpoints")) &&
        each_file(walk->directory, visit_file, walk, err);
    arena_destroy(walk->arena);
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
    struct folder_walk walk = {.directory = directory,
                               .database = database,
                               .visit = remove_unwanted};
    return visit_files(&walk, err);
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
    struct folder_walk walk = {.directory = directory, .store = store, .visit = count_progress};
    return store_reader(store, &walk.database, err) && visit_files(&walk, err);
}
