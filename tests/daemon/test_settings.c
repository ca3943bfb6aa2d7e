/* Settings: the order of their sources, and that the file in etc/ is the truth. */

#include "settings.h"

#include "support.h"

#include "ptqd/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static char directory[256];

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){0};
    support_make_directory(directory, sizeof(directory));
}

static void teardown(void)
{
    support_remove_tree(directory);
    arena_destroy(arena);
}

static char *write_config(const char *text)
{
    char *path = file_join(arena, directory, "ptqd.conf", &err);
    ck_assert_ok(file_write(path, text, strlen(text), &err), &err);
    return path;
}

static bool load(const char *config, const char *option, const char *value,
                 struct settings *settings)
{
    struct arguments arguments;
    char *line[] = {arena_strdup(arena, "--config", NULL), write_config(config),
                    arena_strdup(arena, option, NULL), arena_strdup(arena, value, NULL)};
    return settings_load(arena, option[0] != '\0' ? 4 : 2, line, settings, &arguments, &err);
}

/* Law: unless somebody wants it so, no owner can take all places that there are. */
START_TEST(no_owner_has_all_places)
{
    struct settings settings;
    ck_assert_ok(load("", "", "", &settings), &err);
    const int64_t shares[][2] = {
        {settings.connections_per_owner, settings.connections},
        {settings.watchers_per_owner, settings.watchers},
        {settings.uploads_per_owner, settings.uploads},
    };
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        ck_assert_int_gt(shares[i][0], 0);
        ck_assert_int_lt(shares[i][0], shares[i][1]);
    }
}
END_TEST

/* Law: options over environment over file over default. */
START_TEST(later_sources_override_earlier_ones)
{
    struct settings settings;
    ck_assert_ok(load("", "", "", &settings), &err);
    ck_assert_int_eq(settings.port, 8470);
    ck_assert_ok(load("port = 1\n", "", "", &settings), &err);
    ck_assert_int_eq(settings.port, 1);
    setenv("PTQD_PORT", "2", 1);
    ck_assert_ok(load("port = 1\n", "", "", &settings), &err);
    ck_assert_int_eq(settings.port, 2);
    ck_assert_ok(load("port = 1\n", "--port", "3", &settings), &err);
    ck_assert_int_eq(settings.port, 3);
    unsetenv("PTQD_PORT");
}
END_TEST

START_TEST(a_bad_value_is_named_with_its_source)
{
    struct settings settings;
    ck_assert_fails(load("# comment\nport = x\n", "", "", &settings), &err, E_INVALID,
                    "line 2: port");
    ck_assert_fails(load("prot = 1\n", "", "", &settings), &err, E_INVALID,
                    "\"prot\" is not a setting; did you mean \"port\"?");
    ck_assert_fails(load("zzzzz = 1\n", "", "", &settings), &err, E_INVALID,
                    "\"zzzzz\" is not a setting");
    ck_assert_fails(load("port = 1\n\nport = 2\n", "", "", &settings), &err, E_INVALID,
                    "line 3: port is given in line 1 already");
    ck_assert_fails(load("memory = 4GiB\n", "", "", &settings), &err, E_INVALID,
                    "memory is \"4GiB\"; a whole number (MiB) or \"machine\" is expected");
    ck_assert_fails(load("", "--run-memry", "1", &settings), &err, E_INVALID,
                    "--run-memry is not an option; did you mean --run-memory?");
    ck_assert_fails(load("[http]\nport = 1\n", "", "", &settings), &err, E_INVALID,
                    "there are no sections");
    ck_assert_fails(load("nonsense\n", "", "", &settings), &err, E_SYNTAX, "line 1");
    ck_assert_fails(load("", "--workers", "0.5", &settings), &err, E_INVALID, "--workers");
    setenv("PTQD_LOG_LEVEL", "loud", 1);
    ck_assert_fails(load("", "", "", &settings), &err, E_INVALID, "PTQD_LOG_LEVEL");
    unsetenv("PTQD_LOG_LEVEL");
}
END_TEST

/* Law: settings that were given are never left out without a word. */
START_TEST(a_file_that_cannot_be_read_is_an_error)
{
    struct settings settings;
    struct arguments arguments;
    char *line[] = {arena_strdup(arena, "--config", NULL), directory};
    ck_assert_fails(settings_load(arena, 2, line, &settings, &arguments, &err), &err, E_IO,
                    "it is no file");
}
END_TEST

/* Law: the error is that of the first line that has one. */
START_TEST(the_first_bad_line_is_told)
{
    struct settings settings;
    ck_assert_fails(load("port = x\nworkers = y\n", "", "", &settings), &err, E_INVALID,
                    "line 1: port is");
    ck_assert_fails(load("\nnonsense\nport = x\n", "", "", &settings), &err, E_SYNTAX,
                    "line 2: this is not");
}
END_TEST

/* Laws: however long a comment is, no part of it is a setting; what is too long is no value. */
START_TEST(a_long_line_is_one_line)
{
    enum { SHORTEST = 185, LONGEST = 215, PADDING = 450 };
    struct settings settings;
    for (int length = SHORTEST; length < LONGEST; length++) {
        const char *text =
            arena_printf(arena, NULL, " # %0*d\nport = 2\n# %0*dport = 3", length, 0, length, 0);
        ck_assert_ok(load(text, "", "", &settings), &err);
        ck_assert_int_eq(settings.port, 2);
        text = arena_printf(arena, NULL, "port = 1\ndata = /%0*d\nport = x\n", length, 0);
        bool loaded = load(text, "", "", &settings);
        ck_assert(!loaded);
        ck_assert_msg(support_contains(err.message, "line 2: the line has more than 199 bytes") ||
                          (length < 200 && support_contains(err.message, "line 3: port")),
                      "%s", err.message);
    }
    const char *const others[] = {"[http]", "", "port"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *text =
            arena_printf(arena, NULL, "port = 1\n%s%*s\nport = 2\n", others[i], PADDING, "");
        ck_assert_fails(load(text, "", "", &settings), &err, E_INVALID,
                        "line 2: the line has more than 199 bytes");
    }
}
END_TEST

/* Law: etc/ptqd.conf has every setting, with its default. */
START_TEST(the_configuration_file_is_complete_and_says_the_defaults)
{
    char source[512], *text;
    size_t size;
    struct settings from_file, defaults;
    support_source_path("etc/ptqd.conf", source, sizeof(source));
    ck_assert_ok(file_read(arena, source, 1 << 16, &text, &size, &err), &err);
    ck_assert_ok(load(text, "", "", &from_file), &err);
    ck_assert_ok(load("", "", "", &defaults), &err);
    const struct param_table *table = settings_table();
    for (size_t i = 0; i < table->count; i++) {
        const struct param *row = &table->rows[i];
        struct param_value a = param_load(row, &from_file), b = param_load(row, &defaults);
        ck_assert_msg(param_equal(&a, &b), "%s", row->name);
        const char *line = arena_printf(arena, &err, "\n%s = ", row->name);
        ck_assert_msg(support_contains(text, line), "etc/ptqd.conf lacks %s", row->name);
    }
}
END_TEST

START_TEST(the_help_has_units_and_choices)
{
    static const char *const some[] = {"data", "model_limit", NULL};
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(file);
    settings_print_help(file, NULL);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_ptr_nonnull(strstr(text, "--model-limit MiB "));
    ck_assert_ptr_nonnull(strstr(text, "--others read|private "));
    ck_assert_ptr_nonnull(strstr(text, "[machine]"));
    ck_assert_ptr_nonnull(strstr(text, "[forever]"));
    free(text);
    file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(file);
    settings_print_help(file, some);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_ptr_nonnull(strstr(text, "--data "));
    ck_assert_ptr_null(strstr(text, "--memory "));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("settings");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, no_owner_has_all_places);
    tcase_add_test(tcase, later_sources_override_earlier_ones);
    tcase_add_test(tcase, a_bad_value_is_named_with_its_source);
    tcase_add_test(tcase, the_first_bad_line_is_told);
    tcase_add_test(tcase, a_long_line_is_one_line);
    tcase_add_test(tcase, the_configuration_file_is_complete_and_says_the_defaults);
    tcase_add_test(tcase, the_help_has_units_and_choices);
    tcase_add_test(tcase, a_file_that_cannot_be_read_is_an_error);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
