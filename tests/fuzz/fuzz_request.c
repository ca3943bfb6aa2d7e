/* Bytes on a connection of the whole service: HTTP server, routes, store and queue in this process,
 * runs by a fake executor. An input is sent as it is; when the server has been quiet for a moment,
 * the connection is closed.
 *
 * Laws: a reply begins with a status line that a client can read; it is no 500, and nothing names
 * the directory of the service to who does not know it; after any input the next client is served.
 */

#include "service.h"

#include "support.h"

#include "ptqd/base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What takes longer (a long poll, a busy machine) is not waited for. */
enum { QUIET_MS = 15, CHECK_EACH = 16, REPLY_BYTES = 256 * 1024 };

static struct service service;
static char replies[REPLY_BYTES + 1];

/* The fixture's checks want to be in a test; this process is its runner. */
static void run_test(const TTest *test)
{
    Suite *suite = suite_create("request");
    TCase *tcase = tcase_create("request");
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    assert(srunner_ntests_failed(runner) == 0);
    srunner_free(runner);
}

START_TEST(start_service)
{
    service_start(&service, false);
    const char *job = service_submit(&service, service_spec(&service, ",\"seeds\":1"));
    ck_assert_str_eq(service_finish(&service, job), "succeeded");
}
END_TEST

START_TEST(stop_service)
{
    service_stop(&service);
}
END_TEST

static void stop(void)
{
    run_test(stop_service);
}

static void start_once(void)
{
    static bool started;
    if (started)
        return;
    started = true;
    unsetenv("CK_TAP_LOG_FILE_NAME"); /* standard output is the replay's */
    log_set_level(LOG_ERROR);
    run_test(start_service);
    atexit(stop);
}

/* Sends and reads by turns: a server that answers early may close before all is sent. */
static size_t exchange(const uint8_t *bytes, size_t size)
{
    int fd;
    do /* the fuzzer's alarms interrupt */
        fd = client_connect(service.port);
    while (fd < 0 && errno == EINTR);
    assert(fd >= 0);
    size_t used = 0, sent = 0;
    bool open = true;
    while (open) {
        short wanted = (short)(POLLIN | (sent < size ? POLLOUT : 0));
        struct pollfd event = {.fd = fd, .events = wanted};
        if (poll(&event, 1, QUIET_MS) <= 0)
            break;
        if ((event.revents & POLLOUT) != 0) {
            ssize_t put = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent = put > 0 ? sent + (size_t)put : size;
        }
        if ((event.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            char drop[4096];
            size_t room = REPLY_BYTES - used;
            ssize_t got = recv(fd, room > 0 ? replies + used : drop, room > 0 ? room : sizeof(drop),
                               MSG_DONTWAIT);
            open = got > 0;
            if (open && room > 0)
                used += (size_t)got;
        }
    }
    close(fd);
    replies[used] = '\0';
    return used;
}

static bool has_directory(const void *bytes, size_t size)
{
    return memmem(bytes, size, service.directory, strlen(service.directory)) != NULL;
}

/* A reply may say what the request said. libFuzzer sees what is searched for, and tries it. */
static bool knows_directory(const uint8_t *bytes, size_t size)
{
    return memchr(bytes, '%', size) != NULL || has_directory(bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static unsigned inputs;
    start_once();
    if (size == 0)
        return 0;
    size_t used = exchange(bytes, size);
    assert(used < 12 ||
           (strncmp(replies, "HTTP/1.", 7) == 0 && replies[9] >= '1' && replies[9] <= '5'));
    assert(used < 12 || memcmp(replies + 9, "500", 3) != 0);
    assert(knows_directory(bytes, size) || !has_directory(replies, used));
    if (inputs++ % CHECK_EACH == 0) {
        struct reply reply = client_get(service.port, "/healthz");
        if (reply.status != 200)
            (void)fprintf(stderr, "GET /healthz: %d %s\n", reply.status, reply.body);
        assert(reply.status == 200);
        reply_free(&reply);
    }
    return 0;
}
