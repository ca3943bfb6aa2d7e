/* The configuration file: "name = value", one a line. A setting that is there twice is an error:
 * one of the two would have no effect. */

#include "settings_sources.h"

#include "ptqd/base/file.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_config[] = "/etc/ptqd/ptqd.conf";

struct ini_reader {
    FILE *file;
    struct settings *settings;
    struct arena *arena;
    struct error *err;
    int line;     /* that was read last; none is read behind one that failed */
    bool failed;  /* `err` says why */
    int *line_of; /* of each setting; 0: not yet */
};

/* The rest of a line does not become one of its own: inih has a buffer for 200 bytes. */
static bool skip_rest(FILE *file)
{
    int c = getc(file);
    bool more = c != EOF && c != '\n';
    while (c != EOF && c != '\n')
        c = getc(file);
    return more;
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return *line == '#' || *line == ';';
}

static char *read_config_line(char *out, int size, void *stream)
{
    struct ini_reader *reader = stream;
    if (reader->failed || fgets(out, size, reader->file) == NULL)
        return NULL;
    reader->line++;
    if (strchr(out, '\n') == NULL && skip_rest(reader->file) && !is_comment(out)) {
        reader->failed = true;
        FAIL(reader->err, E_INVALID,
             "the line has more than %d bytes; give the value as a variable or an option",
             size - 1);
    }
    return out;
}

static bool fail_unknown(const char *name, struct error *err)
{
    const char *nearest = settings_nearest(name);
    if (nearest != NULL)
        return FAIL(err, E_INVALID, "\"%s\" is not a setting; did you mean \"%s\"?", name, nearest);
    return FAIL(err, E_INVALID, "\"%s\" is not a setting", name);
}

static bool read_setting(struct ini_reader *reader, const char *name, const char *value)
{
    const struct param *param = param_find(settings_table(), name);
    if (param == NULL)
        return fail_unknown(name, reader->err);
    int *line = &reader->line_of[param - settings_table()->rows];
    if (*line > 0)
        return FAIL(reader->err, E_INVALID, "%s is given in line %d already", name, *line);
    *line = reader->line;
    return settings_set(reader->settings, reader->arena, param, value, reader->err);
}

static int on_ini_line(void *context, const char *section, const char *name, const char *value)
{
    struct ini_reader *reader = context;
    if (reader->failed) /* the line is too long */
        return false;
    bool ok = section[0] == '\0' ? read_setting(reader, name, value)
                                 : FAIL(reader->err, E_INVALID,
                                        "there are no sections, but here is [%s]", section);
    reader->failed = reader->failed || !ok;
    return ok;
}

static bool load_file(struct settings *settings, struct arena *arena, const char *path,
                      struct error *err)
{
    struct ini_reader reader = {
        .file = fopen(path, "re"),
        .settings = settings,
        .arena = arena,
        .err = err,
        .line_of = ARENA_ARRAY(arena, int, settings_table()->count, err),
    };
    if (reader.file == NULL)
        return file_fail(err, errno, "open", path);
    int line = reader.line_of == NULL
                   ? 0
                   : ini_parse_stream(read_config_line, &reader, on_ini_line, &reader);
    bool unread = ferror(reader.file); /* a directory can be opened */
    fclose(reader.file);               /* opened for reading */
    if (reader.line_of == NULL)
        return false;
    if (unread)
        return FAIL(err, E_IO, "can't read '%s': it is no file, or the disk has an error", path);
    if (line == 0 && !reader.failed)
        return true;
    if (line == 0) /* too long, and a blank one or a section to the library */
        line = reader.line;
    if (!reader.failed || line != reader.line)
        FAIL(err, E_SYNTAX, "this is not \"name = value\"");
    return error_context(err, "'%s', line %d", path, line);
}

bool settings_file_load(struct settings *settings, struct arena *arena, const char *path,
                        struct error *err)
{
    if (path == NULL)
        path = getenv("PTQD_CONFIG");
    if (path == NULL && access(default_config, F_OK) != 0)
        return true;
    return load_file(settings, arena, path != NULL ? path : default_config, err);
}
