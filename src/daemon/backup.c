/* ptqd backup and restore: the data directory copied to another one, and back. */

#include "commands.h"
#include "state_owner.h"

#include "ptqd/store/store_backup.h"

#include <inttypes.h>
#include <stdio.h>

/* A directory that was there keeps its owner, who is to have what is in it as well. */
static int copy(const char *command, const char *from, const char *to)
{
    struct error err = {0};
    struct store_backup backup;
    struct arena *arena = command_arena(&err);
    bool ok =
        arena != NULL && store_backup(from, to, arena, &backup, &err) && state_owner_give(to, &err);
    if (ok)
        printf("%s%zu files, %" PRIu64 " bytes, and the database are in '%s'; %zu finding%s\n",
               backup.report, backup.files, backup.bytes, to, backup.findings,
               backup.findings == 1 ? "" : "s");
    arena_destroy(arena);
    if (!ok)
        return command_fail(command, &err);
    return backup.findings > 0;
}

int command_backup(const struct settings *settings, const struct arguments *arguments)
{
    if (arguments->word_count != 1)
        return STATUS_USAGE;
    return copy("backup", settings->data, arguments->words[0]);
}

int command_restore(const struct settings *settings, const struct arguments *arguments)
{
    if (arguments->word_count != 1)
        return STATUS_USAGE;
    return copy("restore", arguments->words[0], settings->data);
}
