/* The power goes, while six clients upload, delete and submit, and two workers run.
 *
 * The data directory is on an ext4 file system in a file. A cut is EXT4_IOC_SHUTDOWN without a
 * flush of the log: what was not synced is gone, as far as the file system had not written it by
 * itself. Then the daemon is killed, the file system mounted again (which replays its journal), and
 * the daemon started.
 *
 * Law: what was acknowledged is there. Control: where syncs do nothing (which is what
 * synchronous=OFF is), it is not.
 *
 *   power_cut [CUTS]    4 unless told
 */

#include "fault_control.h"
#include "lab_clients.h"
#include "mount_space.h"

#include "client.h"
#include "program.h"
#include "support.h"

#include "ptqd/base/rng.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGE_BYTES = 256 << 20, CLIENTS = 6 };

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
static const uint32_t without_log_flush = 2;

static int cuts = 4;
static const char *const arguments[] = {"--workers", "2", "--crash-limit", "unlimited", NULL};

static char directory[256], image[300], disk[300], data[320];
static struct program program;
static struct rng rng;

/* ---- the disk ---- */

static bool mount_disk(void)
{
    const char *const line[] = {"mount", "-o", "loop", image, disk, NULL};
    return mount_space_run(line);
}

static bool make_disk(void)
{
    const char *const format[] = {"mkfs.ext4", "-q", "-F", image, NULL};
    int fd = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && ftruncate(fd, IMAGE_BYTES) == 0 && mkdir(disk, 0700) == 0;
    if (fd >= 0)
        close(fd);
    return ok && mount_space_run(format) && mount_disk();
}

static void cut_power(void)
{
    int fd = open(disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    lab_set_port(0); /* a sync may end well while the disk goes, and be answered: nobody hears it */
    ck_assert_int_eq(ioctl(fd, EXT4_IOC_SHUTDOWN, &without_log_flush), 0);
    close(fd);
    ck_assert_int_eq(program_end(&program, SIGKILL), -SIGKILL);
    ck_assert_int_eq(umount(disk), 0);
    ck_assert(mount_disk());
}

static void name_places(void)
{
    (void)snprintf(image, sizeof(image), "%s/image", directory);
    (void)snprintf(disk, sizeof(disk), "%s/disk", directory);
    (void)snprintf(data, sizeof(data), "%s/data", disk);
}

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    name_places();
    ck_assert(make_disk());
    rng_init(&rng, 2203, 5492);
    lab_open(2203);
}

static void teardown(void)
{
    lab_close();
    ck_assert_int_eq(umount(disk), 0);
    support_remove_tree(directory);
}

static void work_for_a_while(void)
{
    lab_set_port(program.port);
    ck_assert(lab_wait_acknowledged(3)); /* there is something to lose */
    usleep((useconds_t)rng_below(&rng, 500000));
}

/* ---- the proof and its control ---- */

START_TEST(a_power_cut_loses_nothing_that_was_acknowledged)
{
    program_serve_with(&program, data, arguments);
    lab_upload_files(program.port);
    lab_start(CLIENTS);
    for (int i = 0; i < cuts; i++) {
        work_for_a_while();
        cut_power();
        program_serve_with(&program, data, arguments);
    }
    lab_set_port(program.port);
    ck_assert(lab_wait_acknowledged(5)); /* it goes on */
    lab_stop();
    struct lab_notes notes = lab_notes();
    fprintf(stderr, "%d power cuts: acknowledged %zu uploads, %zu deletions, %zu jobs; lost %zu\n",
            cuts, notes.uploads, notes.deletions, notes.jobs, lab_count_lost(program.port));
    lab_check(program.port);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    lab_check_directory(data);
}
END_TEST

/* From here on syncs of the daemon do nothing. */
static void start_without_syncs(void)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/faults", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(struct fault_control)), 0);
    struct fault_control *control =
        mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(control != MAP_FAILED);
    close(fd);
    atomic_store(&control->rows[FAULT_FSYNC].every, 1);
    atomic_store(&control->rows[FAULT_FDATASYNC].every, 1);
    setenv(FAULT_VARIABLE, path, 1);
    setenv("LD_PRELOAD", FAULT_MODULE, 1);
    program_serve_with(&program, data, arguments);
    unsetenv("LD_PRELOAD");
    ck_assert_uint_gt(atomic_load(&control->rows[FAULT_FSYNC].injected), 0);
    ck_assert_uint_gt(atomic_load(&control->rows[FAULT_FDATASYNC].injected), 0);
    munmap(control, sizeof(*control));
}

/* What is there and what is not; a database that can't be read has lost everything. */
static size_t count_lost(void)
{
    char text[2048];
    struct lab_notes notes = lab_notes();
    const char *const check[] = {"check", "--config", "/dev/null", "--data", data, NULL};
    if (program_run(check, text, sizeof(text)) != 0)
        return notes.uploads + notes.jobs;
    program_serve_with(&program, data, arguments);
    size_t lost = lab_count_lost(program.port);
    ck_assert_int_eq(program_end(&program, SIGKILL), -SIGKILL);
    return lost;
}

START_TEST(without_syncs_a_power_cut_does_lose)
{
    start_without_syncs();
    lab_upload_files(program.port);
    lab_start(CLIENTS);
    lab_set_port(program.port);
    ck_assert(lab_wait_acknowledged(20));
    cut_power();
    lab_stop();
    size_t lost = count_lost();
    struct lab_notes notes = lab_notes();
    fprintf(stderr, "without syncs: acknowledged %zu uploads, %zu jobs; lost %zu\n", notes.uploads,
            notes.jobs, lost);
    ck_assert_uint_gt(lost, 0);
}
END_TEST

/* Whether an ext4 file system in a file can be mounted here; before there are tests. */
static bool can_run(void)
{
    (void)snprintf(directory, sizeof(directory), "%s", "/tmp/ptqd-mount-XXXXXX");
    if (!mount_space_open() || mkdtemp(directory) == NULL)
        return false;
    name_places();
    bool ok = make_disk();
    if (ok)
        (void)umount(disk);
    const char *const line[] = {"rm", "-rf", directory, NULL};
    return mount_space_run(line) && ok;
}

int main(int count, char **line)
{
    if (count > 1)
        cuts = (int)strtol(line[1], NULL, 10);
    if (!can_run()) {
        puts("1..0 # SKIP only root mounts, and not everywhere");
        return 0;
    }
    Suite *suite = suite_create("power cut");
    TCase *tcase = tcase_create("power cut");
    tcase_set_timeout(tcase, 300 + 10 * cuts);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_power_cut_loses_nothing_that_was_acknowledged);
    if (FAULT_MODULE[0] != '\0')
        tcase_add_test(tcase, without_syncs_a_power_cut_does_lose);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
