#include "store_fixture.h"

#include "support.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static bool strikes(void *context)
{
    struct store_fixture_fault *fault = context;
    if (atomic_load(&fault->countdown) < 1 || atomic_fetch_sub(&fault->countdown, 1) != 1)
        return false;
    atomic_store(&fault->struck, true);
    return true;
}

void store_fixture_arm(struct store_fixture *fixture, int step)
{
    enum { STEPS_LEFT = 3 }; /* of this group: RELEASE, COMMIT, and a look for garbage */
    atomic_store(&fixture->fault.struck, false);
    atomic_store(&fixture->fault.countdown, step == 0 ? 0 : STEPS_LEFT + step);
}

static bool hold(struct database *database, void *context, struct error *err)
{
    struct store_holder *holder = context;
    (void)database;
    (void)err;
    uv_sem_post(&holder->entered);
    uv_sem_wait(&holder->go);
    return true;
}

void store_holder_begin(struct store_fixture *fixture, struct store_holder *holder)
{
    ck_assert_int_eq(uv_sem_init(&holder->entered, 0), 0);
    ck_assert_int_eq(uv_sem_init(&holder->go, 0), 0);
    holder->write = (struct store_write){.apply = hold, .context = holder};
    store_submit(fixture->store, &holder->write);
    uv_sem_wait(&holder->entered);
}

void store_holder_end(struct store_fixture *fixture, struct store_holder *holder)
{
    struct error err = {.message = ""};
    uv_sem_post(&holder->go);
    ck_assert_ok(store_wait(fixture->store, &holder->write, &err), &err);
    uv_sem_destroy(&holder->go);
    uv_sem_destroy(&holder->entered);
}

void store_fixture_open(struct store_fixture *fixture)
{
    struct error err = {.message = ""};
    struct store_options options = {
        .limits = fixture->limits,
        .fault = {.strikes = strikes, .context = &fixture->fault},
    };
    ck_assert_ok(store_open(fixture->directory, &options, &fixture->store, &err), &err);
}

void store_fixture_search(struct store_fixture *fixture)
{
    enum { PAUSE_US = 1000, PAUSES_MAX = 20 * 1000 };
    struct store_stats stats = {.searched = false};
    for (int i = 0; i < PAUSES_MAX && !stats.searched; i++) {
        usleep(PAUSE_US);
        store_read_stats(fixture->store, &stats);
    }
    ck_assert(stats.searched);
}

void store_fixture_close(struct store_fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

void store_fixture_blob(struct store_fixture *fixture, const char *text,
                        char out_id[static DIGEST_ID_BYTES])
{
    struct error err = {.message = ""};
    struct blob_writer *writer;
    uint64_t size;
    ck_assert_ok(blob_create(store_blobs(fixture->store), 0, &writer, &err), &err);
    ck_assert_ok(blob_append(writer, text, strlen(text), &err), &err);
    ck_assert_ok(blob_commit(writer, out_id, &size, &err), &err);
}

static bool insert_objects(struct database *database, void *context, struct error *err)
{
    const struct store_fixture *fixture = context;
    const char *datasets[] = {fixture->calibration, fixture->evaluation};
    bool known;
    struct model_row model = {
        .id = fixture->model,
        .name = "net",
        .owner = "ada",
        .format = "onnx",
        .detail = "{}",
        .bytes = 7,
    };
    if (!model_row_insert(database, &model, &known, err))
        return false;
    for (size_t i = 0; i < 2; i++) {
        struct dataset_row dataset = {
            .id = datasets[i],
            .name = "data",
            .owner = "ada",
            .detail = "{}",
            .bytes = 5,
            .samples = 10,
            .scale = 1,
        };
        if (!dataset_row_insert(database, &dataset, &known, err))
            return false;
    }
    return true;
}

void store_fixture_init(struct store_fixture *fixture)
{
    struct error err = {.message = ""};
    (void)support_make_directory(fixture->directory, sizeof(fixture->directory));
    fixture->arena = arena_create(0);
    ck_assert_ptr_nonnull(fixture->arena);
    store_fixture_open(fixture);
    store_fixture_blob(fixture, "a model", fixture->model);
    store_fixture_blob(fixture, "calibration", fixture->calibration);
    store_fixture_blob(fixture, "evaluation", fixture->evaluation);
    ck_assert_ok(store_write_now(fixture->store, insert_objects, fixture, &err), &err);
    blob_unpin(store_blobs(fixture->store), fixture->model);
    blob_unpin(store_blobs(fixture->store), fixture->calibration);
    blob_unpin(store_blobs(fixture->store), fixture->evaluation);
}

void store_fixture_finish(struct store_fixture *fixture)
{
    store_fixture_close(fixture);
    arena_destroy(fixture->arena);
    support_remove_tree(fixture->directory);
}

struct database *store_fixture_reader(struct store_fixture *fixture)
{
    struct error err = {.message = ""};
    struct database *database;
    ck_assert_ok(store_reader(fixture->store, &database, &err), &err);
    return database;
}

struct job_insert store_fixture_job(const struct store_fixture *fixture, const char *owner,
                                    size_t variants, size_t seeds)
{
    static const char *const choices[] = {"{\"bits\":2}", "{\"bits\":3}", "{\"bits\":4}",
                                          "{\"bits\":8}"};
    static const int64_t seed_list[] = {0, 1, 2, 3, 4, 5, 6, 7};
    ck_assert_uint_le(variants, 4);
    ck_assert_uint_le(seeds, 8);
    return (struct job_insert){
        .row =
            {
                .name = "",
                .owner = owner,
                .spec = "{}",
                .model = fixture->model,
                .calibration = fixture->calibration,
                .evaluation = fixture->evaluation,
            },
        .choices = choices,
        .variant_count = variants,
        .seeds = seed_list,
        .seed_count = seeds,
    };
}

/* The arguments and answers of one write. */
struct call {
    struct store_fixture *fixture;
    const struct job_insert *insert;
    const struct run_outcome *outcome;
    const char *id;
    char *out_id;
    bool flag;
    int64_t runs;
    struct run_row run;
};

static bool apply_submit(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    struct job_inserted inserted;
    if (!job_row_insert(database, call->insert, &inserted, err))
        return false;
    memcpy(call->out_id, inserted.id, sizeof(inserted.id));
    call->flag = inserted.replayed;
    return true;
}

bool store_fixture_try_submit(struct store_fixture *fixture, const struct job_insert *insert,
                              char out_id[static JOB_ID_BYTES], bool *out_replayed,
                              struct error *err)
{
    struct call call = {.insert = insert, .out_id = out_id};
    bool ok = store_write_now(fixture->store, apply_submit, &call, err);
    *out_replayed = call.flag;
    return ok;
}

void store_fixture_submit(struct store_fixture *fixture, const struct job_insert *insert,
                          char out_id[static JOB_ID_BYTES])
{
    struct error err = {.message = ""};
    bool replayed;
    ck_assert_ok(store_fixture_try_submit(fixture, insert, out_id, &replayed, &err), &err);
}

static bool apply_cancel(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return job_row_cancel(database, call->id, &call->runs, err);
}

static bool apply_retry(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return job_row_retry(database, call->id, &call->runs, err);
}

static bool apply_delete(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return job_row_delete(database, call->id, err);
}

bool store_fixture_cancel(struct store_fixture *fixture, const char *id, int64_t *out_runs,
                          struct error *err)
{
    struct call call = {.id = id};
    bool ok = store_write_now(fixture->store, apply_cancel, &call, err);
    *out_runs = call.runs;
    return ok;
}

bool store_fixture_retry(struct store_fixture *fixture, const char *id, int64_t *out_runs,
                         struct error *err)
{
    struct call call = {.id = id};
    bool ok = store_write_now(fixture->store, apply_retry, &call, err);
    *out_runs = call.runs;
    return ok;
}

bool store_fixture_delete(struct store_fixture *fixture, const char *id, struct error *err)
{
    struct call call = {.id = id};
    return store_write_now(fixture->store, apply_delete, &call, err);
}

static bool apply_claim(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    struct job_row job;
    return run_row_claim(database, "tester", call->fixture->arena, &call->run, &job, &call->flag,
                         err);
}

static bool apply_succeed(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return run_row_succeed(database, call->id, call->outcome, err);
}

static bool apply_fail(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    struct error problem = {.code = E_UNSUPPORTED, .message = "no such thing", .pointer = "/model"};
    return run_row_fail(database, call->id, &problem, err);
}

static bool apply_cancelled(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return run_row_cancelled(database, call->id, err);
}

static bool apply_requeue(struct database *database, void *context, struct error *err)
{
    struct call *call = context;
    return run_row_requeue(database, call->id, err);
}

bool store_fixture_claim(struct store_fixture *fixture, struct run_row *out_run)
{
    struct error err = {.message = ""};
    struct call call = {.fixture = fixture};
    ck_assert_ok(store_write_now(fixture->store, apply_claim, &call, &err), &err);
    if (call.flag)
        *out_run = call.run;
    return call.flag;
}

bool store_fixture_succeed(struct store_fixture *fixture, const char *id,
                           const struct run_outcome *outcome, struct error *err)
{
    struct call call = {.id = id, .outcome = outcome};
    return store_write_now(fixture->store, apply_succeed, &call, err);
}

bool store_fixture_fail(struct store_fixture *fixture, const char *id, struct error *err)
{
    struct call call = {.id = id};
    return store_write_now(fixture->store, apply_fail, &call, err);
}

bool store_fixture_cancelled(struct store_fixture *fixture, const char *id, struct error *err)
{
    struct call call = {.id = id};
    return store_write_now(fixture->store, apply_cancelled, &call, err);
}

bool store_fixture_requeue(struct store_fixture *fixture, const char *id, struct error *err)
{
    struct call call = {.id = id};
    return store_write_now(fixture->store, apply_requeue, &call, err);
}

struct job_row store_fixture_find_job(struct store_fixture *fixture, const char *id)
{
    struct error err = {.message = ""};
    struct job_row row;
    ck_assert_ok(job_row_find(store_fixture_reader(fixture), id, fixture->arena, &row, &err), &err);
    return row;
}

struct run_row store_fixture_find_run(struct store_fixture *fixture, const char *id)
{
    struct error err = {.message = ""};
    struct run_row row;
    ck_assert_ok(run_row_find(store_fixture_reader(fixture), id, fixture->arena, &row, &err), &err);
    return row;
}

void store_fixture_check(struct store_fixture *fixture)
{
    store_fixture_search(fixture);
    struct error err = {.message = ""};
    const char *report;
    size_t findings;
    ck_assert_ok(store_check(fixture->store, fixture->arena, &report, &findings, &err), &err);
    ck_assert_msg(findings == 0, "%zu findings:\n%s", findings, report);
}
