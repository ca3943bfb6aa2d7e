#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_BYTES_MAX = 64 << 20 };

long client_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool client_readable(int fd, long deadline_ms)
{
    struct pollfd event = {.fd = fd, .events = POLLIN};
    for (;;) {
        long left = deadline_ms - client_now_ms();
        int ready = left > 0 ? poll(&event, 1, (int)left) : 0;
        if (ready >= 0 || errno != EINTR) /* a fuzzer has a timer that ticks */
            return ready > 0;
    }
}

int client_connect(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool client_send(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool client_send_text(int fd, const char *text)
{
    return client_send(fd, text, strlen(text));
}

/* Reads what is there into `buffer`; 0 at the end of the connection or the deadline. */
static size_t receive_some(int fd, char *buffer, size_t size, long deadline_ms)
{
    if (!client_readable(fd, deadline_ms))
        return 0;
    ssize_t got = recv(fd, buffer, size, 0);
    return got > 0 ? (size_t)got : 0;
}

struct stream {
    int fd;
    char *bytes;
    size_t used, capacity;
    long deadline_ms;
};

static bool read_more(struct stream *stream)
{
    if (stream->used + 65536 + 1 > stream->capacity) {
        stream->capacity = stream->capacity * 2 + 65536 + 1;
        stream->bytes = realloc(stream->bytes, stream->capacity);
        if (stream->bytes == NULL || stream->capacity > REPLY_BYTES_MAX)
            abort();
    }
    size_t got = receive_some(stream->fd, stream->bytes + stream->used, 65536, stream->deadline_ms);
    stream->used += got;
    stream->bytes[stream->used] = '\0';
    return got > 0;
}

const char *reply_header(const struct reply *reply, const char *name, char *buffer, size_t size)
{
    size_t length = strlen(name);
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL;
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            value += strspn(value, " ");
            snprintf(buffer, size, "%.*s", (int)strcspn(value, "\r"), value);
            return buffer;
        }
    }
    return NULL;
}

struct reply client_receive(int fd, bool head_only)
{
    struct stream stream = {.fd = fd, .deadline_ms = client_now_ms() + CLIENT_DEADLINE_MS};
    struct reply reply = {0};
    char *end = NULL;
    char value[64];
    for (;;) {
        while ((stream.used == 0 || (end = strstr(stream.bytes, "\r\n\r\n")) == NULL)) {
            if (!read_more(&stream)) {
                free(stream.bytes);
                return reply;
            }
        }
        if (strncmp(stream.bytes, "HTTP/1.1 100", 12) != 0)
            break;
        stream.used -= (size_t)(end + 4 - stream.bytes);
        memmove(stream.bytes, end + 4, stream.used + 1);
    }
    size_t head = (size_t)(end + 4 - stream.bytes);
    reply.head = strndup(stream.bytes, head);
    const char *length = reply_header(&reply, "Content-Length", value, sizeof(value));
    size_t wanted = head_only || length == NULL ? 0 : strtoul(length, NULL, 10);
    bool whole = true;
    while (whole && stream.used < head + wanted)
        whole = read_more(&stream);
    reply.status = whole ? (int)strtol(stream.bytes + strlen("HTTP/1.1 "), NULL, 10) : 0;
    reply.size = whole ? wanted : stream.used - head;
    reply.body = calloc(1, reply.size + 1);
    memcpy(reply.body, stream.bytes + head, reply.size);
    free(stream.bytes);
    return reply;
}

long client_wait_closed(int fd)
{
    long start = client_now_ms();
    char buffer[4096];
    for (;;) {
        if (!client_readable(fd, start + CLIENT_DEADLINE_MS))
            return -1;
        if (recv(fd, buffer, sizeof(buffer), 0) <= 0)
            return client_now_ms() - start;
    }
}

void reply_free(struct reply *reply)
{
    free(reply->head);
    free(reply->body);
    *reply = (struct reply){0};
}

struct reply client_call(int port, const char *method, const char *target, const char *headers,
                         const void *body, size_t size)
{
    int fd = client_connect(port);
    if (fd < 0)
        return (struct reply){0};
    char head[8192];
    int length =
        snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s",
                 method, target, headers != NULL ? headers : "");
    if (body != NULL)
        length +=
            snprintf(head + length, sizeof(head) - (size_t)length, "Content-Length: %zu\r\n", size);
    snprintf(head + length, sizeof(head) - (size_t)length, "\r\n");
    client_send_text(fd, head);
    if (body != NULL)
        client_send(fd, body, size); /* may be cut short by a refusal */
    struct reply reply = client_receive(fd, strcmp(method, "HEAD") == 0);
    close(fd);
    return reply;
}

struct reply client_get(int port, const char *target)
{
    return client_call(port, "GET", target, NULL, NULL, 0);
}
