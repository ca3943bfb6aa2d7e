/* Group commit: who gets which answer, and when. */

#include "ptqd/store/token_row.h"
#include "store_fixture.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

static struct store_fixture fixture;
static struct error err;
static _Atomic(const char *) watched_job; /* looked at while the disk is waited for; NULL: none */
static atomic_int odd_syncs, even_syncs;

/* Stands in front of the C library's. */
int fdatasync(int fd)
{
    const char *job = atomic_load(&watched_job);
    if (job != NULL)
        atomic_fetch_add(store_changes(fixture.store) % 2 == 1 &&
                                 store_job_changes(fixture.store, job) % 2 == 1
                             ? &odd_syncs
                             : &even_syncs,
                         1);
    return (int)syscall(SYS_fdatasync, fd);
}

static void setup(void)
{
    atomic_store(&watched_job, NULL);
    store_fixture_init(&fixture);
}

static void teardown(void)
{
    store_fixture_check(&fixture);
    store_fixture_finish(&fixture);
}

/* A token as the smallest row there is: its name is its content. */
static bool insert_token(struct database *database, void *context, struct error *reason)
{
    const char *name = context;
    struct token_row row = {.name = name, .role = "read", .digest = name};
    return token_row_insert(database, &row, reason);
}

static bool token_is_there(const char *name)
{
    struct token_row row;
    bool found;
    ck_assert_ok(token_row_find(store_fixture_reader(&fixture), name, fixture.arena, &row, &found,
                                &err),
                 &err);
    return found;
}

enum { THREADS = 8, WRITES = 50 };

struct client {
    uv_thread_t thread;
    int number;
    bool acknowledged[WRITES];
};

static void token_name(char name[static 32], int client, int write)
{
    (void)snprintf(name, 32, "t%d-%d", client, write);
}

static void write_many(void *context)
{
    struct client *client = context;
    for (int i = 0; i < WRITES; i++) {
        char name[32];
        struct error reason = {.message = ""};
        token_name(name, client->number, i);
        client->acknowledged[i] = store_write_now(fixture.store, insert_token, name, &reason);
    }
}

START_TEST(every_write_of_many_threads_is_there)
{
    static struct client clients[THREADS];
    for (int i = 0; i < THREADS; i++) {
        clients[i].number = i;
        ck_assert_int_eq(uv_thread_create(&clients[i].thread, write_many, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(uv_thread_join(&clients[i].thread), 0);
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < WRITES; j++) {
            char name[32];
            token_name(name, i, j);
            ck_assert(clients[i].acknowledged[j]);
            ck_assert(token_is_there(name));
        }
    }
}
END_TEST

enum { GROUP = 5 };

struct group {
    struct store_write writes[GROUP];
    struct answer {
        struct group *group;
        char name[32];
        int order; /* of the answer; −1 before it */
        int applied;
        bool failed;
        struct error error;
    } answers[GROUP];
    int answered; /* on the writer thread, read when the last answer was waited for */
    uv_sem_t last;
};

static bool insert_answer(struct database *database, void *context, struct error *reason)
{
    struct answer *answer = context;
    answer->applied++;
    if (!insert_token(database, answer->name, reason))
        return false;
    return strncmp(answer->name, "half", 4) != 0 || FAIL(reason, E_LIMIT, "halfway");
}

static void note_answer(void *context, const struct error *failure)
{
    struct answer *answer = context;
    struct group *group = answer->group;
    answer->order = group->answered++;
    answer->failed = failure != NULL;
    if (failure != NULL)
        answer->error = *failure;
    if (group->answered == GROUP)
        uv_sem_post(&group->last);
}

/* Submits writes of the names as one group and waits for all the answers. `fail_step`: the step of
 * the group that fails, 0 for none. */
static void submit_group(struct group *group, const char *const *names, int fail_step)
{
    struct store_holder holder;
    ck_assert_int_eq(uv_sem_init(&group->last, 0), 0);
    group->answered = 0;
    store_holder_begin(&fixture, &holder);
    for (int i = 0; i < GROUP; i++) {
        struct answer *answer = &group->answers[i];
        *answer = (struct answer){.group = group, .order = -1};
        (void)snprintf(answer->name, sizeof(answer->name), "%s", names[i]);
        group->writes[i] = (struct store_write){
            .apply = insert_answer,
            .done = note_answer,
            .context = answer,
        };
        store_submit(fixture.store, &group->writes[i]);
    }
    store_fixture_arm(&fixture, fail_step);
    store_holder_end(&fixture, &holder);
    uv_sem_wait(&group->last);
    uv_sem_destroy(&group->last);
}

START_TEST(a_write_that_fails_harms_no_other_of_its_group)
{
    static struct group group;
    submit_group(&group, (const char *const[]){"a", "b", "a", "c", "b"}, 0);
    for (int i = 0; i < GROUP; i++) {
        bool fails = i == 2 || i == 4;
        ck_assert_int_eq(group.answers[i].order, i);
        ck_assert_int_eq(group.answers[i].failed, fails);
        if (fails)
            ck_assert_int_eq(group.answers[i].error.code, E_CONFLICT);
        ck_assert(token_is_there(group.answers[i].name));
    }
}
END_TEST

static bool note_priority(struct database *database, void *context, struct error *reason)
{
    int *priority = context;
    (void)database;
    (void)reason;
    *priority = getpriority(PRIO_PROCESS, 0);
    return true;
}

/* Law: who reads goes before who writes. */
START_TEST(the_writer_gives_way_to_readers)
{
    int own = getpriority(PRIO_PROCESS, 0), writers = own;
    ck_assert_ok(store_write_now(fixture.store, note_priority, &writers, &err), &err);
    ck_assert(own == 19 || writers > own);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), own);
}
END_TEST

/* Law: what fails halfway is undone and not tried again, the others of its group are there. */
START_TEST(a_write_that_fails_halfway_is_undone_alone)
{
    static struct group group;
    submit_group(&group, (const char *const[]){"a", "half of b", "b", "half of c", "c"}, 0);
    for (int i = 0; i < GROUP; i++) {
        const struct answer *answer = &group.answers[i];
        bool fails = i == 1 || i == 3;
        ck_assert_int_eq(answer->order, i);
        ck_assert_int_eq(answer->failed, fails);
        ck_assert_int_eq(token_is_there(answer->name), !fails);
        ck_assert(!fails || (answer->applied == 1 && answer->error.code == E_LIMIT));
    }
}
END_TEST

/* Law: when any step of the group fails (its commit is one of them), an answer without an error is
 * in the database, one with an error is not, and the next group goes well. */
START_TEST(a_group_whose_steps_fail_tells_the_truth)
{
    static struct group group;
    bool struck = true, lost_all = false;
    for (int step = 1; struck; step++) {
        char names[GROUP][32];
        const char *pointers[GROUP];
        for (int i = 0; i < GROUP; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "%d-%d", step, i);
            pointers[i] = names[i];
        }
        atomic_store(&fixture.fault.struck, false);
        submit_group(&group, pointers, step);
        struck = atomic_load(&fixture.fault.struck);
        atomic_store(&fixture.fault.countdown, 0);
        int failures = 0;
        for (int i = 0; i < GROUP; i++) {
            failures += group.answers[i].failed;
            ck_assert_int_eq(token_is_there(names[i]), !group.answers[i].failed);
        }
        lost_all = lost_all || failures == GROUP;
    }
    ck_assert(lost_all); /* BEGIN and COMMIT were among the steps */
}
END_TEST

START_TEST(a_store_that_closes_writes_what_was_submitted)
{
    static char names[20][32];
    static struct store_write writes[20];
    struct store_holder holder;
    store_holder_begin(&fixture, &holder);
    for (int i = 0; i < 20; i++) {
        token_name(names[i], 0, i);
        writes[i] = (struct store_write){.apply = insert_token, .context = names[i]};
        store_submit(fixture.store, &writes[i]);
    }
    store_holder_end(&fixture, &holder);
    store_fixture_close(&fixture);
    store_fixture_open(&fixture);
    for (int i = 0; i < 20; i++)
        ck_assert(token_is_there(names[i]));
}
END_TEST

struct reading {
    uv_thread_t thread;
    atomic_bool done, ok;
};

static void read_rows(void *context)
{
    struct reading *reading = context;
    struct error reason = {.message = ""};
    struct arena *arena = arena_create(0);
    struct database *database;
    struct model_row row;
    atomic_store(&reading->ok,
                 arena != NULL && store_reader(fixture.store, &database, &reason) &&
                     model_row_find(database, NULL, fixture.model, arena, &row, &reason));
    arena_destroy(arena);
    atomic_store(&reading->done, true);
}

/* Law: a reader does not wait for the writer: it reads while a transaction is open. */
START_TEST(readers_do_not_wait_for_the_writer)
{
    struct store_holder holder;
    struct reading reading = {.done = false};
    store_holder_begin(&fixture, &holder);
    ck_assert_int_eq(uv_thread_create(&reading.thread, read_rows, &reading), 0);
    ck_assert_int_eq(uv_thread_join(&reading.thread), 0); /* the writer is still held */
    ck_assert(atomic_load(&reading.done));
    ck_assert(atomic_load(&reading.ok));
    store_holder_end(&fixture, &holder);
}
END_TEST

static uint64_t changed; /* the job's count when it was looked at last */

/* Whether the job's count has grown since the last look. */
static bool has_changed(const char *job)
{
    uint64_t before = changed;
    changed = store_job_changes(fixture.store, job);
    return changed > before;
}

/* Law: every change of a job, and of its runs, is in its count when it is answered; those of other
 * jobs are not. */
START_TEST(changes_are_counted_by_job)
{
    char job[JOB_ID_BYTES], other[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ann", 1, 2);
    struct run_row runs[2];
    int64_t count;
    changed = 0;
    store_fixture_submit(&fixture, &insert, job);
    ck_assert(has_changed(job));
    for (int i = 0; i < 2; i++) {
        ck_assert(store_fixture_claim(&fixture, &runs[i]));
        ck_assert(has_changed(job));
    }
    ck_assert_ok(store_fixture_fail(&fixture, runs[0].id, &err), &err);
    ck_assert(has_changed(job));
    ck_assert_ok(store_fixture_requeue(&fixture, runs[1].id, &err), &err);
    ck_assert(has_changed(job));

    store_fixture_submit(&fixture, &insert, other);
    ck_assert_ok(store_fixture_cancel(&fixture, other, &count, &err), &err);
    ck_assert_ok(store_fixture_delete(&fixture, other, &err), &err);
    ck_assert(!has_changed(job));

    ck_assert_ok(store_fixture_retry(&fixture, job, &count, &err), &err);
    ck_assert(has_changed(job));
    ck_assert_ok(store_fixture_cancel(&fixture, job, &count, &err), &err);
    ck_assert(has_changed(job));
    ck_assert_ok(store_fixture_delete(&fixture, job, &err), &err);
    ck_assert(has_changed(job));
}
END_TEST

/* Law: as long as readers may or may not see a change its counts are odd. */
START_TEST(counts_are_odd_while_a_change_is_committed)
{
    char job[JOB_ID_BYTES];
    struct job_insert insert = store_fixture_job(&fixture, "ann", 1, 1);
    int64_t count;
    store_fixture_submit(&fixture, &insert, job);
    atomic_store(&watched_job, job);
    ck_assert_ok(store_fixture_cancel(&fixture, job, &count, &err), &err);
    atomic_store(&watched_job, NULL);
    ck_assert_int_gt(atomic_load(&odd_syncs), 0);
    ck_assert_int_eq(atomic_load(&even_syncs), 0);
    ck_assert_uint_eq(store_changes(fixture.store) % 2, 0);
    ck_assert_uint_eq(store_job_changes(fixture.store, job) % 2, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store writer");
    TCase *cases = tcase_create("group commit");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, every_write_of_many_threads_is_there);
    tcase_add_test(cases, a_write_that_fails_harms_no_other_of_its_group);
    tcase_add_test(cases, the_writer_gives_way_to_readers);
    tcase_add_test(cases, a_write_that_fails_halfway_is_undone_alone);
    tcase_add_test(cases, a_group_whose_steps_fail_tells_the_truth);
    tcase_add_test(cases, a_store_that_closes_writes_what_was_submitted);
    tcase_add_test(cases, readers_do_not_wait_for_the_writer);
    tcase_add_test(cases, changes_are_counted_by_job);
    tcase_add_test(cases, counts_are_odd_while_a_change_is_committed);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
