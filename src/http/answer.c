/* Answers: from memory or from a file, with conditions and ranges (RFC 9110 sections 13 and 14). */

#include "http_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void http_answer(struct http_request *request, int status, const char *media_type,
                 const void *bytes, size_t size, bool copy)
{
    struct answer *answer = &request->answer;
    const void *kept = copy ? arena_memdup(request->arena, bytes, size, NULL) : bytes;
    answer->status = kept != NULL ? status : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer->bytes = kept != NULL ? kept : "";
    answer->size = kept != NULL ? size : 0;
    answer->media_type = media_type;
    answer->gzip = NULL;
}

void http_set_gzip(struct http_request *request, const void *bytes, size_t size)
{
    request->answer.gzip = bytes;
    request->answer.gzip_size = size;
}

void http_answer_pages(struct http_request *request, int fd, uint64_t size, const char *media_type)
{
    struct answer *answer = &request->answer;
    const char *kept = arena_strdup(request->arena, media_type, NULL);
    answer->status = MHD_HTTP_OK;
    answer->fd = fd;
    answer->file_size = size;
    answer->media_type = kept != NULL ? kept : "application/octet-stream";
}

void http_answer_file(struct http_request *request, int fd, uint64_t size, const char *media_type)
{
    http_answer_pages(request, fd, size, media_type);
    request->answer.ranges = true;
}

void http_forget_answer(struct http_request *request)
{
    struct answer *answer = &request->answer;
    if (answer->fd >= 0)
        close(answer->fd);
    *answer = (struct answer){.fd = -1};
}

static bool is_header_value(const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    }
    return true;
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
    struct answer *answer = &request->answer;
    if (answer->header_count == ANSWER_HEADERS_MAX || !is_header_value(value))
        return;
    const char *name_copy = arena_strdup(request->arena, name, NULL);
    const char *value_copy = arena_strdup(request->arena, value, NULL);
    if (name_copy == NULL || value_copy == NULL)
        return; /* an answer without it is better than none */
    answer->headers[answer->header_count].name = name_copy;
    answer->headers[answer->header_count].value = value_copy;
    answer->header_count++;
}

void http_set_etag(struct http_request *request, const char *tag)
{
    const char *encoded = arena_printf(request->arena, NULL, "\"%s-gzip\"", tag);
    request->answer.etag =
        encoded != NULL ? arena_printf(request->arena, NULL, "\"%s\"", tag) : NULL;
    request->answer.encoded_etag = encoded;
}

/* The part of a file that is asked for; If-Range with another tag asks for the whole. Of a HEAD the
 * Range is ignored (RFC 9110 section 14.2). */
static enum http_range requested_range(const struct http_request *request, uint64_t *out_first,
                                       uint64_t *out_count)
{
    const struct answer *answer = &request->answer;
    if (!answer->ranges || strcmp(request->method, "GET") != 0 ||
        !http_range_condition_holds(request))
        return HTTP_RANGE_WHOLE;
    return http_range_parse(http_header(request, MHD_HTTP_HEADER_RANGE), answer->file_size,
                            out_first, out_count);
}

static struct MHD_Response *empty_response(void)
{
    static char nothing[1];
    return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *memory_response(const struct answer *answer)
{
    /* The bytes are in the request's arena, which outlives the response; libmicrohttpd only reads
     * them. */
    union {
        const void *constant;
        void *plain;
    } bytes = {.constant = answer->bytes};
    return MHD_create_response_from_buffer(answer->size, bytes.plain, MHD_RESPMEM_PERSISTENT);
}

/* A problem in place of the answer that was made, whose headers go with it. */
static struct MHD_Response *problem_response(struct http_request *request, const struct error *err)
{
    const struct http_options *options = &request->server->options;
    http_forget_answer(request);
    options->problem(request, options->context, err);
    return memory_response(&request->answer);
}

/* It is another version than the client wants. */
static struct MHD_Response *failed_condition(struct http_request *request)
{
    struct error err = {0};
    FAIL(&err, E_PRECONDITION, "%s is not the version that the request is meant for",
         request->path);
    return problem_response(request, &err);
}

/* The file ends before the range that is asked for. */
static struct MHD_Response *failed_range(struct http_request *request)
{
    struct error err = {0};
    uint64_t size = request->answer.file_size;
    char range[64];
    (void)snprintf(range, sizeof(range), "bytes */%" PRIu64, size);
    FAIL(&err, E_RANGE, "\"%.60s\" is no part of the %" PRIu64 " bytes of %s",
         http_header(request, MHD_HTTP_HEADER_RANGE), size, request->path);
    struct MHD_Response *response = problem_response(request, &err);
    http_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, range);
    return response;
}

static struct MHD_Response *file_response(struct http_request *request)
{
    struct answer *answer = &request->answer;
    uint64_t first = 0, count = answer->file_size;
    char range[96];
    switch (requested_range(request, &first, &count)) {
    case HTTP_RANGE_WHOLE:
        break;
    case HTTP_RANGE_PART:
        answer->status = MHD_HTTP_PARTIAL_CONTENT;
        (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                       first + count - 1, answer->file_size);
        http_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, range);
        break;
    case HTTP_RANGE_UNSATISFIABLE:
        return failed_range(request);
    }
    if (answer->ranges)
        http_add_header(request, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(count, answer->fd, first);
    if (response != NULL)
        answer->fd = -1; /* closed with the response */
    answer->size = (size_t)count;
    return response;
}

static struct MHD_Response *create_response(struct http_request *request)
{
    struct answer *answer = &request->answer;
    bool encodable = http_is_encodable(answer);
    bool encoded =
        encodable && http_takes_gzip(http_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    if (encodable)
        http_add_header(request, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (answer->status == MHD_HTTP_OK && http_is_safe(request->method)) {
        switch (http_check_conditions(request)) {
        case HTTP_CONDITION_HOLDS:
            break;
        case HTTP_CONDITION_KNOWN:
            answer->status = MHD_HTTP_NOT_MODIFIED;
            answer->etag = encoded ? answer->encoded_etag : answer->etag;
            return empty_response();
        case HTTP_CONDITION_FAILED:
            return failed_condition(request);
        }
    }
    if (answer->source.read != NULL)
        return http_stream_response(request);
    if (answer->fd >= 0)
        return file_response(request);
    if (encoded)
        http_encode(request);
    return memory_response(answer);
}

static void add_headers(const struct http_request *request, struct MHD_Response *response)
{
    const struct answer *answer = &request->answer;
    bool described = answer->status != MHD_HTTP_NOT_MODIFIED && answer->media_type != NULL;
    if (described)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->media_type);
    if (answer->etag != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    (void)MHD_add_response_header(response, "X-Request-Id", request->id);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (http_content_length(request->connection) == UINT64_MAX) /* see framing.c */
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    for (size_t i = 0; i < answer->header_count; i++)
        (void)MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
}

static enum http_kind kind_of(const struct http_request *request)
{
    if (request->waited)
        return HTTP_WAIT;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    return reads ? HTTP_READ : HTTP_CHANGE;
}

/* The path as the value of a pair in the log: what would end the value is escaped. */
static const char *logged_path(const struct http_request *request)
{
    if (strpbrk(request->path, "\"\\") == NULL)
        return request->path;
    char *copy = arena_alloc(request->arena, 2 * strlen(request->path) + 1, NULL);
    if (copy == NULL)
        return "";
    char *out = copy;
    for (const char *in = request->path; *in != '\0'; in++) {
        if (*in == '"' || *in == '\\')
            *out++ = '\\';
        *out++ = *in;
    }
    *out = '\0';
    return copy;
}

static void note_sent(const struct http_request *request)
{
    struct http_server *server = request->server;
    durations_add(&server->latency[kind_of(request)], clock_us() - request->started_us);
    if (strcmp(request->method, "HEAD") != 0 && request->answer.status != MHD_HTTP_NOT_MODIFIED)
        atomic_fetch_add(&server->sent_bytes, request->answer.size);
    int status = request->answer.status;
    atomic_fetch_add(&request->server->by_class[status / 100 <= 5 ? status / 100 : 0], 1);
    enum log_level level = status >= 500 ? LOG_WARN : LOG_DEBUG;
    log_write(level, "http", "answered|status=%d ms=%" PRId64 " bytes=%zu method=%s path=\"%s\"",
              status, clock_ms() - request->started_ms, request->answer.size, request->method,
              logged_path(request));
}

/* A large answer that there is no place for does not stay in memory until the problem is sent. */
static void keep_budget(struct http_request *request)
{
    const struct http_options *options = &request->server->options;
    struct error err = {0};
    if (http_budget_answer(request, &err))
        return;
    http_arena_change(request);
    options->problem(request, options->context, &err);
}

enum MHD_Result http_send(struct http_request *request)
{
    keep_budget(request);
    struct MHD_Response *response = create_response(request);
    if (response == NULL)
        return MHD_NO;
    add_headers(request, response);
    http_set_deadline(request,
                      http_transfer_deadline(request->server, clock_ms(), request->answer.size));
    request->phase = PHASE_SENT;
    note_sent(request);
    enum MHD_Result queued =
        MHD_queue_response(request->connection, (unsigned)request->answer.status, response);
    MHD_destroy_response(response);
    return queued;
}
