/* Law: what is kept of tokens is what the database says, whoever changes it. */

#include "database.h"
#include "store_fixture.h"

#include "support.h"

#include "ptqd/store/token_cache.h"

#include <stdio.h>
#include <string.h>

static struct store_fixture fixture;
static struct error err;

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

static bool insert(struct database *database, void *context, struct error *error)
{
    return token_row_insert(database, context, error);
}

static bool change(struct database *database, void *context, struct error *error)
{
    return token_row_change(database, context, error);
}

static bool delete (struct database *database, void *context, struct error *error)
{
    const struct token_row *row = context;
    return token_row_delete(database, row->name, error);
}

/* The role of the token; NULL when it is not found. */
static const char *role_of(const char *digest)
{
    struct token_row row;
    bool found;
    ck_assert_ok(token_cache_find(store_fixture_reader(&fixture), digest, &row, &found, &err),
                 &err);
    return found ? row.role : NULL;
}

static bool any(void)
{
    bool found;
    ck_assert_ok(token_cache_any(store_fixture_reader(&fixture), &found, &err), &err);
    return found;
}

/* By another connection of this process, and by one that another process could have. */
START_TEST(every_change_is_seen_at_once)
{
    struct store *guest;
    const struct store_options options = {.guest = true};
    ck_assert_ok(store_open(fixture.directory, &options, &guest, &err), &err);
    struct store *const writers[] = {fixture.store, guest};
    for (size_t i = 0; i < 2; i++) {
        struct token_row row = {.name = "ada", .role = "read", .digest = "a0b1c2"};
        ck_assert(!any());
        ck_assert_ptr_null(role_of("a0b1c2"));
        ck_assert_ok(store_write_now(writers[i], insert, &row, &err), &err);
        ck_assert(any());
        ck_assert_str_eq(role_of("a0b1c2"), "read");
        ck_assert_ptr_null(role_of("a0b1c3")); /* the same place */
        ck_assert_str_eq(role_of("a0b1c2"), "read");
        row.role = "admin";
        ck_assert_ok(store_write_now(writers[i], change, &row, &err), &err);
        ck_assert_str_eq(role_of("a0b1c2"), "admin");
        ck_assert_ok(store_write_now(writers[i], delete, &row, &err), &err);
        ck_assert_ptr_null(role_of("a0b1c2"));
        ck_assert(!any());
    }
    store_close(guest);
}
END_TEST

/* How often the connection has run a statement, since the last call. */
static int take_queries(void)
{
    struct database *database = store_fixture_reader(&fixture);
    int runs = 0;
    for (size_t i = 0; i < database->statement_count; i++)
        runs += sqlite3_stmt_status(database->statements[i].handle, SQLITE_STMTSTATUS_RUN, 1);
    return runs;
}

START_TEST(what_is_known_costs_no_query)
{
    struct token_row row = {.name = "ada", .role = "read", .digest = "a0b1c2"};
    ck_assert(!any());
    (void)take_queries(); /* the first look opens the log */
    ck_assert_ok(store_write_now(fixture.store, insert, &row, &err), &err);
    ck_assert(any());
    ck_assert_str_eq(role_of("a0b1c2"), "read");
    ck_assert_int_eq(take_queries(), 2);
    for (int i = 0; i < 100; i++) {
        ck_assert(any());
        ck_assert_str_eq(role_of("a0b1c2"), "read");
    }
    ck_assert_int_eq(take_queries(), 0);
    (void)role_of("a0ffff"); /* a guess takes nobody's place */
    ck_assert_int_eq(take_queries(), 1);
    ck_assert_str_eq(role_of("a0b1c2"), "read");
    ck_assert_int_eq(take_queries(), 0);
}
END_TEST

/* Law: more tokens than there are places, and several of one place, are all found. */
START_TEST(tokens_of_one_place_are_all_found)
{
    enum { TOKENS = 600 };
    char names[TOKENS][32], digests[TOKENS][32];
    for (int i = 0; i < TOKENS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "name %d", i);
        (void)snprintf(digests[i], sizeof(digests[i]), "%02x%04x", i % 200, i);
        struct token_row row = {.name = names[i], .role = "read", .digest = digests[i]};
        ck_assert_ok(store_write_now(fixture.store, insert, &row, &err), &err);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < TOKENS; i++) {
            struct token_row row;
            bool found;
            ck_assert_ok(token_cache_find(store_fixture_reader(&fixture), digests[i], &row, &found,
                                          &err),
                         &err);
            ck_assert(found);
            ck_assert_str_eq(row.name, names[i]);
        }
    }
}
END_TEST

/* Law: the log may begin anew, and be cut: what is committed then is seen as well. */
START_TEST(a_log_that_begins_anew_hides_nothing)
{
    char path[300];
    sqlite3 *other;
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", fixture.directory);
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    for (int i = 0; i < 5; i++) {
        struct token_row row = {.name = "ada", .role = "read", .digest = "a0b1c2"};
        ck_assert_ok(store_write_now(fixture.store, insert, &row, &err), &err);
        ck_assert_str_eq(role_of("a0b1c2"), "read");
        ck_assert_int_eq(sqlite3_exec(other, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                         SQLITE_OK);
        ck_assert_str_eq(role_of("a0b1c2"), "read");
        ck_assert_int_eq(sqlite3_exec(other, "DELETE FROM token", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_ptr_null(role_of("a0b1c2"));
    }
    ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token cache");
    TCase *cases = tcase_create("token cache");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, every_change_is_seen_at_once);
    tcase_add_test(cases, what_is_known_costs_no_query);
    tcase_add_test(cases, a_log_that_begins_anew_hides_nothing);
    tcase_add_test(cases, tokens_of_one_place_are_all_found);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
