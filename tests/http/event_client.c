#include "event_client.h"

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads what is there; false at the end of the connection or the deadline. */
static bool receive(struct event_client *client, long deadline_ms)
{
    if (!client_readable(client->fd, deadline_ms))
        return false;
    ssize_t got = recv(client->fd, client->raw + client->raw_used,
                       sizeof(client->raw) - 1 - client->raw_used, 0);
    if (got <= 0) {
        client->ended = true;
        return false;
    }
    client->raw_used += (size_t)got;
    client->raw[client->raw_used] = '\0';
    return true;
}

static void drop_raw(struct event_client *client, size_t count)
{
    client->raw_used -= count;
    memmove(client->raw, client->raw + count, client->raw_used + 1);
}

static void keep(struct event_client *client, const char *bytes, size_t count)
{
    if (client->used + count + 1 > client->capacity) {
        client->capacity = (client->used + count + 1) * 2;
        client->bytes = realloc(client->bytes, client->capacity);
        if (client->bytes == NULL)
            abort();
    }
    memcpy(client->bytes + client->used, bytes, count);
    client->used += count;
    client->bytes[client->used] = '\0';
}

/* Decodes what was received; false when more is needed. */
static bool decode(struct event_client *client)
{
    if (client->chunk_left > 2) { /* the last two are the line's end behind the data */
        size_t data = client->chunk_left - 2;
        size_t count = client->raw_used < data ? client->raw_used : data;
        keep(client, client->raw, count);
        client->chunk_left -= count;
        drop_raw(client, count);
        return count > 0;
    }
    if (client->raw_used < client->chunk_left)
        return false;
    drop_raw(client, client->chunk_left);
    client->chunk_left = 0;
    char *end = strstr(client->raw, "\r\n");
    if (end == NULL)
        return false;
    size_t size = strtoul(client->raw, NULL, 16);
    drop_raw(client, (size_t)(end + 2 - client->raw));
    client->chunk_left = size + 2;
    client->ended = client->whole = size == 0;
    return !client->ended;
}

void event_client_open(struct event_client *client, int port, const char *target,
                       const char *headers)
{
    *client = (struct event_client){.fd = client_connect(port)};
    keep(client, "", 0);
    char head[1024];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target,
             headers != NULL ? headers : "");
    client_send_text(client->fd, head);
    long deadline = client_now_ms() + CLIENT_DEADLINE_MS;
    char *end;
    while ((end = strstr(client->raw, "\r\n\r\n")) == NULL) {
        if (!receive(client, deadline))
            return;
    }
    size_t length = (size_t)(end + 4 - client->raw);
    if (length >= sizeof(client->head))
        abort();
    memcpy(client->head, client->raw, length);
    client->status = (int)strtol(client->head + strlen("HTTP/1.1 "), NULL, 10);
    drop_raw(client, length);
}

static void take_line(struct event *event, const char *line, size_t length)
{
    if (length > 7 && strncmp(line, "event: ", 7) == 0)
        snprintf(event->name, sizeof(event->name), "%.*s", (int)length - 7, line + 7);
    else if (length > 4 && strncmp(line, "id: ", 4) == 0)
        snprintf(event->id, sizeof(event->id), "%.*s", (int)length - 4, line + 4);
    else if (length > 6 && strncmp(line, "data: ", 6) == 0)
        strncat(event->data, line + 6, length - 6); /* has room for all lines */
    else if (length > 0 && line[0] == ':')
        event->comment = true;
}

bool event_client_next(struct event_client *client, struct event *out_event)
{
    long deadline = client_now_ms() + 2L * CLIENT_DEADLINE_MS;
    char *end;
    while ((end = strstr(client->bytes, "\n\n")) == NULL) {
        if (!decode(client) && (client->ended || !receive(client, deadline)))
            return false;
    }
    size_t length = (size_t)(end - client->bytes);
    struct event event = {.data = calloc(1, length + 1)};
    for (const char *line = client->bytes; line < end;) {
        size_t line_length = strcspn(line, "\n");
        take_line(&event, line, line_length);
        line += line_length + 1;
    }
    event.comment = event.comment && event.data[0] == '\0';
    client->used -= length + 2;
    memmove(client->bytes, end + 2, client->used + 1);
    *out_event = event;
    return true;
}

bool event_client_find(struct event_client *client, const char *name, struct event *out_event)
{
    while (event_client_next(client, out_event)) {
        if (strcmp(out_event->name, name) == 0)
            return true;
        event_free(out_event);
    }
    return false;
}

void event_free(struct event *event)
{
    free(event->data);
    *event = (struct event){0};
}

void event_client_close(struct event_client *client)
{
    close(client->fd);
    free(client->bytes);
    *client = (struct event_client){.fd = -1};
}
