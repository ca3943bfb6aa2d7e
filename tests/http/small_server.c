#include "small_server.h"

#include "support.h"

#include "ptqd/base/text.h"
#include "ptqd/http/listen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SINK_BYTES = 300 * 1000, PARK_MS = 1000 };

bool small_server_echo(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    size_t size;
    const char *body = http_body(request, &size);
    const char *name = http_query(request, "name");
    char *text = arena_printf(http_arena(request), err, "%s|%s|%.*s", http_param(request, "id"),
                              name != NULL ? name : "-", (int)size, body);
    if (text == NULL)
        return false;
    http_answer(request, 200, "text/plain", text, strlen(text), false);
    return true;
}

static bool drop(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)context;
    (void)bytes;
    (void)size;
    (void)err;
    return true;
}

static bool begin_sink(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    const struct http_sink sink = {.write = drop};
    http_set_sink(request, &sink, SINK_BYTES);
    return true;
}

static bool finish_sink(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_answer(request, 201, "text/plain", "stored", 6, true);
    return true;
}

static bool json(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    const char *wanted = http_query(request, "size");
    size_t size = wanted != NULL ? strtoul(wanted, NULL, 10) : 10;
    char *filler = arena_alloc(http_arena(request), size + 1, err);
    if (filler == NULL)
        return false;
    memset(filler, 'a', size);
    filler[size] = '\0';
    char *text = arena_printf(http_arena(request), err, "{\"text\": \"%s\"}", filler);
    if (text == NULL)
        return false;
    http_set_etag(request, "tag-1");
    http_answer(request, 200, "application/json", text, strlen(text), false);
    return true;
}

static bool file(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    enum { BYTES = 5000 };
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, BYTES) != 0)
        return FAIL(err, E_IO, "no temporary file");
    http_set_etag(request, "file-1");
    http_set_modified(request, 784111777);
    http_answer_file(request, fd, BYTES, "text/plain");
    return true;
}

bool small_server_wake(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    http_answer(request, 200, "text/plain", "woken", 5, true);
    return true;
}

static bool park(struct http_request *request, void *context, struct error *err)
{
    (void)context;
    (void)err;
    const char *ms = http_query(request, "ms");
    http_suspend(request, small_server_wake, ms != NULL ? strtol(ms, NULL, 10) : PARK_MS);
    return true;
}

const struct param small_server_name = {
    .name = "name",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 100,
};
static const struct param query_size = {
    .name = "size",
    .type = PARAM_INT,
    .default_text = "10",
    .max = 1 << 30,
    .unit = "",
};
static const struct param query_word = {
    .name = "word",
    .type = PARAM_TEXT,
    .min = 2,
    .max = 3,
};
static const struct param query_ms = {
    .name = "ms",
    .type = PARAM_INT,
    .default_text = "1000",
    .max = 1 << 20,
    .unit = "ms",
};

static const struct http_route routes[] = {
    {.method = "GET",
     .pattern = "/echo/{id}",
     .handle = small_server_echo,
     .query = {&small_server_name}},
    {.method = "POST",
     .pattern = "/echo/{id}",
     .handle = small_server_echo,
     .any_body = true,
     .query = {&small_server_name}},
    {.method = "POST", .pattern = "/sink", .begin = begin_sink, .handle = finish_sink},
    {.method = "GET", .pattern = "/json", .handle = json, .query = {&query_size}},
    {.method = "GET", .pattern = "/file", .handle = file},
    {.method = "GET", .pattern = "/park", .handle = park, .query = {&query_ms}},
    {.method = "GET", .pattern = "/word", .handle = small_server_wake, .query = {&query_word}},
};
static const struct http_table table = {routes, sizeof(routes) / sizeof(routes[0])};
const struct http_table *const small_server_tables[] = {&table, NULL};

/* The message under the status that its code has in the interface. */
static void problem(struct http_request *request, void *context, const struct error *error)
{
    (void)context;
    static const int status[ERROR_CODE_COUNT] = {
        [E_INVALID] = 422,          [E_SYNTAX] = 400,         [E_NOT_FOUND] = 404,
        [E_METHOD] = 405,           [E_TOO_LARGE] = 413,      [E_CONFLICT] = 409,
        [E_FORBIDDEN] = 403,        [E_NOT_ACCEPTABLE] = 406, [E_INTERNAL] = 500,
        [E_PRECONDITION] = 412,     [E_EXPECTATION] = 417,    [E_LIMIT] = 429,
        [E_HEADER_TOO_LARGE] = 431,
    };
    int found = status[error->code] != 0 ? status[error->code] : 503;
    http_answer(request, found, "text/plain", error->message, strlen(error->message), true);
}

struct http_options small_server_options(void)
{
    struct http_options options = http_default_options;
    options.tables = small_server_tables;
    options.problem = problem;
    options.threads = 2;
    options.body_bytes = SMALL_SERVER_BODY_BYTES;
    return options;
}

void small_server_start(struct small_server *server, const struct http_options *options)
{
    struct error err = {0};
    struct http_options chosen = *options;
    ck_assert_ok(http_listen("127.0.0.1", 0, &chosen.listen_fd, &err), &err);
    server->port = http_listen_port(chosen.listen_fd);
    ck_assert_ok(http_server_start(&chosen, &server->http, &err), &err);
}

void small_server_stop(struct small_server *server)
{
    http_server_stop(server->http, 2000);
}
