/* Migrations. */

#include "database.h"
#include "schema.h"

#include "ptqd/store/store.h"
#include "support.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static char directory[256], path[300];
static struct database *database;
static struct error err;

static void setup(void)
{
    (void)support_make_directory(directory, sizeof(directory));
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", directory);
    ck_assert_ok(database_open(path, DATABASE_WRITE, &database, &err), &err);
}

static void teardown(void)
{
    database_close(database);
    support_remove_tree(directory);
}

/* The text of the whole schema, in `arena`. */
static const char *schema_text(struct database *from, struct arena *arena)
{
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(from->handle,
                                        "SELECT group_concat(type || ' ' || name || ' ' ||"
                                        " coalesce(sql, ''), char(10)) FROM"
                                        " (SELECT * FROM sqlite_schema ORDER BY type, name)",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    text = arena_strdup(arena, text == NULL ? "" : text, NULL);
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
    return text;
}

START_TEST(migrations_are_numbered_from_1_without_gaps)
{
    for (int i = 0; i < migration_count; i++) {
        char prefix[16];
        (void)snprintf(prefix, sizeof(prefix), "%04d_", i + 1);
        ck_assert_int_eq(migrations[i].version, i + 1);
        ck_assert_int_eq(strncmp(migrations[i].name, prefix, strlen(prefix)), 0);
    }
}
END_TEST

/* Law: wherever an older program stopped, migrating from there gives the schema of a new database,
 * and a second time changes nothing. */
START_TEST(every_older_version_migrates_to_the_newest)
{
    struct arena *arena = arena_create(0);
    ck_assert_ok(schema_migrate(database, INT_MAX, &err), &err);
    const char *newest = schema_text(database, arena);
    for (int older = 0; older <= migration_count; older++) {
        struct database *other;
        char other_path[320];
        int version;
        (void)snprintf(other_path, sizeof(other_path), "%s/%d.db", directory, older);
        ck_assert_ok(database_open(other_path, DATABASE_WRITE, &other, &err), &err);
        ck_assert_ok(schema_migrate(other, older, &err), &err);
        ck_assert_ok(schema_version(other, &version, &err), &err);
        ck_assert_int_eq(version, older);
        for (int again = 0; again < 2; again++) {
            ck_assert_ok(schema_migrate(other, INT_MAX, &err), &err);
            ck_assert_ok(schema_version(other, &version, &err), &err);
            ck_assert_int_eq(version, migration_count);
            ck_assert_str_eq(schema_text(other, arena), newest);
        }
        database_close(other);
    }
    arena_destroy(arena);
}
END_TEST

/* What version 2 holds, every kind of row: jobs of two owners, one finished, one with a label. */
static const char rows_of_version_2[] =
    "INSERT INTO job (name, owner, priority, spec, model, calibration, created_ms, queued)"
    "  VALUES ('a', 'ada', 0, '{}', 'm', 'c', 1, 2), ('b', 'bob', 0, '{}', 'm', 'c', 2, 1);"
    "INSERT INTO job_label VALUES (1, 'team', 'red'), (2, 'team', 'blue');"
    "INSERT INTO variant VALUES (1, 0, '{}'), (2, 0, '{}');"
    "INSERT INTO run (job, variant, seed, created_ms) VALUES (1, 0, 0, 1), (1, 0, 1, 1),"
    "  (2, 0, 0, 2);"
    "UPDATE run SET state = 'failed' WHERE job = 1 AND seed = 0;"
    "UPDATE run SET state = 'succeeded', result = '{\"accuracy\":0.5,\"layers\":[{\"bits\":4}]}'"
    "  WHERE job = 2;";

/* The number of rows that a query says are wrong. */
static void expect_none(const char *sql)
{
    int64_t wrong;
    ck_assert_ok(database_number(database, sql, &wrong, &err), &err);
    ck_assert_int_eq(wrong, 0);
}

START_TEST(the_rows_of_an_older_version_are_counted_labelled_and_summed_up)
{
    ck_assert_ok(schema_migrate(database, 2, &err), &err);
    ck_assert_ok(database_script(database, rows_of_version_2, &err), &err);
    ck_assert_ok(schema_migrate(database, INT_MAX, &err), &err);
    expect_none("SELECT count(*) FROM (SELECT 1, * FROM tally_counted EXCEPT SELECT * FROM tally)");
    expect_none(
        "SELECT count(*) FROM (SELECT 1, * FROM stored_counted EXCEPT SELECT * FROM stored)");
    expect_none("SELECT 2 - jobs_running - jobs_succeeded FROM tally");
    expect_none("SELECT 3 - runs_queued - runs_succeeded - runs_failed FROM tally");
    expect_none("SELECT 2 - count(*) FROM job_label JOIN job ON number = job"
                " WHERE (job_owner, job_state) = (owner, state)");
    expect_none("SELECT count(*) FROM run WHERE summary IS NOT iif(state = 'succeeded',"
                " '{\"accuracy\":0.5}', NULL)");
    expect_none("SELECT count(*) - 1 FROM run_result WHERE json_extract(result, '$.layers[0].bits')"
                " = 4");
}
END_TEST

/* Law: the rule for the state of a run is the same in every version. */
START_TEST(a_state_that_no_run_has_is_refused)
{
    static const char insert[] =
        "PRAGMA foreign_keys = OFF;"
        "INSERT INTO run (job, variant, seed, created_ms, state) VALUES (1, 0, %d, 1, '%s');";
    static const char *const states[] = {"queued", "running", "succeeded", "failed", "cancelled"};
    char sql[200];
    for (int version = 2; version <= migration_count; version++) {
        ck_assert_ok(schema_migrate(database, version, &err), &err);
        for (int i = 0; i < 5; i++) {
            (void)snprintf(sql, sizeof(sql), insert, 5 * version + i, states[i]);
            ck_assert_ok(database_script(database, sql, &err), &err);
        }
        (void)snprintf(sql, sizeof(sql), insert, -version, "asleep");
        ck_assert_fails(database_script(database, sql, &err), &err, E_CONFLICT, "CHECK");
    }
}
END_TEST

START_TEST(a_newer_schema_is_refused_with_both_versions)
{
    char pragma[64], message[128];
    ck_assert_ok(schema_migrate(database, INT_MAX, &err), &err);
    (void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", migration_count + 7);
    ck_assert_ok(database_script(database, pragma, &err), &err);
    (void)snprintf(message, sizeof(message),
                   "schema version %d; this program knows versions up to %d", migration_count + 7,
                   migration_count);

    struct store *store;
    struct store_options options = {.guest = false};
    ck_assert_fails(schema_migrate(database, INT_MAX, &err), &err, E_CONFLICT, message);
    ck_assert_fails(store_open(directory, &options, &store, &err), &err, E_CONFLICT, message);
}
END_TEST

START_TEST(the_database_of_another_program_is_refused)
{
    ck_assert_ok(database_script(database, "CREATE TABLE recipe (name TEXT)", &err), &err);
    ck_assert_fails(schema_migrate(database, INT_MAX, &err), &err, E_INVALID,
                    "not one of ptqd: its application id is 0");
}
END_TEST

static void expect_text(const char *query, const char *expected)
{
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle, query, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(statement, 0), expected);
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
}

/* Law: what had one owner belongs to that one, with the name and scale it had. */
START_TEST(owners_of_the_second_version_become_holders)
{
    ck_assert_ok(schema_migrate(database, 2, &err), &err);
    ck_assert_ok(
        database_script(database,
                        "INSERT INTO model VALUES (3, 'a', 'net', 'ada', 'onnx', '{}', 7, 11),"
                        " (5, 'b', '', 'bob', 'tflite', '{}', 8, 12);"
                        "INSERT INTO dataset VALUES"
                        " (2, 'c', 'data', 'eve', '{\"max\":1}', 9, 10, 0.5, 3, 13)",
                        &err),
        &err);
    ck_assert_ok(schema_migrate(database, INT_MAX, &err), &err);
    expect_text("SELECT group_concat(model || owner || name || created_ms) FROM"
                " (SELECT * FROM model_holder ORDER BY number)",
                "aadanet11,bbob12");
    expect_text("SELECT group_concat(number || id || format || bytes) FROM"
                " (SELECT * FROM model ORDER BY number)",
                "3aonnx7,5btflite8");
    expect_text("SELECT dataset || owner || name || detail || scale || zero_point || created_ms"
                " FROM dataset_holder",
                "cevedata{\"max\":1}0.53.013");
    expect_text("SELECT number || id || bytes || samples FROM dataset", "2c910");
}
END_TEST

static bool strikes_once(void *context)
{
    int *countdown = context;
    return *countdown > 0 && --*countdown == 0;
}

/* Law: a migration happens whole or not at all, and a later attempt completes it. */
START_TEST(a_migration_that_fails_leaves_the_version_before_it)
{
    for (int step = 1;; step++) {
        struct database *other;
        char other_path[320];
        int version, countdown = step;
        (void)snprintf(other_path, sizeof(other_path), "%s/step-%d.db", directory, step);
        ck_assert_ok(database_open(other_path, DATABASE_WRITE, &other, &err), &err);
        other->fault = (struct store_fault){.strikes = strikes_once, .context = &countdown};
        bool ok = schema_migrate(other, INT_MAX, &err);
        bool struck = countdown == 0;
        other->fault.strikes = NULL;
        ck_assert(ok != struck);
        ck_assert_ok(schema_migrate(other, INT_MAX, &err), &err);
        ck_assert_ok(schema_version(other, &version, &err), &err);
        ck_assert_int_eq(version, migration_count);
        database_close(other);
        if (!struck)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    TCase *cases = tcase_create("schema");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60); /* hundreds of databases are migrated, each write synced */
    tcase_add_test(cases, migrations_are_numbered_from_1_without_gaps);
    tcase_add_test(cases, every_older_version_migrates_to_the_newest);
    tcase_add_test(cases, the_rows_of_an_older_version_are_counted_labelled_and_summed_up);
    tcase_add_test(cases, a_state_that_no_run_has_is_refused);
    tcase_add_test(cases, owners_of_the_second_version_become_holders);
    tcase_add_test(cases, a_newer_schema_is_refused_with_both_versions);
    tcase_add_test(cases, the_database_of_another_program_is_refused);
    tcase_add_test(cases, a_migration_that_fails_leaves_the_version_before_it);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
