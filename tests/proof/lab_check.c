/* What an undisturbed daemon gives, and what a disturbed one has. */

#include "lab_private.h"

#include "client.h"
#include "program.h"
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLES = 48, JOB_DEADLINE_MS = 300 * 1000 };

/* Long enough to be hit before, between and behind checkpoints; one with several runs. */
static const char *const pipelines[LAB_PIPELINES] = {
    "\"seeds\":2,\"pipeline\":{\"weights\":{\"bits\":[4,8]},\"optimize\":{\"iterations\":50},"
    "\"postprocess\":{\"epochs\":2}}",
    "\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":3},\"optimize\":{\"variable\":\"round\","
    "\"iterations\":3000},\"postprocess\":{\"epochs\":2}}",
    "\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":3},\"optimize\":{\"iterations\":200},"
    "\"postprocess\":{\"epochs\":30}}",
    "\"seeds\":2,\"pipeline\":{\"weights\":{\"bits\":2},\"optimize\":{\"granularity\":\"network\","
    "\"epochs\":4}}",
};

static const struct json *get(int port, const char *target, int status, struct arena *arena)
{
    struct reply reply = client_get(port, target);
    ck_assert_msg(reply.status == status, "GET %s: %d %s", target, reply.status, reply.body);
    const struct json *value = lab_parse(reply.body, reply.size, arena);
    reply_free(&reply);
    return value;
}

/* ---- results ---- */

static const char *copy_member(const struct json *object, const char *key, struct arena *arena)
{
    struct error err = {.message = ""};
    const struct json *member = json_find(object, key);
    ck_assert_msg(member != NULL, "no %s", key);
    const char *text = json_print_string(member, arena, NULL, &err);
    ck_assert_ptr_nonnull(text);
    return text;
}

/* What runs gave, without times and attempts; a line each. */
static const char *results_of(int port, const char *job, struct arena *arena)
{
    static const char *const members[] = {"state",     "accuracy",  "loss",
                                          "agreement", "artifacts", "problem"};
    struct error err = {.message = ""};
    const char *text = "";
    char target[128];
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s/runs?limit=1000", job);
    const struct json *runs = json_find(get(port, target, 200, arena), "items");
    ck_assert_uint_gt(json_count(runs), 0);
    for (const struct json *run = json_first(runs); run != NULL; run = json_next(run)) {
        const char *id = lab_text(run, "id");
        text = arena_printf(arena, &err, "%s%s", text, strchr(id, '-'));
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
            text = arena_printf(arena, &err, "%s %s", text, copy_member(run, members[i], arena));
        (void)snprintf(target, sizeof(target), "/v1/runs/%s/layers", id);
        const struct json *layers = json_find(get(port, target, 200, arena), "layers");
        const char *printed = json_print_string(layers, arena, NULL, &err);
        ck_assert_ptr_nonnull(printed);
        text = arena_printf(arena, &err, "%s %s\n", text, printed);
    }
    return text;
}

static const char *wait_for(int port, const char *job, struct arena *arena)
{
    char target[128];
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s?wait=5", job);
    for (long end = client_now_ms() + JOB_DEADLINE_MS;;) {
        const char *state = lab_text(get(port, target, 200, arena), "state");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
            return state;
        ck_assert_msg(client_now_ms() < end, "job %s is %s for ever", job, state);
    }
}

/* ---- the undisturbed daemon ---- */

static const char *put(int port, const char *target, const struct sample_file *file)
{
    struct reply reply = client_call(port, "POST", target, NULL, file->bytes, file->size);
    ck_assert_msg(reply.status == 201, "%d %s", reply.status, reply.body);
    const char *id = lab_text(lab_parse(reply.body, reply.size, lab.arena), "id");
    reply_free(&reply);
    return id;
}

void lab_upload_files(int port)
{
    struct error err = {.message = ""};
    const char *model = put(port, "/v1/models", &lab.files.model);
    const char *calibration = put(port, "/v1/datasets", &lab.files.calibration);
    const char *evaluation = put(port, "/v1/datasets", &lab.files.evaluation);
    const char *labels = put(port, "/v1/datasets", &lab.files.labels);
    for (int i = 0; i < LAB_PIPELINES; i++)
        lab.specs[i] = arena_printf(lab.arena, &err,
                                    "{\"model\":\"%s\",\"calibration\":\"%s\",\"evaluation\":"
                                    "{\"id\":\"%s\",\"labels\":\"%s\"},%s}",
                                    model, calibration, evaluation, labels, pipelines[i]);
}

static void compute_results(void)
{
    char directory[256];
    struct program program;
    support_make_directory(directory, sizeof(directory));
    program_serve(&program, directory);
    lab_upload_files(program.port);
    for (int i = 0; i < LAB_PIPELINES; i++) {
        struct reply reply =
            client_call(program.port, "POST", "/v1/jobs", NULL, lab.specs[i], strlen(lab.specs[i]));
        ck_assert_msg(reply.status == 202, "%d %s", reply.status, reply.body);
        const char *job = lab_text(lab_parse(reply.body, reply.size, lab.arena), "id");
        reply_free(&reply);
        ck_assert_str_eq(wait_for(program.port, job, lab.arena), "succeeded");
        lab.results[i] = results_of(program.port, job, lab.arena);
    }
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    support_remove_tree(directory);
}

void lab_open(unsigned seed)
{
    lab.arena = arena_create(0);
    ck_assert_ptr_nonnull(lab.arena);
    lab.upload_count = lab.job_count = 0;
    lab.notes = (struct lab_notes){0};
    sample_files_create(lab.arena, SAMPLES, &lab.files);
    lab_prepare_clients(seed);
    compute_results();
}

void lab_close(void)
{
    lab_release_clients();
    arena_destroy(lab.arena);
}

/* ---- the disturbed one ---- */

size_t lab_count_lost(int port)
{
    char target[160];
    size_t lost = 0;
    for (size_t i = 0; i < lab.upload_count; i++) {
        if (lab.uploads[i].fate == FATE_IN_DOUBT)
            continue;
        (void)snprintf(target, sizeof(target), "/v1/datasets/%s", lab.uploads[i].id);
        struct reply reply = client_get(port, target);
        lost += reply.status != (lab.uploads[i].fate == FATE_THERE ? 200 : 404);
        reply_free(&reply);
    }
    for (size_t i = 0; i < lab.job_count; i++) {
        if (lab.jobs[i].id[0] == '\0')
            continue;
        (void)snprintf(target, sizeof(target), "/v1/jobs/%s", lab.jobs[i].id);
        struct reply reply = client_get(port, target);
        lost += reply.status != 200;
        reply_free(&reply);
    }
    return lost;
}

/* Runs of the job that failed, each with a reason that the user can't be blamed for. */
static size_t count_failed(int port, const char *job, struct arena *arena)
{
    char target[128];
    size_t count = 0;
    (void)snprintf(target, sizeof(target), "/v1/jobs/%s/runs?state=failed&limit=1000", job);
    const struct json *runs = json_find(get(port, target, 200, arena), "items");
    for (const struct json *run = json_first(runs); run != NULL; run = json_next(run)) {
        const char *code = lab_text(json_find(run, "problem"), "code");
        ck_assert_msg(strcmp(code, "io") == 0 || strcmp(code, "no-space") == 0, "%s",
                      copy_member(run, "problem", arena));
        count++;
    }
    return count;
}

size_t lab_retry_failed(int port)
{
    size_t failed = 0;
    for (size_t i = 0; i < lab.job_count; i++) {
        char target[128];
        struct arena *arena = arena_create(0);
        const char *id = lab.jobs[i].id;
        size_t of_job = 0;
        if (id[0] != '\0' && strcmp(wait_for(port, id, arena), "succeeded") != 0)
            of_job = count_failed(port, id, arena);
        if (of_job > 0) {
            (void)snprintf(target, sizeof(target), "/v1/jobs/%s/retry", id);
            struct reply reply = client_call(port, "POST", target, NULL, "", 0);
            ck_assert_msg(reply.status == 200, "%s: %d %s", target, reply.status, reply.body);
            reply_free(&reply);
        }
        failed += of_job;
        arena_destroy(arena);
    }
    return failed;
}

/* Jobs of the daemon, over all pages. */
static size_t count_jobs(int port)
{
    size_t count = 0;
    char target[128] = "/v1/jobs?limit=100";
    for (;;) {
        struct arena *arena = arena_create(0);
        const struct json *page = get(port, target, 200, arena);
        const char *next = lab_text(page, "next");
        count += json_count(json_find(page, "items"));
        (void)snprintf(target, sizeof(target), "/v1/jobs?limit=100&cursor=%s", next);
        bool last = next[0] == '\0';
        arena_destroy(arena);
        if (last)
            return count;
    }
}

/* They are too long for a message of libcheck: the place where they part says enough. */
static void check_results(const char *job, const char *results, const char *undisturbed)
{
    size_t same = 0;
    while (results[same] != '\0' && results[same] == undisturbed[same])
        same++;
    size_t from = same < 100 ? 0 : same - 100;
    if (results[same] != undisturbed[same])
        ck_abort_msg("job %s, byte %zu: \"%.200s\" instead of \"%.200s\"", job, same,
                     results + from, undisturbed + from);
}

void lab_check(int port)
{
    size_t in_doubt = 0;
    ck_assert_uint_eq(lab_count_lost(port), 0);
    for (size_t i = 0; i < lab.job_count; i++) {
        const struct lab_job *job = &lab.jobs[i];
        struct arena *arena = arena_create(0);
        in_doubt += job->id[0] == '\0';
        if (job->id[0] != '\0') {
            ck_assert_str_eq(wait_for(port, job->id, arena), "succeeded");
            check_results(job->id, results_of(port, job->id, arena), lab.results[job->pipeline]);
        }
        arena_destroy(arena);
    }
    size_t jobs = count_jobs(port);
    ck_assert_uint_ge(jobs, lab.job_count - in_doubt);
    ck_assert_uint_le(jobs, lab.job_count);
}

static void check_empty(const char *directory, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    DIR *files = opendir(path);
    ck_assert_msg(files != NULL, "%s", path);
    for (struct dirent *entry; (entry = readdir(files)) != NULL;)
        ck_assert_msg(entry->d_name[0] == '.', "%s/%s is left", path, entry->d_name);
    closedir(files);
}

void lab_check_directory(const char *directory)
{
    char text[4096];
    const char *const check[] = {"check", "--config", "/dev/null", "--data", directory, NULL};
    ck_assert_msg(program_run(check, text, sizeof(text)) == 0, "%s", text);
    ck_assert_msg(support_contains(text, "0 findings"), "%s", text);
    check_empty(directory, "tmp");
    check_empty(directory, "checkpoints");
}
