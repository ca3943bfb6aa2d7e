/* multipart/form-data: the same parts whatever the pieces a body arrives in, and what is refused.
 */

#include "ptqd/base/text.h"
#include "ptqd/http/multipart.h"

#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;
static struct text seen; /* "<name|filename|type>content;" for each part */

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){0};
    text_init(&seen, 1 << 20);
}

static void teardown(void)
{
    text_finish(&seen);
    arena_destroy(arena);
}

static bool on_begin(void *context, const struct multipart_part *part, struct error *error)
{
    (void)context;
    if (strcmp(part->name, "forbidden") == 0)
        return FAIL(error, E_INVALID, "no such field");
    text_printf(&seen, "<%s|%s|%s>", part->name, part->filename, part->media_type);
    return true;
}

static bool on_data(void *context, const void *bytes, size_t size, struct error *error)
{
    (void)context;
    (void)error;
    text_append(&seen, bytes, size);
    return true;
}

static bool on_end(void *context, struct error *error)
{
    (void)context;
    (void)error;
    text_puts(&seen, ";");
    return true;
}

static const struct multipart_handler handler = {on_begin, on_data, on_end, NULL};

/* Feeds the body in pieces of `piece` bytes. */
static bool parse(const char *body, size_t size, size_t piece)
{
    struct multipart *multipart;
    if (!multipart_open(arena, "multipart/form-data; boundary=\"X-1\"", &handler, &multipart, &err))
        return false;
    for (size_t at = 0; at < size; at += piece) {
        if (!multipart_feed(multipart, body + at, size - at < piece ? size - at : piece, &err))
            return false;
    }
    return multipart_close(multipart, &err);
}

static const char form[] =
    "preamble\r\n--X-1\r\n"
    "Content-Disposition: form-data; name=\"model\"; filename=\"m \\\"1\\\".onnx\"\r\n"
    "Content-Type: application/octet-stream\r\n\r\n"
    "one\r\n--X-\r\n\r\ntwo\r\n--X-1  \r\n"
    "content-disposition:form-data;name=empty\r\n\r\n"
    "\r\n--X-1\r\n"
    "Content-Disposition: form-data; name=\"spec\"\r\n\r\n"
    "{}\r\n--X-1--\r\nepilogue";

/* Law: the parts don't depend on how the body was cut. */
START_TEST(every_piece_size_gives_the_same_parts)
{
    ck_assert_ok(parse(form, sizeof(form) - 1, (size_t)_i), &err);
    ck_assert_str_eq(seen.bytes, "<model|m \"1\".onnx|application/octet-stream>"
                                 "one\r\n--X-\r\n\r\ntwo;<empty||>;<spec||>{};");
}
END_TEST

START_TEST(content_longer_than_the_buffer_passes_through)
{
    enum { SIZE = 200 * 1000 };
    char *body = arena_alloc(arena, SIZE + 1000, NULL);
    const char *head = "--X-1\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    size_t length = strlen(head);
    memcpy(body, head, length);
    for (size_t i = 0; i < SIZE; i++)
        body[length + i] = "\r\n-X1"[i * 7 % 5];
    memcpy(body + length + SIZE, "\r\n--X-1--", 9);
    ck_assert_ok(parse(body, length + SIZE + 9, 4096), &err);
    ck_assert_uint_eq(seen.length, strlen("<a||>") + SIZE + 1);
    ck_assert_int_eq(memcmp(seen.bytes + strlen("<a||>"), body + length, SIZE), 0);
}
END_TEST

static const struct {
    const char *body;
    enum error_code code;
    const char *fragment;
} bad[] = {
    {"", E_SYNTAX, "ends in the middle of part 0"},
    {"no boundary at all", E_SYNTAX, "ends in the middle of part 0"},
    {"--X-1\r\n\r\ncontent\r\n--X-1--", E_SYNTAX, "part 1 has no name"},
    {"--X-1\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--X-1--", E_SYNTAX,
     "part 1 is no form-data"},
    {"--X-1\r\nContent-Disposition\r\n\r\n\r\n--X-1--", E_SYNTAX, "a header without a colon"},
    {"--X-1 junk\r\n", E_SYNTAX, "text behind the boundary of part 1"},
    {"--X-1\r\nContent-Disposition: form-data; name=a\r\n\r\nabc", E_SYNTAX,
     "ends in the middle of part 1"},
    {"--X-1\r\nContent-Disposition: form-data; name=forbidden\r\n\r\nabc\r\n--X-1--", E_INVALID,
     "no such field"},
};

START_TEST(what_is_no_form_is_refused)
{
    ck_assert_fails(parse(bad[_i].body, strlen(bad[_i].body), 5), &err, bad[_i].code,
                    bad[_i].fragment);
}
END_TEST

START_TEST(a_header_that_does_not_end_is_refused)
{
    enum { SIZE = 64 * 1024 };
    char *body = arena_alloc(arena, SIZE, NULL);
    memset(body, 'a', SIZE);
    memcpy(body, "--X-1\r\n", 7);
    ck_assert_fails(parse(body, SIZE, 1000), &err, E_SYNTAX, "header of part 1 has more than");
}
END_TEST

START_TEST(too_many_parts_are_refused)
{
    struct text body;
    text_init(&body, 1 << 20);
    for (int i = 0; i < 100; i++)
        text_puts(&body, "--X-1\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n");
    ck_assert_fails(parse(body.bytes, body.length, 1000), &err, E_TOO_LARGE, "more than 64 parts");
    text_finish(&body);
}
END_TEST

START_TEST(a_boundary_is_needed)
{
    static const char *const types[] = {"multipart/form-data", "multipart/form-data; boundary=",
                                        "multipart/form-data; boundary=\"a b \"",
                                        "multipart/form-data; charset=x"};
    struct multipart *multipart;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        ck_assert_fails(multipart_open(arena, types[i], &handler, &multipart, &err), &err, E_SYNTAX,
                        "no usable boundary");
}
END_TEST

static bool parse_form(struct arena *memory, void *context, struct error *error)
{
    (void)context;
    struct multipart *multipart;
    return multipart_open(memory, "multipart/form-data; boundary=X-1", &handler, &multipart,
                          error) &&
           multipart_feed(multipart, form, sizeof(form) - 1, error) &&
           multipart_close(multipart, error);
}

START_TEST(each_failed_allocation_is_reported)
{
    ck_assert_uint_ge(support_fail_each_allocation(parse_form, NULL), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multipart");
    TCase *tcase = tcase_create("multipart");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_piece_size_gives_the_same_parts, 1, sizeof(form));
    tcase_add_test(tcase, content_longer_than_the_buffer_passes_through);
    tcase_add_loop_test(tcase, what_is_no_form_is_refused, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, a_header_that_does_not_end_is_refused);
    tcase_add_test(tcase, too_many_parts_are_refused);
    tcase_add_test(tcase, a_boundary_is_needed);
    tcase_add_test(tcase, each_failed_allocation_is_reported);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
