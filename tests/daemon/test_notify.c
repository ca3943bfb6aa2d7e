/* What the daemon tells the service manager: that it is ready, alive (also after a reload), and
 * stopping. */

#include "client.h"
#include "program.h"
#include "support.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[256], state[300];
static int manager = -1; /* the manager's end */

static void setup(void)
{
    support_make_directory(directory, sizeof(directory));
    (void)snprintf(state, sizeof(state), "%s/state", directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/notify", directory);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(manager, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "100000", 1);
}

static void teardown(void)
{
    close(manager);
    support_remove_tree(directory);
}

/* Reads messages until one is `wanted`; fails at the deadline. */
static void expect(const char *wanted)
{
    char message[512] = "";
    long end = client_now_ms() + CLIENT_DEADLINE_MS;
    while (strcmp(message, wanted) != 0) {
        struct pollfd event = {.fd = manager, .events = POLLIN};
        long left = end - client_now_ms();
        ck_assert_msg(left > 0 && poll(&event, 1, (int)left) > 0, "no %s", wanted);
        ssize_t got = recv(manager, message, sizeof(message) - 1, 0);
        ck_assert_int_ge(got, 0);
        message[got] = '\0';
    }
}

START_TEST(the_manager_hears_of_start_life_and_end)
{
    struct program program;
    program_serve(&program, state);
    expect("READY=1");
    expect("WATCHDOG=1");
    expect("WATCHDOG=1");
    ck_assert_int_eq(kill(program.pid, SIGHUP), 0); /* reloads; it stays alive */
    expect("WATCHDOG=1");
    expect("WATCHDOG=1");
    ck_assert_int_eq(program_end(&program, SIGTERM), 0);
    expect("STOPPING=1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tcase = tcase_create("notify");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_manager_hears_of_start_life_and_end);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
