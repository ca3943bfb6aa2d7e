/* The acceptor: one thread that takes the new connections and deals them out to the HTTP threads.
 *
 * Were libmicrohttpd to listen, the first of its threads to wake would accept up to ten connections
 * at once, and sixteen clients may end on one thread of four: a GET flood of 32 clients then has
 * half of what it has on all. MHD_add_connection takes the thread by the number of the descriptor:
 * those of open connections are dense, so each thread has its share.
 *
 * The listening socket is closed at the end, not shut down: with socket activation it is the
 * service manager's as well, and who connects from then on waits for the next daemon.
 */

#include "http_private.h"

#include "ptqd/base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FULL_PAUSE_MS = 100 }; /* when no descriptor or no memory is left */

/* True when the acceptor is to end; waits for that, or for a connection if `listening`. */
static bool wait_for_work(const struct http_server *server, bool listening)
{
    struct pollfd events[] = {
        {.fd = server->acceptor_end, .events = POLLIN},
        {.fd = server->options.listen_fd, .events = POLLIN},
    };
    int count = poll(events, listening ? 2 : 1, listening ? -1 : FULL_PAUSE_MS);
    return count > 0 && events[0].revents != 0;
}

/* False when the machine has no place for one more. */
static bool take_connection(struct http_server *server)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    int fd = accept4(server->options.listen_fd, (struct sockaddr *)&address, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        log_write(LOG_WARN, "http", "no connection can be accepted|error=\"%s\"", strerror(errno));
        return false;
    }
    if (fd >= 0) /* else the client has gone already; closes what it does not take */
        (void)MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, size);
    return true;
}

static void *acceptor_main(void *context)
{
    struct http_server *server = context;
    bool listening = true;
    while (!wait_for_work(server, listening))
        listening = !listening || take_connection(server);
    return NULL;
}

bool http_acceptor_start(struct http_server *server, struct error *err)
{
    server->acceptor_end = eventfd(0, EFD_CLOEXEC);
    if (server->acceptor_end < 0)
        return FAIL(err, E_UNAVAILABLE, "can't make an event: %s", strerror(errno));
    int status = pthread_create(&server->acceptor, NULL, acceptor_main, server);
    if (status == 0)
        return true;
    close(server->acceptor_end);
    return FAIL(err, E_UNAVAILABLE, "can't start a thread: %s", strerror(status));
}

void http_acceptor_stop(struct http_server *server)
{
    (void)eventfd_write(server->acceptor_end, 1); /* can't fail: it is zero */
    pthread_join(server->acceptor, NULL);
    close(server->acceptor_end);
    close(server->options.listen_fd);
}
