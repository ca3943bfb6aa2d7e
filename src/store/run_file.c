/* The last checkpoint of each run that is not finished. */

#include "ptqd/store/run_file.h"

#include "ptqd/base/file.h"
#include "ptqd/store/run_row.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
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
    if (!print_path(directory, run, path, err))
        return false;
    return unlink(path) == 0 || errno == ENOENT || file_fail(err, errno, "remove", path);
}

/* A name that is no run's is that of a half-written file. */
static bool is_wanted(struct database *database, const char *name, struct arena *arena,
                      bool *out_wanted, struct error *err)
{
    struct arena_mark mark = arena_mark(arena);
    struct run_row row;
    struct error reason = {.message = ""};
    bool found = run_row_find(database, name, arena, &row, &reason);
    arena_reset(arena, mark);
    if (!found && reason.code != E_NOT_FOUND) {
        *err = reason;
        return false;
    }
    *out_wanted = found && (row.state == RUN_QUEUED || row.state == RUN_RUNNING);
    return true;
}

static bool collect(DIR *files, struct database *database, const char *directory,
                    struct arena *arena, struct error *err)
{
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        bool wanted;
        if (entry->d_name[0] == '.')
            continue;
        if (!is_wanted(database, entry->d_name, arena, &wanted, err) ||
            (!wanted && !run_file_remove(directory, entry->d_name, err)))
            return false;
    }
    return true;
}

bool run_file_collect(struct database *database, const char *directory, struct error *err)
{
    char path[PATH_MAX];
    if (!print_path(directory, "", path, err))
        return false;
    DIR *files = opendir(path);
    if (files == NULL)
        return errno == ENOENT || file_fail(err, errno, "open the directory", path);
    struct arena *arena = arena_create(0);
    bool ok = arena != NULL ? collect(files, database, directory, arena, err)
                            : FAIL(err, E_MEMORY, "no memory to look through the checkpoints");
    arena_destroy(arena);
    (void)closedir(files); /* it was only read */
    return ok;
}
