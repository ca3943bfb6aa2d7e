/* Hostile clients against the real daemon, one attack after the other: meanwhile another client is
 * served, and its slowest hundredth of requests takes less than five times what it takes when it is
 * alone.
 *
 *   hostile [REQUESTS [NAME]]    200 of the other client unless told, all attacks unless one is
 *                                named; prints a line for each attack
 *
 * Alone and under attack are measured in turn, at least twice. A machine that does other work may
 * spoil a measurement; of each the best counts.
 */

#include "attacks.h"
#include "client.h"
#include "program.h"

#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 10 * 1000,
    FILE_BYTES = 16 << 20,
    NEW_EACH = 10, /* every tenth request is on a new connection */
    TRIES = 6,
    FACTOR = 5,
    FLOOR_US = 1000, /* about one turn of the scheduler */
    MEMORY_KIB_MAX = 512 * 1024,
};

static size_t requests = 200;
static bool timed = true; /* not under sanitizers */
static const char *only;  /* name of the one attack to carry out; NULL: all */
static char directory[256], large_file[128];
static struct program program;

static long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
    long difference = *(const long *)a - *(const long *)b;
    return (difference > 0) - (difference < 0);
}

static int get_on(int fd)
{
    client_send_text(fd, "GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
    struct reply reply = client_receive(fd, false);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

/* The other client: all but the slowest hundredth of its requests take less than the result. */
static long measure_us(void)
{
    static long took[REQUESTS_MAX];
    int fd = client_connect(program.port);
    for (size_t i = 0; i < requests; i++) {
        long start = now_us();
        if (i % NEW_EACH == 0) {
            close(fd);
            fd = client_connect(program.port);
        }
        ck_assert_int_eq(get_on(fd), 200);
        took[i] = now_us() - start;
    }
    close(fd);
    qsort(took, requests, sizeof(took[0]), compare);
    return took[requests * 99 / 100];
}

static long memory_kib(void)
{
    char path[64], line[256];
    long kib = -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)program.pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return kib;
}

static long measure_under(struct attacker *attacker)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, attack_run, attacker), 0);
    while (!atomic_load(&attacker->under_way))
        usleep(1000);
    long us = measure_us();
    atomic_store(&attacker->stop, true);
    pthread_join(thread, NULL);
    return us;
}

/* A data set of zeros, to be read by who takes nothing. */
static void upload_file(void)
{
    static const char head[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (4096, 1024), }";
    char *bytes = calloc(1, FILE_BYTES + 128);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, ' ', 128);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(bytes + 10, head, sizeof(head) - 1);
    bytes[127] = '\n';
    struct reply reply =
        client_call(program.port, "POST", "/v1/datasets", NULL, bytes, FILE_BYTES + 128);
    free(bytes);
    const char *id = strstr(reply.body, "sha256:");
    ck_assert_msg(reply.status == 201 && id != NULL, "%d %s", reply.status, reply.body);
    (void)snprintf(large_file, sizeof(large_file), "/v1/datasets/%.71s/file", id);
    reply_free(&reply);
}

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    program_serve(&program, directory);
    upload_file();
}

static void teardown(void)
{
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    support_remove_tree(directory);
}

/* Of two times, where 0 is none yet. */
static long least(long a, long b)
{
    return a != 0 && a < b ? a : b;
}

START_TEST(others_are_served_meanwhile)
{
    const struct attack *attack = &attacks[_i];
    long alone = 0, attacked = 0;
    double ratio = 0;
    if (only != NULL && strcmp(only, attack->name) != 0)
        return;
    for (int i = 0; i < TRIES && (i < 2 || ratio >= FACTOR); i++) {
        struct attacker attacker = {.attack = attack, .port = program.port, .file = large_file};
        alone = least(alone, measure_us());
        attacked = least(attacked, measure_under(&attacker));
        ratio = (double)attacked / (double)(alone > FLOOR_US ? alone : FLOOR_US);
        ck_assert_uint_gt(atomic_load(&attacker.connections), 0);
    }
    fprintf(stderr, "%s: p99 %ld us, alone %ld us\n", attack->name, attacked, alone);
    ck_assert_msg(!timed || ratio < FACTOR, "%s: p99 is %.1f times that of a client alone",
                  attack->name, ratio);
    ck_assert_int_lt(memory_kib(), timed ? MEMORY_KIB_MAX : 8 * MEMORY_KIB_MAX);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1)
        requests = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        only = argv[2];
    if (requests < 100 || requests > REQUESTS_MAX) {
        fprintf(stderr, "usage: hostile [100 to %d requests [NAME]]\n", REQUESTS_MAX);
        return 2;
    }
    timed = !support_short();
    /* Thousands of connections here, and as many in the daemon, which inherits the limit. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard one it is allowed */
    }
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("hostile");
    TCase *tcase = tcase_create("hostile");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, others_are_served_meanwhile, 0, (int)attack_count);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
