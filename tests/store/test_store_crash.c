/* kill -9. A child writes jobs and prints each number after it was answered; the parent kills it at
 * a random moment and compares: what was answered is in the database, and the database is sound. */

#include "ptqd/base/rng.h"
#include "store_fixture.h"
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FLIGHT = 16, ANSWERS_MAX = 400, ROUNDS = 10, ROUNDS_SHORT = 3 };

static struct store_fixture fixture;

/* ---- the child ---- */

struct flight {
    struct store_write write;
    struct job_insert insert;
    char id[JOB_ID_BYTES];
    int answers_fd; /* where numbers go */
    int landed_fd;  /* where the index of this flight goes */
    unsigned char index;
};

static bool apply(struct database *database, void *context, struct error *err)
{
    struct flight *flight = context;
    struct job_inserted inserted;
    if (!job_row_insert(database, &flight->insert, &inserted, err))
        return false;
    memcpy(flight->id, inserted.id, sizeof(inserted.id));
    return true;
}

/* A pipe write of few bytes is whole or fails; a child that can't print must not go on. */
static void put(int fd, const void *bytes, size_t size)
{
    if (write(fd, bytes, size) != (ssize_t)size)
        _exit(1);
}

static void done(void *context, const struct error *failure)
{
    struct flight *flight = context;
    int64_t number = failure == NULL ? strtoll(flight->id + 1, NULL, 10) : 0;
    unsigned char index = flight->index; /* the flight is another one once this is read */
    if (number != 0)
        put(flight->answers_fd, &number, sizeof(number));
    put(flight->landed_fd, &index, 1);
}

/* Keeps IN_FLIGHT writes under way until it is killed. */
_Noreturn static void write_for_ever(int answers_fd)
{
    static struct flight flights[IN_FLIGHT];
    int landed[2];
    if (pipe(landed) != 0)
        _exit(1);
    store_fixture_open(&fixture);
    for (unsigned char i = 0; i < IN_FLIGHT; i++)
        put(landed[1], &i, 1);
    for (unsigned char i; read(landed[0], &i, 1) == 1;) {
        flights[i] = (struct flight){
            .insert = store_fixture_job(&fixture, "ada", 1 + i % 4, 2),
            .answers_fd = answers_fd,
            .landed_fd = landed[1],
            .index = i,
        };
        flights[i].write =
            (struct store_write){.apply = apply, .done = done, .context = &flights[i]};
        store_submit(fixture.store, &flights[i].write);
    }
    _exit(1);
}

/* ---- the parent ---- */

/* Reads numbers until `count` are there or the writer is gone. */
static size_t read_answers(int fd, int64_t *numbers, size_t count)
{
    size_t got = 0;
    while (got < count) {
        ssize_t bytes = read(fd, &numbers[got], sizeof(numbers[0]));
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes != (ssize_t)sizeof(numbers[0]))
            break;
        got++;
    }
    return got;
}

static void check_round(const int64_t *numbers, size_t count)
{
    store_fixture_open(&fixture);
    store_fixture_check(&fixture);
    for (size_t i = 0; i < count; i++) {
        char id[JOB_ID_BYTES];
        (void)snprintf(id, sizeof(id), "j%lld", (long long)numbers[i]);
        ck_assert_int_eq(store_fixture_find_job(&fixture, id).state, JOB_QUEUED);
    }
    store_fixture_close(&fixture);
}

static void one_round(struct rng *rng)
{
    static int64_t numbers[2 * ANSWERS_MAX + IN_FLIGHT];
    int answers[2];
    ck_assert_int_eq(pipe(answers), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)close(answers[0]); /* the parent's end */
        write_for_ever(answers[1]);
    }
    (void)close(answers[1]); /* the child's end */
    size_t wanted = 1 + rng_below(rng, ANSWERS_MAX);
    size_t count = read_answers(answers[0], numbers, wanted);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    size_t room = sizeof(numbers) / sizeof(numbers[0]) - count;
    count += read_answers(answers[0], numbers + count, room);
    (void)close(answers[0]); /* read to its end */
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_ge(count, wanted);
    check_round(numbers, count);
}

START_TEST(what_was_answered_survives_kill_9)
{
    struct rng rng;
    rng_init(&rng, 2203, 5492);
    store_fixture_init(&fixture);
    store_fixture_close(&fixture);
    for (int round = 0; round < (support_short() ? ROUNDS_SHORT : ROUNDS); round++)
        one_round(&rng);
    store_fixture_open(&fixture);
    store_fixture_finish(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store crash");
    TCase *cases = tcase_create("kill");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_was_answered_survives_kill_9);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
