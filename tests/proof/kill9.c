/* kill -9 at random moments, while three clients upload, delete and submit, and two workers run:
 * what was acknowledged is there, every job ends, results and artifacts are those of a daemon that
 * nobody has disturbed.
 *
 *   kill9 [KILLS [SEED]]    5 kills unless told
 */

#include "lab_clients.h"

#include "client.h"
#include "program.h"
#include "support.h"

#include "ptqd/base/rng.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int kills = 5;
static unsigned seed = 2203;

/* So many kills hit a run before its first checkpoint several times; it is to end in spite of it.
 */
static const char *const arguments[] = {"--workers", "2", "--crash-limit", "unlimited", NULL};

START_TEST(nothing_acknowledged_is_lost)
{
    char directory[256];
    struct program program;
    struct rng rng;
    rng_init(&rng, seed, 5492);
    support_make_directory(directory, sizeof(directory));
    lab_open(seed);

    program_serve_with(&program, directory, arguments);
    lab_upload_files(program.port);
    lab_start(3);
    long start = client_now_ms();
    for (int i = 0; i < kills; i++) {
        lab_set_port(program.port);
        usleep((useconds_t)(5000 + rng_below(&rng, 495000)));
        ck_assert_int_eq(program_end(&program, SIGKILL), -SIGKILL);
        lab_set_port(0);
        program_serve_with(&program, directory, arguments);
    }
    lab_set_port(program.port);
    usleep(500000);
    lab_stop();
    struct lab_notes notes = lab_notes();
    fprintf(stderr,
            "%d kills in %ld s: acknowledged %zu uploads, %zu deletions, %zu jobs; %zu requests "
            "sent again\n",
            kills, (client_now_ms() - start) / 1000, notes.uploads, notes.deletions, notes.jobs,
            notes.repeated);
    ck_assert_uint_gt(notes.jobs, 0);
    ck_assert_uint_gt(notes.uploads, 0);
    ck_assert_uint_eq(notes.refused_io + notes.refused_busy + notes.refused_space, 0);

    lab_check(program.port);
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    lab_check_directory(directory);
    lab_close();
    support_remove_tree(directory);
}
END_TEST

int main(int count, char **line)
{
    if (count > 1)
        kills = (int)strtol(line[1], NULL, 10);
    if (count > 2)
        seed = (unsigned)strtoul(line[2], NULL, 10);
    Suite *suite = suite_create("kill9");
    TCase *tcase = tcase_create("kill9");
    tcase_set_timeout(tcase, 600 + 10 * kills);
    tcase_add_test(tcase, nothing_acknowledged_is_lost);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
