/* A disk that fails or is full, while three clients upload, delete and submit, and two workers run.
 *
 * Laws, for each way to fail: a request that could not be done says so (507 no-space, 500 io), a
 * run that could not keep what it made is failed with that reason; the daemon lives, and answers
 * reads meanwhile; once the disk is well it goes on without a restart; nothing acknowledged is
 * lost.
 *
 *   bad_disk faults     some calls fail (fault_preload.c); the faults are counted
 *   bad_disk limit      files have a largest size (RLIMIT_FSIZE)
 *   bad_disk full       a small tmpfs is full; needs root
 */

#include "fault_control.h"
#include "lab_clients.h"
#include "mount_space.h"

#include "client.h"
#include "program.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CLIENTS = 3, REFUSALS = 20, ACKNOWLEDGEMENTS = 20 };

static const char *const arguments[] = {"--workers", "2", NULL};

static char directory[256];
static struct program program;

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    lab_open(2203);
}

static void begin(const char *data)
{
    program_serve_with(&program, data, arguments);
    lab_upload_files(program.port);
    lab_set_port(program.port);
    lab_start(CLIENTS);
    ck_assert(lab_wait_acknowledged(ACKNOWLEDGEMENTS));
}

static void check_reads(void)
{
    static const char *const targets[] = {"/healthz", "/v1/jobs?limit=10", "/v1/datasets?limit=10"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct reply reply = client_get(program.port, targets[i]);
        ck_assert_msg(reply.status == 200, "%s: %d %s", targets[i], reply.status, reply.body);
        reply_free(&reply);
    }
}

/* The disk is well again. */
static void end(const char *data, const char *what)
{
    ck_assert_msg(lab_wait_acknowledged(ACKNOWLEDGEMENTS), "%s: it does not go on", what);
    lab_stop();
    size_t failed = lab_retry_failed(program.port);
    struct lab_notes notes = lab_notes();
    fprintf(stderr,
            "%s: acknowledged %zu uploads, %zu deletions, %zu jobs; refused %zu (io), %zu "
            "(space), %zu (busy); %zu runs failed with the reason\n",
            what, notes.uploads, notes.deletions, notes.jobs, notes.refused_io, notes.refused_space,
            notes.refused_busy, failed);
    lab_check(program.port);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    program_serve_with(&program, data, arguments); /* clears away what a failure has left */
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    lab_check_directory(data);
    lab_close();
}

/* ---- calls that fail ---- */

static const struct {
    const char *name;
    enum fault_call call;
    int every, error;
} faults[] = {
    {"fsync: EIO", FAULT_FSYNC, 2, EIO},   {"fdatasync: EIO", FAULT_FDATASYNC, 2, EIO},
    {"write: EIO", FAULT_WRITE, 2, EIO},   {"write: ENOSPC", FAULT_WRITE, 2, ENOSPC},
    {"pwrite: EIO", FAULT_PWRITE, 5, EIO}, {"pwrite: ENOSPC", FAULT_PWRITE, 5, ENOSPC},
    {"rename: EIO", FAULT_RENAME, 2, EIO},
};

static struct fault_control *map_control(char *path, size_t size)
{
    (void)snprintf(path, size, "%s/faults", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(struct fault_control)), 0);
    void *at = mmap(NULL, sizeof(struct fault_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(at != MAP_FAILED);
    close(fd);
    return at;
}

START_TEST(calls_that_fail_are_told_of_and_survived)
{
    char data[300], path[300];
    struct fault_control *control = map_control(path, sizeof(path));
    (void)snprintf(data, sizeof(data), "%s/data", directory);
    setenv(FAULT_VARIABLE, path, 1);
    setenv("LD_PRELOAD", FAULT_MODULE, 1);
    begin(data);
    unsetenv("LD_PRELOAD");

    struct fault_row *row = &control->rows[faults[_i].call];
    ck_assert_uint_gt(atomic_load(&row->calls), 0); /* the module is where calls pass */
    ck_assert_uint_eq(atomic_load(&row->injected), 0);
    atomic_store(&row->error, faults[_i].error);
    atomic_store(&row->every, faults[_i].every);
    ck_assert(lab_wait_refused(REFUSALS));
    check_reads();
    atomic_store(&row->every, 0);
    unsigned injected = atomic_load(&row->injected);
    ck_assert_uint_gt(injected, REFUSALS / (CLIENTS + 2)); /* a fault hits a group of writes */
    fprintf(stderr, "%s: %u faults\n", faults[_i].name, injected);
    struct lab_notes notes = lab_notes();
    ck_assert_uint_eq(faults[_i].error == EIO ? notes.refused_space : notes.refused_io, 0);
    end(data, faults[_i].name);
    munmap(control, sizeof(*control));
    support_remove_tree(directory);
}
END_TEST

/* ---- no room ---- */

static void set_file_limit(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    ck_assert_int_eq(prlimit(program.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

START_TEST(a_limit_of_file_sizes_is_told_of_and_survived)
{
    begin(directory);
    set_file_limit(16384);
    ck_assert(lab_wait_refused(REFUSALS));
    check_reads();
    ck_assert_uint_eq(lab_notes().refused_io, 0);
    set_file_limit(RLIM_INFINITY);
    end(directory, "limit");
    support_remove_tree(directory);
}
END_TEST

/* Writes until nothing fits any more. */
static void fill(const char *path)
{
    static const char zeros[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

START_TEST(a_full_disk_is_told_of_and_survived)
{
    char ballast[300];
    (void)snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
    ck_assert_int_eq(mount("tmpfs", directory, "tmpfs", 0, "size=64m"), 0);
    begin(directory);
    fill(ballast);
    ck_assert(lab_wait_refused(REFUSALS));
    check_reads();
    ck_assert_uint_eq(lab_notes().refused_io, 0);
    ck_assert_int_eq(unlink(ballast), 0);
    end(directory, "full");
    ck_assert_int_eq(umount(directory), 0);
    support_remove_tree(directory);
}
END_TEST

int main(int count, char **line)
{
    const char *kind = count > 1 ? line[1] : "";
    Suite *suite = suite_create("bad disk");
    TCase *tcase = tcase_create(kind);
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, NULL);
    suite_add_tcase(suite, tcase);
    if (strcmp(kind, "faults") == 0) {
        int kinds = (int)(sizeof(faults) / sizeof(faults[0]));
        tcase_add_loop_test(tcase, calls_that_fail_are_told_of_and_survived, 0,
                            support_short() ? 2 : kinds);
    } else if (strcmp(kind, "limit") == 0) {
        tcase_add_test(tcase, a_limit_of_file_sizes_is_told_of_and_survived);
    } else if (!mount_space_open()) {
        puts("1..0 # SKIP only root mounts");
        return 0;
    } else {
        tcase_add_test(tcase, a_full_disk_is_told_of_and_survived);
    }
    return support_run(suite);
}
