/* Listening sockets, made here so that port 0 works and systemd's sockets can take their place. */

#include "ptqd/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511 };

static bool resolve(const char *address, int64_t port, struct addrinfo **out_info,
                    struct error *err)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%d", (int)port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    int status = getaddrinfo(address, service, &hints, out_info);
    if (status != 0)
        return FAIL(err, E_INVALID, "\"%s\" is no numeric address to listen on: %s", address,
                    gai_strerror(status));
    return true;
}

static bool bind_and_listen(int fd, const struct addrinfo *info, struct error *err)
{
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return FAIL(err, E_IO, "SO_REUSEADDR: %s", strerror(errno));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0)
        return FAIL(err, errno == EADDRINUSE ? E_CONFLICT : E_IO, "%s", strerror(errno));
    if (listen(fd, BACKLOG) != 0)
        return FAIL(err, E_IO, "%s", strerror(errno));
    return true;
}

bool http_listen(const char *address, int64_t port, int *out_fd, struct error *err)
{
    if (port < 0 || port > 65535)
        return FAIL(err, E_INVALID, "port is %lld; 0 to 65535 are supported", (long long)port);
    struct addrinfo *info = NULL;
    if (!resolve(address, port, &info, err))
        return false;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 ? bind_and_listen(fd, info, err) : FAIL(err, E_IO, "%s", strerror(errno));
    freeaddrinfo(info);
    if (!ok) {
        if (fd >= 0)
            close(fd);
        return error_context(err, "can't listen on %s port %lld", address, (long long)port);
    }
    *out_fd = fd;
    return true;
}

int http_listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size = sizeof(address);
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    if (address.any.sa_family == AF_INET)
        return ntohs(address.v4.sin_port);
    if (address.any.sa_family == AF_INET6)
        return ntohs(address.v6.sin6_port);
    return 0;
}

bool http_is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
