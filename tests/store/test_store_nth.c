/* The n-th allocation and the n-th page that is written fail, for all n, while a job is submitted,
 * a run is claimed and a run is finished. (For the n-th SQL step: test_store_fault.c.)
 *
 * Laws: the call succeeds or says why (memory, io); it was done or not done at all; the database is
 * sound; the same call succeeds next. */

#include "store_fixture.h"
#include "support.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

static struct store_fixture fixture;

/* ---- what fails ---- */

/* The one that takes it to 0 fails; below 1: none. */
static atomic_int allocations_left, writes_left;
static atomic_bool struck;
static sqlite3_mem_methods memory;

static bool strikes(atomic_int *left)
{
    if (atomic_load(left) < 1 || atomic_fetch_sub(left, 1) != 1)
        return false;
    atomic_store(&struck, true);
    return true;
}

static void *failing_malloc(int size)
{
    return strikes(&allocations_left) ? NULL : memory.xMalloc(size);
}

static void *failing_realloc(void *bytes, int size)
{
    return strikes(&allocations_left) ? NULL : memory.xRealloc(bytes, size);
}

/* The pages of a commit are one write: each of them may fail, and then those before it are there.
 */
static ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    enum { PAGE_BYTES = 4096 };
    for (size_t good = 0; good < size; good += PAGE_BYTES) {
        if (strikes(&writes_left)) {
            (void)!pwrite(fd, bytes, good, offset); /* it fails anyway */
            errno = EIO;
            return -1;
        }
    }
    return pwrite(fd, bytes, size, offset);
}

/* Before SQLite is used for the first time. */
static bool stand_in_front(void)
{
    static const char *const names[] = {"pwrite64", "pwrite"};
    sqlite3_mem_methods failing;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK)
        return false;
    failing = memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK)
        return false;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    bool done = false; /* the library has one of the two */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        done |=
            vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)failing_pwrite) == SQLITE_OK;
    return done;
}

enum resource { ALLOCATION, WRITE, ARENA };

static const struct {
    enum resource resource;
    enum error_code code;
} kinds[] = {{ALLOCATION, E_MEMORY}, {WRITE, E_IO}, {ARENA, E_MEMORY}};

enum { KINDS_OF_ALL = 2, KINDS_WITH_ARENA = 3 };

static void arm(enum resource resource, int nth)
{
    atomic_store(&struck, false);
    atomic_store(&allocations_left, resource == ALLOCATION ? nth : 0);
    atomic_store(&writes_left, resource == WRITE ? nth : 0);
    arena_fail_at(fixture.arena, resource == ARENA ? (size_t)nth : 0);
}

/* ---- what is done ---- */

struct act {
    void (*prepare)(void);
    bool (*perform)(struct error *err);
    void (*check)(bool done); /* that it was done, or not at all */
};

static int64_t count_runs(enum run_state state)
{
    struct error err = {.message = ""};
    int64_t counts[RUN_STATE_COUNT];
    ck_assert_ok(run_row_count(store_fixture_reader(&fixture), counts, &err), &err);
    return counts[state];
}

static void submit_one(void)
{
    char id[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ada", 1, 1);
    store_fixture_submit(&fixture, &insert, id);
}

static int64_t queued;
static int keys;

static void prepare_submit(void)
{
    queued = count_runs(RUN_QUEUED);
    keys++;
}

static bool perform_submit(struct error *err)
{
    static const struct job_label label = {"team", "a"};
    char id[JOB_ID_BYTES], key[32];
    bool replayed = false;
    struct job_insert insert = store_fixture_job(&fixture, "ada", 2, 2);
    (void)snprintf(key, sizeof(key), "key %d", keys);
    insert.labels = &label;
    insert.label_count = 1;
    insert.key = key;
    insert.request_digest = "00";
    bool ok = store_fixture_try_submit(&fixture, &insert, id, &replayed, err);
    ck_assert(!ok || !replayed);
    return ok;
}

static void check_submit(bool done)
{
    ck_assert_int_eq(count_runs(RUN_QUEUED), queued + (done ? 4 : 0));
}

static void prepare_claim(void)
{
    submit_one();
    queued = count_runs(RUN_QUEUED);
}

static bool apply_claim(struct database *database, void *context, struct error *err)
{
    struct run_row run;
    struct job_row job;
    return run_row_claim(database, "tester", fixture.arena, &run, &job, context, err);
}

static bool perform_claim(struct error *err)
{
    bool found = false;
    bool ok = store_write_now(fixture.store, apply_claim, &found, err);
    ck_assert(!ok || found);
    return ok;
}

static void check_claim(bool done)
{
    ck_assert_int_eq(count_runs(RUN_QUEUED), queued - done);
}

static struct run_row running;
static char blob[DIGEST_ID_BYTES];

static void prepare_finish(void)
{
    store_fixture_blob(&fixture, "graph", blob);
    submit_one();
    ck_assert(store_fixture_claim(&fixture, &running));
}

static bool perform_finish(struct error *err)
{
    struct artifact_row artifact = {"model.onnx", "application/octet-stream", blob, 5};
    struct run_outcome outcome = {.result = "{}", .artifacts = &artifact, .artifact_count = 1};
    return store_fixture_succeed(&fixture, running.id, &outcome, err);
}

static void check_finish(bool done)
{
    struct error err = {.message = ""};
    struct artifact_row *rows;
    size_t count;
    ck_assert_int_eq(store_fixture_find_run(&fixture, running.id).state,
                     done ? RUN_SUCCEEDED : RUN_RUNNING);
    ck_assert_ok(artifact_row_list(store_fixture_reader(&fixture), running.id, fixture.arena, &rows,
                                   &count, &err),
                 &err);
    ck_assert_uint_eq(count, done ? 1 : 0);
}

static const struct act submit = {prepare_submit, perform_submit, check_submit};
static const struct act claim = {prepare_claim, perform_claim, check_claim};
static const struct act finish = {prepare_finish, perform_finish, check_finish};

/* ---- for all n ---- */

static void fail_each(const struct act *act, int kind)
{
    enum { CHECK_EVERY = 8 }; /* reading everything takes longer than the rest */
    int failures = 0, nth = 1;
    struct arena_mark mark = arena_mark(fixture.arena);
    for (bool through = false; !through; nth++) {
        struct error err = {.message = ""};
        act->prepare();
        arm(kinds[kind].resource, nth);
        bool ok = act->perform(&err);
        /* SQLite does without some of its memory, and what strikes after the answer strikes the
         * removal of blobs. The arena's strikes can't be seen, but every one of them is a failure.
         */
        through = ok && !atomic_load(&struck);
        arm(kinds[kind].resource, 0);
        act->check(ok);
        if (!ok) {
            ck_assert_msg(err.code == kinds[kind].code, "%d: [%s] %s", nth,
                          error_code_name(err.code), err.message);
            ck_assert_ok(act->perform(&err), &err);
            act->check(true);
            if (failures++ % CHECK_EVERY == 0)
                store_fixture_check(&fixture);
        }
        arena_reset(fixture.arena, mark);
    }
    store_fixture_check(&fixture);
    ck_assert_int_gt(failures, 5); /* fewer would mean that not everything is counted */
}

START_TEST(a_submission_is_whole_or_not_there)
{
    fail_each(&submit, _i);
}
END_TEST

START_TEST(a_claim_is_whole_or_not_there)
{
    fail_each(&claim, _i);
}
END_TEST

START_TEST(an_end_is_whole_or_not_there)
{
    fail_each(&finish, _i);
}
END_TEST

static void setup(void)
{
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_finish(&fixture);
}

int main(void)
{
    if (!stand_in_front()) {
        fprintf(stderr, "SQLite does not let its memory and its writes be replaced\n");
        return 1;
    }
    Suite *suite = suite_create("store nth");
    TCase *cases = tcase_create("nth");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, a_submission_is_whole_or_not_there, 0, KINDS_OF_ALL);
    tcase_add_loop_test(cases, a_claim_is_whole_or_not_there, 0, KINDS_WITH_ARENA);
    tcase_add_loop_test(cases, an_end_is_whole_or_not_there, 0, KINDS_OF_ALL);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
