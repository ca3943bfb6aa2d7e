/* The command line: words, options that are settings, and options of single commands. */

#include "settings_sources.h"

#include <string.h>

/* "--run-memory" is the row "run_memory". */
static const struct param *find_option(const char *option)
{
    char name[64];
    size_t length = strlen(option);
    if (length >= sizeof(name))
        return NULL;
    for (size_t i = 0; i <= length; i++)
        name[i] = option[i] == '-' ? '_' : option[i];
    return param_find(settings_table(), name);
}

struct option {
    char name[OPTION_BYTES];
    const char *value;
};

static bool fail_unknown(const struct option *option, struct error *err)
{
    const char *nearest = settings_nearest(option->name + 2);
    char name[OPTION_BYTES];
    if (nearest == NULL)
        return FAIL(err, E_INVALID, "%s is not an option", option->name);
    settings_option_name(nearest, name);
    return FAIL(err, E_INVALID, "%s is not an option; did you mean --%s?", option->name, name);
}

/* Splits "--name=value", or takes the value from the next word. */
static bool split_option(const char *word, const char *next, struct option *out, bool *out_used,
                         struct error *err)
{
    size_t length = strcspn(word, "=");
    if (length >= sizeof(out->name))
        return FAIL(err, E_INVALID, "%.80s is not an option", word);
    memcpy(out->name, word, length);
    out->name[length] = '\0';
    *out_used = word[length] == '\0';
    out->value = *out_used ? next : word + length + 1;
    if (out->value == NULL)
        return FAIL(err, E_INVALID, "%s needs a value", out->name);
    return true;
}

/* The options without a value; false when it is another one. */
static bool take_flag(struct arguments *arguments, const char *word)
{
    if (strcmp(word, "--repair") != 0)
        return false;
    arguments->repair = true;
    return true;
}

/* The options that are no settings; false when it is another one. */
static bool take_argument(struct arguments *arguments, const struct option *option)
{
    if (strcmp(option->name, "--out") == 0)
        arguments->out = option->value;
    else if (strcmp(option->name, "--config") == 0)
        arguments->config = option->value;
    else
        return false;
    return true;
}

/* Which of the owner's limits are on the line. */
static void note_quota(struct arguments *arguments, const char *name)
{
    arguments->queued_runs |= strcmp(name, "queued_runs") == 0;
    arguments->running_runs |= strcmp(name, "running_runs") == 0;
    arguments->stored |= strcmp(name, "stored") == 0;
}

static bool add_word(struct arguments *arguments, const char *word, struct error *err)
{
    size_t limit = sizeof(arguments->words) / sizeof(arguments->words[0]);
    if (arguments->word_count == limit)
        return FAIL(err, E_INVALID, "\"%.80s\" is one word too many", word);
    arguments->words[arguments->word_count++] = word;
    return true;
}

bool settings_line_read(int count, char *const *line, struct arguments *arguments,
                        struct settings *settings, struct arena *arena, struct error *err)
{
    for (int i = 0; i < count; i++) {
        struct option option;
        bool used;
        if (strncmp(line[i], "--", 2) != 0) {
            if (settings == NULL && !add_word(arguments, line[i], err))
                return false;
            continue;
        }
        if (take_flag(arguments, line[i]))
            continue;
        if (!split_option(line[i], i + 1 < count ? line[i + 1] : NULL, &option, &used, err))
            return false;
        i += used;
        if (take_argument(arguments, &option))
            continue;
        const struct param *param = find_option(option.name + 2);
        if (param == NULL)
            return fail_unknown(&option, err);
        note_quota(arguments, param->name);
        if (settings != NULL && !settings_set(settings, arena, param, option.value, err))
            return error_context(err, "%s", option.name);
    }
    return true;
}
