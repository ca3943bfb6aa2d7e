#include "sockets.h"

#include "ptqd/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#ifdef PTQD_SYSTEMD

#include <systemd/sd-daemon.h>

bool sockets_inherit(int *out_fd, struct error *err)
{
    int count = sd_listen_fds(1);
    if (count < 0)
        return FAIL(err, E_INVALID, "the sockets handed over can't be read: %s", strerror(-count));
    if (count > 1)
        return FAIL(err, E_INVALID, "%d sockets were handed over; one is served", count);
    if (count == 0) {
        *out_fd = -1;
        return true;
    }
    int fd = SD_LISTEN_FDS_START;
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
        return FAIL(err, E_INVALID, "what was handed over is no listening stream socket");
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return FAIL(err, E_IO, "the socket handed over: %s", strerror(errno));
    *out_fd = fd;
    return true;
}

#else

bool sockets_inherit(int *out_fd, struct error *err)
{
    (void)err;
    *out_fd = -1;
    return true;
}

#endif

void sockets_name(int fd, char out_name[static SOCKETS_NAME_BYTES])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address;
    socklen_t size = sizeof(address);
    (void)snprintf(out_name, SOCKETS_NAME_BYTES, "unknown");
    if (getsockname(fd, &address.any, &size) != 0)
        return;
    if (address.any.sa_family == AF_UNIX)
        (void)snprintf(out_name, SOCKETS_NAME_BYTES, "unix");
    else if (address.any.sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &address.v4.sin_addr, out_name, SOCKETS_NAME_BYTES);
    else if (address.any.sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &address.v6.sin6_addr, out_name, SOCKETS_NAME_BYTES);
}

bool sockets_is_local(int fd)
{
    char name[SOCKETS_NAME_BYTES];
    sockets_name(fd, name);
    return strcmp(name, "unix") == 0 || http_is_loopback(name);
}

void sockets_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* without it connections are refused earlier */
}
