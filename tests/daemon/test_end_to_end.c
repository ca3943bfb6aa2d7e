/* The program as a user meets it: a daemon in a directory of its own, curl's requests, and what
 * happens when it is killed. */

#include "session.h"

#include "support.h"

#include "ptqd/base/file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 48 };

static struct session session;
static struct error err;

static void setup(void)
{
    session_open(&session, SAMPLES);
    err = (struct error){0};
}

static void teardown(void)
{
    session_close(&session);
}

/* What a call says of a job or run: its id is where the target has a star. */
static const struct json *get(struct session *of, const char *target, const char *id)
{
    const char *name = strchr(target, '*');
    ck_assert_ptr_nonnull(name);
    return session_get(of, arena_printf(of->arena, &err, "/v1/%.*s%s%s", (int)(name - target),
                                        target, id, name + 1));
}

/* Waits until the job's only run is past `fraction`. */
static void wait_for_progress(const char *job, double fraction)
{
    session_wait_for(&session, arena_printf(session.arena, &err, "%s-v000-s0", job), NULL, -1,
                     fraction);
}

static void cancel(const char *job)
{
    session_call(&session, "POST", arena_printf(session.arena, &err, "/v1/jobs/%s/cancel", job), "",
                 200);
}

/* ---- jobs ---- */

static const char quick[] = "\"seeds\":2,\"pipeline\":{\"weights\":{\"bits\":[4,8]},"
                            "\"optimize\":{\"iterations\":50},\"postprocess\":{\"epochs\":2}}";

/* Long enough to be interrupted: bias tuning takes most of it. */
static const char slow[] = "\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":3},"
                           "\"optimize\":{\"iterations\":200},\"postprocess\":{\"epochs\":200}}";
/* The same, but the layers take most of it. */
static const char layers[] = "\"seeds\":1,\"pipeline\":{\"weights\":{\"bits\":3},"
                             "\"optimize\":{\"variable\":\"round\",\"iterations\":50000},"
                             "\"postprocess\":{\"epochs\":2}}";
static const char endless[] = "\"seeds\":1,\"pipeline\":{\"optimize\":{\"iterations\":100000},"
                              "\"postprocess\":{\"epochs\":1000}}";

START_TEST(a_job_goes_from_upload_to_artifact)
{
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, quick);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");

    const struct json *report = get(&session, "jobs/*/report", job);
    const struct json *variants = json_find(report, "variants");
    ck_assert_uint_eq(json_count(variants), 2);
    /* The labels are what the network itself says. */
    ck_assert_double_eq_tol(session_number(json_find(report, "float"), "accuracy"), 1, 1e-12);
    for (const struct json *v = json_first(variants); v != NULL; v = json_next(v)) {
        double accuracy = session_number(json_find(v, "accuracy"), "mean");
        ck_assert_double_gt(accuracy, 0.2);
        ck_assert_double_eq_tol(accuracy + session_number(json_find(v, "loss"), "mean"), 1, 1e-12);
        ck_assert_double_gt(session_number(json_find(v, "cost"), "bops"), 0);
        ck_assert_double_eq(session_number(json_find(v, "accuracy"), "n"), 2);
    }

    const char *run = arena_printf(session.arena, &err, "%s-v001-s1", job);
    struct reply artifact =
        client_get(session.program.port,
                   arena_printf(session.arena, &err, "/v1/runs/%s/artifacts/model.onnx", run));
    ck_assert_int_eq(artifact.status, 200);
    ck_assert_uint_gt(artifact.size, 1000);
    /* What the daemon made is a network that it accepts in turn, or refuses by operator. */
    struct reply again =
        client_call(session.program.port, "POST", "/v1/models", NULL, artifact.body, artifact.size);
    ck_assert_int_eq(again.status, 422);
    ck_assert_msg(support_contains(again.body, "QuantizeLinear"), "%s", again.body);
    reply_free(&again);
    reply_free(&artifact);
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

/* Ids of the artifacts, SHA-256 of their bytes, and what else the run leaves. */
static const char *bits_of(struct session *of, const char *job)
{
    static const char *const details[] = {"runs/*/losses", "runs/*/histograms", "runs/*/memory"};
    const char *id = arena_printf(session.arena, &err, "%s-v000-s0", job);
    const struct json *artifacts = json_find(get(of, "runs/*", id), "artifacts");
    const char *bits = json_print_string(artifacts, session.arena, NULL, &err);
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++)
        bits = arena_printf(session.arena, &err, "%s\n%s", bits,
                            json_print_string(get(of, details[i], id), session.arena, NULL, &err));
    return bits;
}

/* What the same job gives when nothing happens. */
static const char *undisturbed(const char *more)
{
    struct session other = session; /* the same files and arena */
    support_make_directory(other.directory, sizeof(other.directory));
    program_serve(&other.program, other.directory);
    const char *job = session_submit(&other, more);
    ck_assert_str_eq(session_finish(&other, job), "succeeded");
    const char *bits = bits_of(&other, job);
    ck_assert_int_eq(program_end(&other.program, SIGTERM), 0);
    support_remove_tree(other.directory);
    return bits;
}

/* Law: a crash changes no bit of a result. */
START_TEST(after_kill_9_the_run_finishes_with_the_same_bits)
{
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, slow);
    wait_for_progress(job, 0.1);
    ck_assert_int_eq(program_end(&session.program, SIGKILL), -SIGKILL);

    program_serve(&session.program, session.directory);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");
    const struct json *run =
        get(&session, "runs/*", arena_printf(session.arena, &err, "%s-v000-s0", job));
    ck_assert_double_eq(session_number(run, "attempts"), 2);
    ck_assert_str_eq(bits_of(&session, job), undisturbed(slow));
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

static bool has_checkpoint(const char *job)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/checkpoints/%s-v000-s0", session.directory, job);
    return access(path, F_OK) == 0;
}

static void wait_for_checkpoint(const char *job)
{
    enum { LAYER_MS = 60 * 1000 }; /* the first layer takes 10 s under the thread sanitizer */
    long end = client_now_ms() + LAYER_MS;
    while (!has_checkpoint(job)) {
        ck_assert_msg(client_now_ms() < end, "no checkpoint");
        usleep(2000);
    }
}

/* Laws: killed at any moment, a run decides nothing again that its checkpoint has, gives the bits
 * that it would have given, and leaves no file behind. */
START_TEST(after_kill_9_the_run_goes_on_from_its_checkpoint)
{
    char log[8192];
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, layers);
    wait_for_checkpoint(job);
    ck_assert_int_eq(program_end(&session.program, SIGKILL), -SIGKILL);

    program_serve(&session.program, session.directory);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");
    ck_assert_str_eq(bits_of(&session, job), undisturbed(layers));
    ck_assert_int_eq(program_end_log(&session.program, SIGTERM, log, sizeof(log)), 0);
    ck_assert(!has_checkpoint(job));
    ck_assert_msg(support_contains(log, "run=j1-v000-s0 msg=\"run goes on from its checkpoint\" "
                                        "step=reconstruct units="),
                  "%s", log);
    ck_assert_msg(!support_contains(log, "units=0"), "%s", log);
}
END_TEST

/* Law: a checkpoint that a disk has changed is told of and not used. */
START_TEST(a_damaged_checkpoint_only_costs_time)
{
    char log[8192], path[512];
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, layers);
    wait_for_checkpoint(job);
    ck_assert_int_eq(program_end(&session.program, SIGKILL), -SIGKILL);
    (void)snprintf(path, sizeof(path), "%s/checkpoints/%s-v000-s0", session.directory, job);
    ck_assert_ok(file_write(path, "ptqdckpt", 8, &err), &err);

    program_serve(&session.program, session.directory);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");
    ck_assert_str_eq(bits_of(&session, job), undisturbed(layers));
    ck_assert_int_eq(program_end_log(&session.program, SIGTERM, log, sizeof(log)), 0);
    ck_assert_msg(support_contains(log, "a checkpoint is not used") &&
                      support_contains(log, "8 bytes that are no checkpoint"),
                  "%s", log);
}
END_TEST

START_TEST(a_cancelled_run_leaves_no_checkpoint)
{
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, layers);
    wait_for_checkpoint(job);
    cancel(job);
    ck_assert_str_eq(session_finish(&session, job), "cancelled");
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0); /* what was discarded is gone */
    ck_assert(!has_checkpoint(job));
}
END_TEST

START_TEST(after_sigterm_the_run_finishes_with_the_same_bits)
{
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, slow);
    wait_for_progress(job, 0.1);
    long start = client_now_ms();
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
    ck_assert_int_lt(client_now_ms() - start, 3000);

    program_serve(&session.program, session.directory);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");
    ck_assert_str_eq(bits_of(&session, job), undisturbed(slow));
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

START_TEST(a_running_job_is_cancelled_within_a_second)
{
    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, endless);
    wait_for_progress(job, 0);
    long start = client_now_ms();
    cancel(job);
    ck_assert_str_eq(session_finish(&session, job), "cancelled");
    ck_assert_int_lt(client_now_ms() - start, support_short() ? 10000 : 1000);
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

/* ---- ptqd run ---- */

static const char *write_sample(const char *name, const struct sample_file *file)
{
    const char *path = file_join(session.arena, session.directory, name, &err);
    ck_assert_ok(file_write(path, file->bytes, file->size, &err), &err);
    return path;
}

static const char *write_spec(const char *more)
{
    write_sample("model.onnx", &session.files.model);
    write_sample("calib.npy", &session.files.calibration);
    write_sample("x.npy", &session.files.evaluation);
    write_sample("y.npy", &session.files.labels);
    const char *text = arena_printf(session.arena, &err,
                                    "{\"model\":\"model.onnx\",\"calibration\":\"calib.npy\","
                                    "\"evaluation\":{\"path\":\"x.npy\",\"labels\":\"y.npy\"},%s}",
                                    more);
    const struct sample_file spec = {(const uint8_t *)text, strlen(text)};
    return write_sample("spec.json", &spec);
}

/* The details that `ptqd run` wrote are what the daemon answers. */
static void check_details(const char *run, const char *folder)
{
    static const struct {
        const char *file, *call, *member;
    } details[] = {{"losses.json", "runs/*/losses", "units"},
                   {"histograms.json", "runs/*/histograms", "layers"},
                   {"memory.json", "runs/*/memory", "steps"}};
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
        char *text;
        size_t size;
        struct json *written;
        ck_assert_ok(file_read(session.arena,
                               file_join(session.arena, folder, details[i].file, &err), 1 << 20,
                               &text, &size, &err),
                     &err);
        ck_assert_ok(json_parse(session.arena, text, size, NULL, &written, &err), &err);
        const struct json *answer = get(&session, details[i].call, run);
        ck_assert_msg(json_equal(json_find(written, details[i].member),
                                 json_find(answer, details[i].member)),
                      "%s", details[i].file);
        ck_assert_uint_gt(json_count(json_find(answer, details[i].member)), 0);
    }
    ck_assert_int_eq(access(file_join(session.arena, folder, "log.json", &err), F_OK), 0);
}

/* Law: without the daemon the same bits come out. */
START_TEST(ptqd_run_gives_the_same_artifact_as_the_daemon)
{
    char out[300], text[4096], *model;
    size_t size;
    (void)snprintf(out, sizeof(out), "%s/out", session.directory);
    const char *const line[] = {"run", write_spec(quick), "--out", out, NULL};
    ck_assert_msg(program_run(line, text, sizeof(text)) == 0, "%s", text);
    ck_assert_msg(support_contains(text, "| v001    | 8 "), "%s", text);
    const char *report = file_join(session.arena, out, "report.json", &err);
    ck_assert_ok(file_read(session.arena, report, 1 << 20, &model, &size, &err), &err);
    ck_assert_ok(file_read(session.arena,
                           file_join(session.arena, out, "runs/v001-1/model.onnx", &err), 1 << 20,
                           &model, &size, &err),
                 &err);

    program_serve(&session.program, session.directory);
    const char *job = session_submit(&session, quick);
    ck_assert_str_eq(session_finish(&session, job), "succeeded");
    struct reply artifact =
        client_get(session.program.port,
                   arena_printf(session.arena, &err, "/v1/runs/%s-v001-s1/artifacts/model.onnx",
                                job));
    ck_assert_uint_eq(artifact.size, size);
    ck_assert_int_eq(memcmp(artifact.body, model, size), 0);
    reply_free(&artifact);
    check_details(arena_printf(session.arena, &err, "%s-v001-s1", job),
                  file_join(session.arena, out, "runs/v001-1", &err));
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
}
END_TEST

START_TEST(ptqd_run_fails_when_a_run_fails)
{
    char out[300], text[4096];
    (void)snprintf(out, sizeof(out), "%s/out", session.directory);
    const char *const line[] = {"run", write_spec(quick), "--out", out, NULL};
    const struct sample_file broken = {session.files.model.bytes, session.files.model.size / 2};
    write_sample("model.onnx", &broken);
    ck_assert_int_eq(program_run(line, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "model model.onnx"), "%s", text);
    ck_assert_msg(support_contains(text, "ptqd: run: 3 more failed in the same way"), "%s", text);
    ck_assert_msg(!support_contains(text, "| v000"), "%s", text);
    char *problem;
    size_t size;
    ck_assert_ok(file_read(session.arena,
                           file_join(session.arena, out, "runs/v000-0/problem.json", &err), 1 << 20,
                           &problem, &size, &err),
                 &err);
    ck_assert_msg(support_contains(problem, "\"pointer\": \"/model\""), "%s", problem);
}
END_TEST

/* Law: a file that is not there is told once, before anything is computed. */
START_TEST(ptqd_run_looks_for_its_files_first)
{
    char out[300], text[4096];
    (void)snprintf(out, sizeof(out), "%s/out", session.directory);
    const char *const line[] = {"run", write_spec(quick), "--out", out, NULL};
    ck_assert_int_eq(unlink(file_join(session.arena, session.directory, "model.onnx", &err)), 0);
    ck_assert_int_eq(program_run(line, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "model.onnx': No such file or directory (at /model)"),
                  "%s", text);
    ck_assert_int_ne(access(out, F_OK), 0);
}
END_TEST

/* Law: what an earlier call has left does not say how this one ended. */
START_TEST(ptqd_run_again_leaves_one_ending)
{
    char out[300], text[4096];
    (void)snprintf(out, sizeof(out), "%s/out", session.directory);
    const char *const line[] = {"run", write_spec(quick), "--out", out, NULL};
    const char *problem = file_join(session.arena, out, "runs/v000-0/problem.json", &err);
    const char *result = file_join(session.arena, out, "runs/v000-0/result.json", &err);
    const struct sample_file broken = {session.files.model.bytes, session.files.model.size / 2};
    write_sample("model.onnx", &broken);
    ck_assert_int_eq(program_run(line, text, sizeof(text)), 1);
    ck_assert(access(problem, F_OK) == 0 && access(result, F_OK) != 0);
    write_sample("model.onnx", &session.files.model);
    ck_assert_msg(program_run(line, text, sizeof(text)) == 0, "%s", text);
    ck_assert(access(problem, F_OK) != 0 && access(result, F_OK) == 0);
    write_sample("model.onnx", &broken);
    ck_assert_int_eq(program_run(line, text, sizeof(text)), 1);
    ck_assert(access(problem, F_OK) == 0 && access(result, F_OK) != 0);
}
END_TEST

/* ---- the command line ---- */

static const struct {
    const char *line[8];
    int status;
    const char *fragment;
} lines[] = {
    {{"--version"}, 0, "ptqd "},
    {{"--help"}, 0, "--run-memory"},
    {{"-h"}, 0, "  token revoke NAME "},
    {{"backup", "--help"}, 0, "  backup DIR  "},
    {{"nonsense"}, 2, "\"nonsense\" is not a command"},
    {{"serve", "word", "--config", "/dev/null"}, 2, "usage: ptqd serve"},
    {{"check", "word", "--config", "/dev/null"}, 2, "       ptqd check --repair"},
    {{"migrate", "--repair", "--config", "/dev/null"}, 2, "usage: ptqd migrate"},
    {{"backup", "x", "--out", "y", "--config", "/dev/null"}, 2, "usage: ptqd backup DIR"},
    {{"serve", "--prot", "1"}, 2, "--prot is not an option"},
    {{"serve", "--port"}, 2, "--port needs a value"},
    {{"serve", "--port", "70000"}, 2, "port is 70000; 0 to 65535 are supported"},
    {{"serve", "--config", "/nonexistent"}, 2, "/nonexistent"},
    {{"run", "spec.json"}, 2, "usage: ptqd run"},
    {{"run", "/nonexistent.json", "--out", "/tmp/x", "--config", "/dev/null"},
     1,
     "/nonexistent.json"},
    {{"token", "add", "x"}, 2, "usage: ptqd token"},
};

START_TEST(the_command_line_is_checked)
{
    char text[8192];
    ck_assert_int_eq(program_run(lines[_i].line, text, sizeof(text)), lines[_i].status);
    ck_assert_msg(support_contains(text, lines[_i].fragment), "%s", text);
}
END_TEST

START_TEST(only_loopback_is_served_without_a_token)
{
    char text[8192];
    const char *const serve[] = {"serve",  "--config", "/dev/null", "--data",  session.directory,
                                 "--port", "0",        "--address", "0.0.0.0", NULL};
    ck_assert_int_eq(program_run(serve, text, sizeof(text)), 1);
    ck_assert_msg(support_contains(text, "no token is configured, so anybody could use 0.0.0.0"),
                  "%s", text);
}
END_TEST

START_TEST(a_token_that_was_added_is_needed_and_works)
{
    char token[256], text[1024];
    const char *const add[] = {"token",    "add",       "anna",   "admin",
                               "--config", "/dev/null", "--data", session.directory,
                               NULL};
    ck_assert_int_eq(program_run(add, token, sizeof(token)), 0);
    token[64] = '\0';
    program_serve(&session.program, session.directory);
    session_call(&session, "GET", "/v1/jobs", NULL, 401);
    session.headers = arena_printf(session.arena, &err, "Authorization: Bearer %s\r\n", token);
    (void)session_get(&session, "/v1/jobs"); /* that it answers is what counts */
    const char *const list[] = {"token",           "list", "--config", "/dev/null", "--data",
                                session.directory, NULL};
    ck_assert_int_eq(program_run(list, text, sizeof(text)), 0);
    ck_assert_msg(support_contains(text, "anna") && !support_contains(text, token), "%s", text);
    ck_assert_int_eq(program_end(&session.program, SIGTERM), 0);
    const char *const check[] = {"check",  "--config",        "/dev/null",
                                 "--data", session.directory, NULL};
    ck_assert_int_eq(program_run(check, text, sizeof(text)), 0);
    ck_assert_msg(support_contains(text, "0 findings"), "%s", text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("end to end");
    TCase *tcase = tcase_create("end to end");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_job_goes_from_upload_to_artifact);
    tcase_add_test(tcase, after_kill_9_the_run_finishes_with_the_same_bits);
    tcase_add_test(tcase, after_kill_9_the_run_goes_on_from_its_checkpoint);
    tcase_add_test(tcase, a_damaged_checkpoint_only_costs_time);
    tcase_add_test(tcase, a_cancelled_run_leaves_no_checkpoint);
    tcase_add_test(tcase, after_sigterm_the_run_finishes_with_the_same_bits);
    tcase_add_test(tcase, a_running_job_is_cancelled_within_a_second);
    tcase_add_test(tcase, ptqd_run_gives_the_same_artifact_as_the_daemon);
    tcase_add_test(tcase, ptqd_run_fails_when_a_run_fails);
    tcase_add_test(tcase, ptqd_run_looks_for_its_files_first);
    tcase_add_test(tcase, ptqd_run_again_leaves_one_ending);
    tcase_add_loop_test(tcase, the_command_line_is_checked, 0,
                        (int)(sizeof(lines) / sizeof(lines[0])));
    tcase_add_test(tcase, only_loopback_is_served_without_a_token);
    tcase_add_test(tcase, a_token_that_was_added_is_needed_and_works);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
