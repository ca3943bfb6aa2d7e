/* ptqd backup and restore as an operator uses them: beside a daemon at work. */

#include "client.h"
#include "program.h"
#include "sample_files.h"
#include "support.h"

#include "ptqd/base/file.h"
#include "ptqd/json/json.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 3, PATH_BYTES = 320 };

static struct arena *arena;
static char directory[256], state[PATH_BYTES], copy[PATH_BYTES], restored[PATH_BYTES];
static struct sample_files files;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    support_make_directory(directory, sizeof(directory));
    (void)snprintf(state, sizeof(state), "%s/state", directory);
    (void)snprintf(copy, sizeof(copy), "%s/copy", directory);
    (void)snprintf(restored, sizeof(restored), "%s/restored", directory);
    sample_files_create(arena, 12, &files);
    err = (struct error){0};
}

static void teardown(void)
{
    support_remove_tree(directory);
    arena_destroy(arena);
}

/* The text of a member, in `memory`. */
static const char *member(const struct reply *reply, const char *key, struct arena *memory)
{
    struct json *value;
    const char *text;
    struct error reason = {0};
    ck_assert_ok(json_parse(memory, reply->body, reply->size, NULL, &value, &reason), &reason);
    ck_assert_ok(json_as_string(json_find(value, key), &text, &reason), &reason);
    return text;
}

static const char *post(int port, const char *target, const void *bytes, size_t size,
                        struct arena *memory)
{
    struct reply reply = client_call(port, "POST", target, NULL, bytes, size);
    ck_assert_msg(reply.status >= 200 && reply.status < 300, "%s: %d %s", target, reply.status,
                  reply.body);
    const char *id = member(&reply, "id", memory);
    reply_free(&reply);
    return id;
}

static const char *make_spec(int port)
{
    return arena_printf(arena, &err,
                        "{\"model\":\"%s\",\"calibration\":\"%s\",\"seeds\":1,\"pipeline\":{"
                        "\"weights\":{\"bits\":8}"
                        ",\"optimize\":{\"iterations\":20},\"postprocess\":{\"epochs\":1}}}",
                        post(port, "/v1/models", files.model.bytes, files.model.size, arena),
                        post(port, "/v1/datasets", files.calibration.bytes, files.calibration.size,
                             arena));
}

struct client {
    pthread_t thread;
    int port;
    const char *spec;
    struct arena *memory;
    atomic_bool *ends;
    atomic_int acknowledged; /* ids[0 … acknowledged − 1] are written */
    const char *ids[4096];
};

static void *submit_on_and_on(void *context)
{
    struct client *client = context;
    int count = 0;
    while (!atomic_load(client->ends) && count < 4096) {
        client->ids[count] =
            post(client->port, "/v1/jobs", client->spec, strlen(client->spec), client->memory);
        atomic_store(&client->acknowledged, ++count);
    }
    return NULL;
}

static void run_command(const char *command, const char *argument, const char *data, int status,
                        const char *fragment)
{
    char text[8192];
    const char *const line[] = {command, "--config", "/dev/null", "--data", data, argument, NULL};
    int got = program_run(line, text, sizeof(text));
    ck_assert_msg(got == status && support_contains(text, fragment), "%s: %d: %s", command, got,
                  text);
}

static void wait_for_job(int port, const char *job)
{
    char target[128];
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s?wait=8", job);
    const char *text = "queued";
    for (int i = 0; i < 6 && (strcmp(text, "queued") == 0 || strcmp(text, "running") == 0); i++) {
        struct reply reply = client_get(port, target);
        ck_assert_msg(reply.status == 200, "%s: %d %s", job, reply.status, reply.body);
        text = arena_strdup(arena, member(&reply, "state", arena), &err);
        reply_free(&reply);
    }
    ck_assert_str_eq(text, "succeeded");
}

/* Laws: every job that was acknowledged before the backup began is in it; it is sound; a daemon
 * started in what was restored from it finishes those jobs. */
START_TEST(a_backup_under_load_is_restored)
{
    static struct client clients[CLIENTS];
    struct program program;
    atomic_bool ends = false;
    int before[CLIENTS];
    program_serve(&program, state);
    const char *spec = make_spec(program.port);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){
            .port = program.port, .spec = spec, .memory = arena_create(0), .ends = &ends};
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, submit_on_and_on, &clients[i]),
                         0);
    }
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    for (int i = 0; i < CLIENTS; i++) {
        while (atomic_load(&clients[i].acknowledged) < 10 && client_now_ms() < end)
            usleep(1000);
        before[i] = atomic_load(&clients[i].acknowledged);
        ck_assert_int_ge(before[i], 10);
    }
    run_command("backup", copy, state, 0, "; 0 findings");
    atomic_store(&ends, true);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
    ck_assert_int_eq(program_end(&program, SIGKILL), -SIGKILL);

    run_command("check", NULL, copy, 0, "0 findings");
    run_command("check", "--repair", copy, 0, "0 findings");
    run_command("restore", copy, restored, 0, "; 0 findings");
    run_command("restore", copy, restored, 1, "is not empty");
    program_serve(&program, restored);
    for (int i = 0; i < CLIENTS; i++) {
        for (int j = 0; j < before[i]; j++) {
            char target[128];
            (void)snprintf(target, sizeof(target), "/v1/jobs/%s", clients[i].ids[j]);
            struct reply reply = client_get(program.port, target);
            ck_assert_msg(reply.status == 200, "%s: %d %s", target, reply.status, reply.body);
            reply_free(&reply);
        }
        wait_for_job(program.port, clients[i].ids[0]);
        arena_destroy(clients[i].memory);
    }
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
}
END_TEST

START_TEST(a_backup_needs_a_directory_of_its_own)
{
    struct program program;
    program_serve(&program, state);
    run_command("check", "--repair", state, 1, "another ptqd is using the directory");
    run_command("backup", NULL, state, 2, "usage: ptqd backup DIR");
    run_command("backup", state, state, 1, "is not empty");
    run_command("backup", copy, copy, 1, "ptqd.db");
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
}
END_TEST

/* Laws: where there is no database nothing is sound, and nothing is made; files whose database is
 * lost stay. */
START_TEST(a_check_needs_a_database)
{
    struct program program;
    char path[PATH_BYTES + 16];
    run_command("check", NULL, state, 1, "can't open the database");
    ck_assert_int_ne(access(state, F_OK), 0);
    program_serve(&program, state);
    (void)make_spec(program.port);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    (void)snprintf(path, sizeof(path), "%s/ptqd.db", state);
    ck_assert_int_eq(rename(path, copy), 0);
    run_command("check", NULL, state, 1, "can't open the database");
    run_command("check", "--repair", state, 1, "can't open the database");
    ck_assert_int_eq(rename(copy, path), 0);
    run_command("check", NULL, state, 0, "0 findings");
}
END_TEST

/* Law: the daemon deletes what is past its time by itself, and says so. */
START_TEST(old_jobs_are_deleted_by_the_daemon)
{
    struct program program;
    char log[8192], target[128];
    program_serve(&program, state);
    const char *spec = make_spec(program.port);
    const char *job = post(program.port, "/v1/jobs", spec, strlen(spec), arena);
    wait_for_job(program.port, job);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    sqlite3 *database;
    (void)snprintf(log, sizeof(log), "%s/ptqd.db", state);
    ck_assert_int_eq(sqlite3_open(log, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, "UPDATE job SET finished_ms = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);

    const char *const keep[] = {"--keep-jobs-days", "30", NULL};
    program_serve_with(&program, state, keep);
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s", job);
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    int status = 200;
    while (status == 200 && client_now_ms() < end) {
        struct reply reply = client_get(program.port, target);
        status = reply.status;
        reply_free(&reply);
        usleep(2000);
    }
    ck_assert_int_eq(status, 404);
    ck_assert_int_eq(program_end_log(&program, SIGTERM, log, sizeof(log)), 0);
    ck_assert_msg(support_contains(log,
                                   "deleted what is past its time\" jobs=1 models=0 datasets=0"),
                  "%s", log);
    run_command("check", NULL, state, 0, "0 findings");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tcase = tcase_create("backup");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_backup_under_load_is_restored);
    tcase_add_test(tcase, a_backup_needs_a_directory_of_its_own);
    tcase_add_test(tcase, a_check_needs_a_database);
    tcase_add_test(tcase, old_jobs_are_deleted_by_the_daemon);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
