/* ptqd token: add, list, revoke; beside a running daemon, which sees the change with its next
 * request, or without. */

#include "commands.h"

#include "ptqd/api/api.h"
#include "ptqd/base/digest.h"
#include "ptqd/base/text.h"
#include "ptqd/store/store.h"
#include "ptqd/store/token_row.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static bool apply_insert(struct database *database, void *context, struct error *err)
{
    return token_row_insert(database, context, err);
}

static bool apply_delete(struct database *database, void *context, struct error *err)
{
    return token_row_delete(database, context, err);
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

static bool add_token(struct store *store, const char *name, const char *role, struct error *err)
{
    char token[DIGEST_HEX_BYTES], digest[DIGEST_HEX_BYTES];
    if (api_role(role) == ACCESS_ANYBODY)
        return FAIL(err, E_INVALID, "\"%s\" is not a role; the roles are read, submit, admin",
                    role);
    if (!make_token(token, digest, err))
        return false;
    struct token_row row = {.name = name, .role = role, .digest = digest};
    if (!store_write_now(store, apply_insert, &row, err))
        return false;
    printf("%s\n", token);
    fflush(stdout); /* before what follows, wherever both go */
    fputs(
        "This is the only time it is shown. It is valid at once, also for a running daemon, which "
        "from now on serves nobody without a token.\n",
        stderr);
    return true;
}

static bool revoke_token(struct store *store, struct arena *arena, const char *name,
                         struct error *err)
{
    char *copy = arena_strdup(arena, name, err);
    return copy != NULL && store_write_now(store, apply_delete, copy, err);
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
        printf("%-24s %-8s %s\n", rows[i].name, rows[i].role, created);
    }
    return true;
}

int command_token(const struct settings *settings, const struct arguments *arguments)
{
    const char *const *words = arguments->words;
    size_t count = arguments->word_count;
    bool adds = count == 3 && strcmp(words[0], "add") == 0;
    bool lists = count == 1 && strcmp(words[0], "list") == 0;
    bool revokes = count == 2 && strcmp(words[0], "revoke") == 0;
    if (!adds && !lists && !revokes) {
        fputs("usage: ptqd token add NAME read|submit|admin | list | revoke NAME\n", stderr);
        return STATUS_USAGE;
    }
    struct error err = {0};
    struct store *store = NULL;
    struct arena *arena = arena_create(0);
    bool ok = arena != NULL && command_store_open(settings, &store, &err) &&
              (adds    ? add_token(store, words[1], words[2], &err)
               : lists ? list_tokens(store, arena, &err)
                       : revoke_token(store, arena, words[1], &err));
    store_close(store);
    arena_destroy(arena);
    return ok ? 0 : command_fail("token", &err);
}
