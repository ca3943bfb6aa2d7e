/* The dashboard's files: who gets which, in which form, and what browsers are told about them. */

#include "service.h"
#include "web_files.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct service service;

static void setup(void)
{
    service_start(&service, false);
}

static void setup_tokens(void)
{
    service_start(&service, true);
}

static void teardown(void)
{
    service_stop(&service);
}

static struct reply get(const char *target, const char *headers)
{
    return client_call(service.port, "GET", target, headers, NULL, 0);
}

static void check_header(const struct reply *reply, const char *name, const char *wanted)
{
    char value[512];
    ck_assert_msg(reply_header(reply, name, value, sizeof(value)) != NULL, "no %s:\n%s", name,
                  reply->head);
    ck_assert_msg(support_contains(value, wanted), "%s: %s", name, value);
}

static const char *target_of(const struct web_file *file)
{
    return arena_printf(service.arena, NULL, "/web/%s", file->name);
}

static const char browser[] = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

START_TEST(a_browser_gets_the_page_and_everything_else_the_list)
{
    struct reply page = get("/", browser);
    ck_assert_int_eq(page.status, 200);
    check_header(&page, "Content-Type", "text/html");
    ck_assert_int_eq(strncmp(page.body, "<!doctype html>", 15), 0);
    reply_free(&page);

    static const char *const others[] = {NULL, "Accept: */*\r\n", "Accept: text/plain\r\n",
                                         "Accept: application/json\r\n"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct reply list = get("/", others[i]);
        ck_assert_int_eq(list.status, 200);
        check_header(&list, "Content-Type", "text/plain");
        ck_assert(support_contains(list.body, "/v1/jobs"));
        reply_free(&list);
    }
}
END_TEST

/* Law: a cache between must not give one the other's. */
START_TEST(the_answer_at_the_root_varies_with_what_is_accepted)
{
    struct reply page = get("/", browser);
    ck_assert(support_contains(page.head, "Vary: Accept\r\n"));
    reply_free(&page);
}
END_TEST

START_TEST(every_file_comes_whole_with_its_type)
{
    ck_assert_uint_ge(web_file_count, 10);
    for (size_t i = 0; i < web_file_count; i++) {
        const struct web_file *file = &web_files[i];
        struct reply reply = get(target_of(file), NULL);
        ck_assert_msg(reply.status == 200, "%s: %d", file->name, reply.status);
        check_header(&reply, "Content-Type", file->media_type);
        ck_assert_uint_eq(reply.size, file->size);
        ck_assert_mem_eq(reply.body, file->bytes, file->size);
        reply_free(&reply);
    }
}
END_TEST

static size_t unpack(const struct reply *reply, unsigned char *out, size_t size)
{
    z_stream stream = {0};
    ck_assert_int_eq(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_in = (Bytef *)reply->body;
    stream.avail_in = (uInt)reply->size;
    stream.next_out = out;
    stream.avail_out = (uInt)size;
    ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t count = stream.total_out;
    inflateEnd(&stream);
    return count;
}

/* Law: what was packed by the build unpacks to the same bytes, under a tag of its own. */
START_TEST(who_takes_gzip_gets_what_was_packed_beforehand)
{
    size_t packed = 0;
    for (size_t i = 0; i < web_file_count; i++) {
        const struct web_file *file = &web_files[i];
        char tag[128];
        struct reply reply = get(target_of(file), "Accept-Encoding: gzip\r\n");
        if (reply_header(&reply, "Content-Encoding", tag, sizeof(tag)) != NULL) {
            unsigned char *bytes = malloc(file->size + 1);
            ck_assert_uint_eq(reply.size, file->gzip_size);
            ck_assert_uint_eq(unpack(&reply, bytes, file->size + 1), file->size);
            ck_assert_mem_eq(bytes, file->bytes, file->size);
            check_header(&reply, "ETag", "-gzip");
            free(bytes);
            packed++;
        }
        reply_free(&reply);
    }
    ck_assert_uint_ge(packed, 8);
}
END_TEST

START_TEST(a_file_that_is_known_is_not_sent_again)
{
    char tag[128];
    struct reply reply = get("/web/app.js", NULL);
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", tag, sizeof(tag)));
    ck_assert_int_eq(tag[0], '"'); /* a strong one */
    check_header(&reply, "Cache-Control", "no-cache");
    reply_free(&reply);
    reply = get("/web/app.js", arena_printf(service.arena, NULL, "If-None-Match: %s\r\n", tag));
    ck_assert_int_eq(reply.status, 304);
    ck_assert_uint_eq(reply.size, 0);
    reply_free(&reply);
}
END_TEST

/* Law: nothing from elsewhere, no inline script or style, no frame around it. */
START_TEST(browsers_are_told_what_is_allowed)
{
    static const char *const targets[] = {"/", "/web/index.html", "/web/app.js"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct reply reply = get(targets[i], browser);
        check_header(&reply, "Content-Security-Policy", "default-src 'self'");
        check_header(&reply, "Content-Security-Policy", "frame-ancestors 'none'");
        ck_assert(!support_contains(reply.head, "unsafe-inline"));
        check_header(&reply, "X-Content-Type-Options", "nosniff");
        check_header(&reply, "Referrer-Policy", "no-referrer");
        reply_free(&reply);
    }
    struct reply page = get("/", browser);
    ck_assert(!support_contains(page.body, "<style"));
    ck_assert(!support_contains(page.body, "style="));
    ck_assert(!support_contains(page.body, "//")); /* no address of another host */
    reply_free(&page);
}
END_TEST

START_TEST(no_other_path_is_a_file)
{
    static const char *const targets[] = {
        "/web/",        "/web/none.js", "/web/..%2Fapp.js",
        "/web/app.js/", "/web/APP.JS",  "/web/%2e%2e/%2e%2e/etc/passwd"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct reply reply = get(targets[i], NULL);
        ck_assert_msg(reply.status == 404, "%s: %d", targets[i], reply.status);
        reply_free(&reply);
    }
}
END_TEST

/* Law: the page must come before it can ask for a token; data wants the token. */
START_TEST(files_are_for_anybody_and_data_is_not)
{
    struct reply reply = get("/web/app.js", NULL);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    reply = get("/", browser);
    ck_assert_int_eq(reply.status, 200);
    reply_free(&reply);
    reply = get("/v1/jobs", NULL);
    ck_assert_int_eq(reply.status, 401);
    reply_free(&reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("web");
    TCase *open = tcase_create("open");
    tcase_add_checked_fixture(open, setup, teardown);
    tcase_add_test(open, a_browser_gets_the_page_and_everything_else_the_list);
    tcase_add_test(open, the_answer_at_the_root_varies_with_what_is_accepted);
    tcase_add_test(open, every_file_comes_whole_with_its_type);
    tcase_add_test(open, who_takes_gzip_gets_what_was_packed_beforehand);
    tcase_add_test(open, a_file_that_is_known_is_not_sent_again);
    tcase_add_test(open, browsers_are_told_what_is_allowed);
    tcase_add_test(open, no_other_path_is_a_file);
    suite_add_tcase(suite, open);
    TCase *tokens = tcase_create("tokens");
    tcase_add_checked_fixture(tokens, setup_tokens, teardown);
    tcase_add_test(tokens, files_are_for_anybody_and_data_is_not);
    suite_add_tcase(suite, tokens);
    return support_run(suite);
}
