/* ptqd token: add, change, list, revoke; beside a running daemon, which sees the change with its
 * next request, or without. */

#include "commands.h"

#include "ptqd/api/api.h"
#include "ptqd/base/digest.h"
#include "ptqd/base/text.h"
#include "ptqd/store/store.h"
#include "ptqd/store/token_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static bool apply_insert(struct database *database, void *context, struct error *err)
{
    return token_row_insert(database, context, err);
}

static bool apply_change(struct database *database, void *context, struct error *err)
{
    return token_row_change(database, context, err);
}

static bool apply_delete(struct database *database, void *context, struct error *err)
{
    return token_row_delete(database, context, err);
}

/* A limit of the command line as the token's own; one that was not given is the daemon's, whatever
 * the configuration says here. */
static int64_t own_limit(bool given, int64_t limit)
{
    return !given ? 0 : limit == 0 ? QUOTA_NONE : limit;
}

enum { NAME_MAX_BYTES = 200 };

/* The row of `add` and `change`, but for the digest. */
static bool make_row(const struct settings *settings, const struct arguments *arguments,
                     struct token_row *out_row, struct error *err)
{
    const char *name = arguments->words[1], *role = arguments->words[2];
    if (api_role(role) == ACCESS_ANYBODY)
        return FAIL(err, E_INVALID, "\"%s\" is not a role; the roles are read, submit, admin",
                    role);
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return FAIL(err, E_INVALID, "the name has %zu bytes; 1 to %d are allowed", strlen(name),
                    (int)NAME_MAX_BYTES);
    int64_t stored = (int64_t)settings_bytes(settings->stored_mib);
    *out_row = (struct token_row){
        .name = name,
        .role = role,
        .quota = {.queued_runs = own_limit(arguments->queued_runs, settings->queued_runs),
                  .running_runs = own_limit(arguments->running_runs, settings->running_runs),
                  .stored_bytes = own_limit(arguments->stored, stored)},
    };
    return true;
}

/* 32 random bytes as text; only the digest is stored. */
static bool make_token(char out_token[static DIGEST_HEX_BYTES],
                       char out_digest[static DIGEST_HEX_BYTES], struct error *err)
{
    unsigned char random[32];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return FAIL(err, E_IO, "the system has no random numbers");
    return digest_bytes(random, sizeof(random), out_token, err) &&
           digest_bytes(out_token, strlen(out_token), out_digest, err);
}

static bool add_token(struct store *store, struct token_row *row, struct error *err)
{
    char token[DIGEST_HEX_BYTES], digest[DIGEST_HEX_BYTES];
    if (!make_token(token, digest, err))
        return false;
    row->digest = digest;
    if (!store_write_now(store, apply_insert, row, err))
        return false;
    printf("%s\n", token);
    if (fflush(stdout) != 0) /* also: before what follows, wherever both go */
        return FAIL(err, E_IO,
                    "the token '%s' is there, but could not be shown, and nobody knows it now: "
                    "revoke it",
                    row->name);
    fputs(
        "This is the only time it is shown. It is valid at once, also for a running daemon, which "
        "from now on serves nobody without a token.\n",
        stderr);
    return true;
}

static bool set_token(const struct settings *settings, const struct arguments *arguments,
                      struct store *store, struct error *err)
{
    struct token_row row;
    if (!make_row(settings, arguments, &row, err))
        return false;
    return strcmp(arguments->words[0], "add") == 0
               ? add_token(store, &row, err)
               : store_write_now(store, apply_change, &row, err);
}

static bool revoke_token(struct store *store, struct arena *arena, const char *name,
                         struct error *err)
{
    char *copy = arena_strdup(arena, name, err);
    return copy != NULL && store_write_now(store, apply_delete, copy, err);
}

/* Nothing for a limit that is the daemon's. */
static void print_limit(const char *name, int64_t limit, int64_t unit)
{
    if (limit == QUOTA_NONE)
        printf(" %s=unlimited", name);
    else if (limit > 0)
        printf(" %s=%" PRId64, name, limit / unit);
}

static bool list_tokens(struct store *store, struct arena *arena, struct error *err)
{
    struct database *database;
    struct token_row *rows;
    size_t count;
    if (!store_reader(store, &database, err) ||
        !token_row_list(database, arena, &rows, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        char created[TEXT_TIME_BYTES];
        text_time(rows[i].created_ms, created);
        printf("%-24s %-8s %s", rows[i].name, rows[i].role, created);
        print_limit("queued_runs", rows[i].quota.queued_runs, 1);
        print_limit("running_runs", rows[i].quota.running_runs, 1);
        print_limit("stored", rows[i].quota.stored_bytes, (int64_t)settings_bytes(1));
        putchar('\n');
    }
    return true;
}

int command_token(const struct settings *settings, const struct arguments *arguments)
{
    const char *const *words = arguments->words;
    size_t count = arguments->word_count;
    bool sets = count == 3 && (strcmp(words[0], "add") == 0 || strcmp(words[0], "change") == 0);
    bool lists = count == 1 && strcmp(words[0], "list") == 0;
    bool revokes = count == 2 && strcmp(words[0], "revoke") == 0;
    if (!sets && !lists && !revokes)
        return STATUS_USAGE;
    struct error err = {0};
    struct store *store = NULL;
    struct arena *arena = command_arena(&err);
    /* The first token may come before the daemon's first start. */
    const struct store_options options = {.guest = true, .existing = strcmp(words[0], "add") != 0};
    bool ok = arena != NULL && command_store_open(settings, &options, &store, &err) &&
              (sets    ? set_token(settings, arguments, store, &err)
               : lists ? list_tokens(store, arena, &err)
                       : revoke_token(store, arena, words[1], &err));
    store_close(store);
    arena_destroy(arena);
    return ok ? 0 : command_fail("token", &err);
}
