/* Weeks in minutes: so many requests and runs, and what the daemon takes of the machine meanwhile.
 *
 * Laws: every answer is the one it should be; in the last quarter of the requests the daemon has as
 * much resident memory as in the second, and as many descriptors; every run has given the bits that
 * an undisturbed daemon gives.
 *
 *   soak [REQUESTS RUNS [BEFORE]]    8000, 60 and 0 unless told
 *
 * So many runs BEFORE let the database outgrow SQLite's caches, which are part of the memory.
 */

#include "lab_private.h"

#include "client.h"
#include "program.h"
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs of a job of the first pipeline; most of the resident memory's growth from the second quarter
 * to the last, in a thousand: a short time is not long enough for caches to fill. */
enum { CLIENTS = 3, RUNS_OF_JOB = 4, GROWTH_LONG = 20, GROWTH_SHORT = 200, SAMPLE_US = 20000 };
/* The connections of clients, and the database of one thread that was not asked before. */
enum { DESCRIPTORS_MORE = CLIENTS + 3, LONG_REQUESTS = 100000 };

static long requests = 8000, runs = 60, runs_before;
static struct program program;
static atomic_long requests_done;

/* ---- clients ---- */

static void expect(int status, int other, const char *method, const char *target, const void *body,
                   size_t size, char *out_id)
{
    struct reply reply = client_call(program.port, method, target, NULL, body, size);
    ck_assert_msg(reply.status == status || reply.status == other, "%s %s: %d %s", method, target,
                  reply.status, reply.body);
    if (out_id != NULL) {
        struct arena *arena = arena_create(0);
        (void)snprintf(out_id, DIGEST_ID_BYTES, "%s",
                       lab_text(lab_parse(reply.body, reply.size, arena), "id"));
        arena_destroy(arena);
    }
    reply_free(&reply);
    atomic_fetch_add(&requests_done, 1);
}

static void read_something(long number, const char *job)
{
    static const char *const targets[] = {
        "/healthz",
        "/v1/jobs?limit=20",
        "/metrics",
        "/v1/models",
        "/v1/jobs/%s",
        "/v1/jobs/%s/runs",
        "/v1/jobs/%s/report",
        "/v1/runs/%s-v000-s0",
        "/v1/runs/%s-v000-s0/layers",
        "/v1/datasets?limit=20",
        "/readyz",
        "/v1/jobs/%s?wait=1",
        "/v1/jobs?state=failed",
        "/v1/nothing",
        "/v1/jobs/j0",
        "/",
    };
    char target[128];
    size_t index = (size_t)number % (sizeof(targets) / sizeof(targets[0]));
    const char *star = strchr(targets[index], '%');
    if (star == NULL)
        (void)snprintf(target, sizeof(target), "%s", targets[index]);
    else
        (void)snprintf(target, sizeof(target), "%.*s%s%s", (int)(star - targets[index]),
                       targets[index], job, star + 2);
    /* 404: what is not there; 409: layers of a run that is not finished. */
    expect(200,
           index == 13 || index == 14 ? 404
           : index == 8               ? 409
                                      : 200,
           "GET", target, NULL, 0, NULL);
}

static void upload_and_delete(uint8_t *bytes, long number)
{
    char id[DIGEST_ID_BYTES], target[128];
    float value = (float)number;
    size_t size = lab.files.calibration.size;
    memcpy(bytes + size - sizeof(value), &value, sizeof(value));
    expect(201, 201, "POST", "/v1/datasets", bytes, size, id);
    (void)snprintf(target, sizeof(target), "/v1/datasets/%s", id);
    expect(204, 204, "DELETE", target, NULL, 0, NULL);
}

static void submit(char *out_job)
{
    char id[DIGEST_ID_BYTES];
    expect(202, 202, "POST", "/v1/jobs", lab.specs[0], strlen(lab.specs[0]), id);
    (void)snprintf(out_job, sizeof(lab.jobs[0].id), "%.31s", id);
    pthread_mutex_lock(&lab.mutex);
    ck_assert_uint_lt(lab.job_count, JOBS_MAX);
    struct lab_job *job = &lab.jobs[lab.job_count++];
    *job = (struct lab_job){.pipeline = 0};
    (void)snprintf(job->id, sizeof(job->id), "%.31s", id);
    pthread_mutex_unlock(&lab.mutex);
}

/* Submits evenly over all requests; the long poll keeps the queue from growing. */
static void *work(void *context)
{
    long client = *(const int *)context;
    long jobs = runs / RUNS_OF_JOB / CLIENTS, submitted = 0;
    char job[sizeof(lab.jobs[0].id)] = "";
    uint8_t *bytes = malloc(lab.files.calibration.size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, lab.files.calibration.bytes, lab.files.calibration.size);
    for (long i = 0, done; (done = atomic_load(&requests_done)) < requests || submitted < jobs;
         i++) {
        if (submitted < jobs && submitted * requests <= done * jobs) {
            submit(job);
            submitted++;
        } else if (i % 10 == 0) {
            upload_and_delete(bytes, 1 + i * CLIENTS + client);
        } else {
            read_something(i + client, job);
        }
    }
    free(bytes);
    return NULL;
}

/* ---- what the daemon takes ---- */

struct quarter {
    double resident_bytes; /* sum, then mean */
    long samples;
    int descriptors; /* the fewest: with few connections */
};

static long read_resident(void)
{
    char path[64];
    long size = 0, resident = 0;
    (void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)program.pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static int count_descriptors(void)
{
    char path[64];
    int count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)program.pid);
    DIR *files = opendir(path);
    ck_assert_ptr_nonnull(files);
    while (readdir(files) != NULL)
        count++;
    closedir(files);
    return count - 2; /* . and .. */
}

static void sample(struct quarter quarters[4])
{
    long done;
    while ((done = atomic_load(&requests_done)) < requests) {
        struct quarter *quarter = &quarters[done * 4 / requests];
        int descriptors = count_descriptors();
        quarter->resident_bytes += (double)read_resident();
        if (quarter->samples++ == 0 || descriptors < quarter->descriptors)
            quarter->descriptors = descriptors;
        usleep(SAMPLE_US);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_gt(quarters[i].samples, 0);
        quarters[i].resident_bytes /= (double)quarters[i].samples;
    }
}

static void let_clients_work(long request_count, long run_count, struct quarter quarters[4])
{
    pthread_t clients[CLIENTS];
    int numbers[CLIENTS];
    requests = request_count;
    runs = run_count;
    atomic_store(&requests_done, 0);
    for (int i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&clients[i], NULL, work, &numbers[i]), 0);
    }
    sample(quarters);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(clients[i], NULL), 0);
}

START_TEST(the_daemon_takes_no_more_as_time_goes_by)
{
    char directory[256];
    struct quarter quarters[4] = {0};
    long requests_wanted = requests, runs_wanted = runs;
    support_make_directory(directory, sizeof(directory));
    lab_open(2203);
    program_serve_with(&program, directory,
                       (const char *const[]){"--workers", "2", "--log-level", "info", NULL});
    lab_upload_files(program.port);
    if (runs_before > 0)
        let_clients_work(runs_before, runs_before, quarters);
    memset(quarters, 0, sizeof(quarters));
    long start = client_now_ms();
    let_clients_work(requests_wanted, runs_wanted, quarters);

    fprintf(stderr, "%ld requests and about %ld runs in %ld s, after %ld runs\n",
            atomic_load(&requests_done), runs, (client_now_ms() - start) / 1000, runs_before);
    for (int i = 0; i < 4; i++)
        fprintf(stderr, "quarter %d: %.2f MiB resident, %d descriptors\n", i + 1,
                quarters[i].resident_bytes / (1 << 20), quarters[i].descriptors);
    lab_check(program.port);
    ck_assert_uint_ge(lab.job_count * RUNS_OF_JOB,
                      (size_t)(runs + runs_before - 2L * RUNS_OF_JOB * CLIENTS));
    ck_assert_int_le(quarters[3].descriptors, quarters[1].descriptors + DESCRIPTORS_MORE);
    double growth = quarters[3].resident_bytes / quarters[1].resident_bytes - 1;
    int most = requests >= LONG_REQUESTS ? GROWTH_LONG : GROWTH_SHORT;
    ck_assert_msg(growth * 1000 <= most, "resident memory grew by %.1f %%", growth * 100);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    lab_check_directory(directory);
    lab_close();
    support_remove_tree(directory);
}
END_TEST

int main(int count, char **line)
{
    if (count > 2) {
        requests = strtol(line[1], NULL, 10);
        runs = strtol(line[2], NULL, 10);
        runs_before = count > 3 ? strtol(line[3], NULL, 10) : 0;
    }
    Suite *suite = suite_create("soak");
    TCase *tcase = tcase_create("soak");
    tcase_set_timeout(tcase, 300 + (int)(requests / 20));
    tcase_add_test(tcase, the_daemon_takes_no_more_as_time_goes_by);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
