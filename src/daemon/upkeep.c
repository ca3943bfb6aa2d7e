/* ptqd check, migrate: small commands on the store, beside a running daemon or without. */

#include "commands.h"
#include "state_owner.h"

#include "ptqd/base/arena.h"
#include "ptqd/store/run_file.h"
#include "ptqd/store/store.h"
#include "ptqd/store/store_repair.h"

#include <stdio.h>

bool command_store_open(const struct settings *settings, const struct store_options *options,
                        struct store **out_store, struct error *err)
{
    return state_owner_become(settings->data, err) &&
           store_open(settings->data, options, out_store, err);
}

struct arena *command_arena(struct error *err)
{
    struct arena *arena = arena_create(0);
    if (arena == NULL)
        (void)FAIL(err, E_MEMORY, "no memory to begin with"); /* the caller sees NULL */
    return arena;
}

static bool check(const struct settings *settings, struct arena *arena, const char **out_report,
                  size_t *out_findings, struct error *err)
{
    const struct store_options options = {.guest = true, .existing = true};
    struct store *store = NULL;
    bool ok = command_store_open(settings, &options, &store, err) &&
              store_check(store, arena, out_report, out_findings, err);
    store_close(store);
    return ok;
}

/* The daemon must not run: what it has open would change under it. */
static bool repair(const struct settings *settings, struct arena *arena, const char **out_report,
                   size_t *out_findings, struct error *err)
{
    const struct store_options options = {.keep_orphans = true, .existing = true};
    struct store *store = NULL;
    struct database *database;
    bool ok = command_store_open(settings, &options, &store, err) &&
              store_repair(store, arena, out_report, out_findings, err) &&
              store_reader(store, &database, err) &&
              run_file_collect(database, settings->data, err);
    store_close(store);
    return ok;
}

int command_check(const struct settings *settings, const struct arguments *arguments)
{
    if (arguments->word_count > 0)
        return STATUS_USAGE;
    struct error err = {0};
    struct arena *arena = command_arena(&err);
    const char *report;
    size_t findings = 0;
    bool ok = arena != NULL &&
              (arguments->repair ? repair : check)(settings, arena, &report, &findings, &err);
    if (ok)
        printf("%s%zu finding%s\n", report, findings, findings == 1 ? "" : "s");
    arena_destroy(arena);
    if (!ok)
        return command_fail("check", &err);
    return findings > 0;
}

int command_migrate(const struct settings *settings, const struct arguments *arguments)
{
    if (arguments->word_count > 0)
        return STATUS_USAGE;
    struct error err = {0};
    struct store *store = NULL;
    const struct store_options options = {.existing = true};
    if (!command_store_open(settings, &options, &store, &err))
        return command_fail("migrate", &err);
    struct store_schema schema = store_schema(store);
    printf("schema %d, was %d\n", schema.now, schema.before);
    store_close(store);
    return 0;
}
