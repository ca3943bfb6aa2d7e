/* Parameters of query strings that several routes have, and how handlers read them. */

#include "api_private.h"

const struct param query_limit = {
    .name = "limit",
    .type = PARAM_INT,
    .default_text = "100",
    .min = 1,
    .max = STORE_PAGE_MAX,
    .unit = "",
    .help = "Items of a page.",
};

const struct param query_cursor = {
    .name = "cursor",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = STORE_CURSOR_BYTES - 1,
    .unit = "",
    .help = "\"next\" of the page before.",
};

const struct param query_name = {
    .name = "name",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 200,
    .unit = "bytes",
    .help = "What its owner calls it.",
};

const struct param query_id = {
    .name = "id",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 200,
    .unit = "bytes",
    .help = "\"sha256:…\" of the file: when the caller has it already the body is not read, and "
            "another file is refused.",
};

const struct param query_owner = {
    .name = "owner",
    .type = PARAM_TEXT,
    .default_text = "",
    .max = 200,
    .unit = "bytes",
    .help = "Only what this owner has submitted.",
};

const struct param query_now = {
    .name = "now",
    .type = PARAM_BOOL,
    .default_text = "false",
    .unit = "",
    .help = "Runs that run are put back, too; they go on later from where they were.",
};

const struct param query_wait = {
    .name = "wait",
    .type = PARAM_INT,
    .default_text = "0",
    .max = 60,
    .unit = "seconds",
    .help = "The answer comes when it is finished (with If-None-Match: when it has changed), "
            "at the latest after this time.",
};

struct store_page read_page(struct http_request *request)
{
    struct param_value limit = {.integer = 0}; /* the default, should memory be out */
    (void)http_query_value(request, &query_limit, &limit);
    return (struct store_page){.limit = limit.integer, .cursor = http_query(request, "cursor")};
}

const char *read_name(const struct http_request *request)
{
    const char *name = http_query(request, "name");
    return name != NULL ? name : "";
}

bool read_now(struct http_request *request)
{
    struct param_value now;
    return http_query_value(request, &query_now, &now) && now.boolean;
}

int64_t read_wait(struct http_request *request)
{
    struct param_value seconds;
    return http_query_value(request, &query_wait, &seconds) ? seconds.integer : 0;
}
