/* What handlers of several resources answer and read alike. */

#include "api_private.h"

#include "ptqd/base/digest.h"
#include "ptqd/base/text.h"
#include "ptqd/store/blob.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char json_media_type[] = "application/json";

bool reply_json(struct http_request *request, int status, const struct json *value,
                struct error *err)
{
    size_t size;
    const char *text = json_print_string(value, http_arena(request), &size, err);
    if (text == NULL)
        return false;
    http_answer(request, status, json_media_type, text, size, false);
    return true;
}

bool reply_json_tagged(struct http_request *request, const struct json *value, struct error *err)
{
    size_t size;
    char etag[ANSWER_ETAG_BYTES];
    const char *text = json_print_string(value, http_arena(request), &size, err);
    if (text == NULL || !make_etag(text, size, etag, err))
        return false;
    http_set_etag(request, etag);
    http_answer(request, 200, json_media_type, text, size, false);
    return true;
}

bool reply_text(struct http_request *request, const struct text *text, struct error *err)
{
    char *copy = text_dup(text, http_arena(request), err);
    if (copy == NULL)
        return false;
    http_answer(request, 200, http_media_type(request), copy, text->length, false);
    return true;
}

static const struct schema_member page_members[] = {
    {"next", .type = SCHEMA_STRING, .null = true,
     .help = "The cursor of the next page; null: none"},
    {0},
};
const struct schema page_schema = {
    .name = "Page",
    .help = "A part of a list",
    .members = page_members,
};

struct json *reply_list(struct json *object, const char *next)
{
    struct json *items = json_add_array(object, "items");
    json_add_string(object, "next", next[0] != '\0' ? next : NULL);
    return items;
}

/* Half of what is left, so that the end is seen soon after it, and who asks often while it is far
 * off asks less. */
int retry_seconds_of(double eta_seconds)
{
    enum { LEAST = 1, UNKNOWN = 5, MOST = 30 };
    double seconds = isnan(eta_seconds) ? UNKNOWN : fmin(fmax(eta_seconds / 2, LEAST), MOST);
    return (int)ceil(seconds);
}

void reply_retry_seconds(struct http_request *request, int seconds)
{
    char value[16];
    (void)snprintf(value, sizeof(value), "%d", seconds); /* fits */
    http_add_header(request, "Retry-After", value);
}

void reply_retry_after(struct http_request *request, double eta_seconds)
{
    reply_retry_seconds(request, retry_seconds_of(eta_seconds));
}

bool reply_nothing(struct http_request *request)
{
    http_answer(request, 204, NULL, "", 0, false);
    return true;
}

/* "Digest: sha-256=<base64>" (RFC 3230) of a hexadecimal digest. */
static void add_digest(struct http_request *request, const char *hex)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char value[64] = "sha-256=";
    size_t at = strlen(value);
    for (size_t i = 0; i < 32; i += 3) {
        unsigned bytes[3] = {0};
        size_t count = 32 - i < 3 ? 32 - i : 3;
        for (size_t j = 0; j < count; j++)
            (void)sscanf(hex + 2 * (i + j), "%2x", &bytes[j]); /* an id has 64 digits */
        unsigned group = bytes[0] << 16 | bytes[1] << 8 | bytes[2];
        value[at++] = alphabet[group >> 18];
        value[at++] = alphabet[group >> 12 & 63];
        value[at++] = count > 1 ? alphabet[group >> 6 & 63] : '=';
        value[at++] = count > 2 ? alphabet[group & 63] : '=';
    }
    value[at] = '\0';
    http_add_header(request, "Digest", value);
}

bool reply_blob(struct http_request *request, struct api *api, const char *id,
                const char *media_type, const char *filename, struct error *err)
{
    char hex[DIGEST_HEX_BYTES];
    int fd;
    uint64_t size;
    if (!digest_parse_id(id, hex, err) ||
        !blob_open(store_blobs(api->options.store), id, &fd, &size, err))
        return false;
    struct stat status;
    if (fstat(fd, &status) == 0)
        http_set_modified(request, status.st_mtime);
    http_set_etag(request, hex);
    add_digest(request, hex);
    const char *disposition =
        arena_printf(http_arena(request), NULL, "attachment; filename=\"%s\"", filename);
    if (disposition != NULL && strpbrk(filename, "\"\\") == NULL)
        http_add_header(request, "Content-Disposition", disposition);
    http_answer_file(request, fd, size, media_type);
    return true;
}

void add_time(struct json *object, const char *key, int64_t unix_ms)
{
    char time[TEXT_TIME_BYTES];
    text_time(unix_ms, time);
    json_add_string(object, key, unix_ms != 0 ? time : NULL);
}

void add_run_problem(struct json *object, const char *key, const struct run_problem *problem)
{
    if (problem->code == NULL) {
        json_add_null(object, key);
        return;
    }
    struct error error = {.code = error_code_find(problem->code)};
    (void)snprintf(error.message, sizeof(error.message), "%s", problem->message);
    (void)snprintf(error.pointer, sizeof(error.pointer), "%s",
                   problem->pointer != NULL ? problem->pointer : "");
    problem_add(json_add_object(object, key), &error);
}
