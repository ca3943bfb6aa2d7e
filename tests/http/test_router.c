/* Which route answers a path, where several patterns match it. */

#include "ptqd/http/route.h"

#include "support.h"

static const struct http_route things[] = {
    {.method = "GET", .pattern = "/things/{id}"},
    {.method = "DELETE", .pattern = "/things/{id}"},
    {.method = "POST", .pattern = "/things/{id}/{part}"},
};
static const struct http_route words[] = {
    {.method = "POST", .pattern = "/things/estimate"},
    {.method = "GET", .pattern = "/things/{id}/parts"},
};
static const struct http_table thing_table = {things, 3}, word_table = {words, 2};
static const struct http_table *const orders[][3] = {{&thing_table, &word_table, NULL},
                                                     {&word_table, &thing_table, NULL}};

static const struct {
    const char *method, *path;
    const char *pattern; /* NULL: E_METHOD */
    const char *allow;
} cases[] = {
    {"GET", "/things/1", "/things/{id}", ""},
    {"POST", "/things/1", NULL, "GET, HEAD, DELETE, OPTIONS"},
    {"POST", "/things/estimate", "/things/estimate", ""},
    {"GET", "/things/estimate", NULL, "POST, OPTIONS"},
    {"DELETE", "/things/estimate", NULL, "POST, OPTIONS"},
    {"HEAD", "/things/1/parts", "/things/{id}/parts", ""},
    {"POST", "/things/1/parts", NULL, "GET, HEAD, OPTIONS"},
    {"POST", "/things/1/others", "/things/{id}/{part}", ""},
};

/* Law: the pattern with the fewest parameters answers, and alone says which methods there are, in
 * whatever order the tables stand. */
START_TEST(words_go_before_parameters)
{
    for (size_t order = 0; order < 2; order++) {
        struct http_match match;
        struct error err = {.message = ""};
        char allow[HTTP_ALLOW_BYTES];
        bool found =
            http_route_find(orders[order], cases[_i].method, cases[_i].path, &match, allow, &err);
        ck_assert_int_eq(found, cases[_i].pattern != NULL);
        if (found) {
            ck_assert_str_eq(match.route->pattern, cases[_i].pattern);
        } else {
            ck_assert_int_eq(err.code, E_METHOD);
            ck_assert_str_eq(allow, cases[_i].allow);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("router");
    TCase *tcase = tcase_create("router");
    tcase_add_loop_test(tcase, words_go_before_parameters, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
