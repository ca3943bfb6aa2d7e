/* From error to problem document. */

#include "ptqd/api/problem.h"

/* The one place that knows both; without a default, so that a new code does not compile until it
 * has its status. */
int problem_status(enum error_code code)
{
    switch (code) {
    case E_INVALID:
    case E_UNSUPPORTED:
    case E_KEY_REUSED:
        return 422;
    case E_SYNTAX:
        return 400;
    case E_UNAUTHORIZED:
        return 401;
    case E_FORBIDDEN:
        return 403;
    case E_NOT_FOUND:
        return 404;
    case E_METHOD:
        return 405;
    case E_NOT_ACCEPTABLE:
        return 406;
    case E_CONFLICT:
    case E_CANCELLED:
        return 409;
    case E_PRECONDITION:
        return 412;
    case E_TOO_LARGE:
        return 413;
    case E_RANGE:
        return 416;
    case E_EXPECTATION:
        return 417;
    case E_LIMIT:
        return 429;
    case E_HEADER_TOO_LARGE:
        return 431;
    case E_IO:
    case E_INTERNAL:
    case ERROR_CODE_COUNT:
        return 500;
    case E_MEMORY:
    case E_UNAVAILABLE:
        return 503;
    case E_NO_SPACE:
        return 507;
    }
    return 500;
}

/* RFC 9457 section 4.2.1: without a type of its own a problem has the title of its status. */
static const char *title_of(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status)
            return titles[i].title;
    }
    return "Internal Server Error";
}

/* A file of the server that is not there is not what the client asked for and did not find. */
static enum error_code public_code(const struct error *error)
{
    bool may_pass = error->code == E_NO_SPACE || error->code == E_MEMORY ||
                    error->code == E_UNAVAILABLE || error->code == E_INTERNAL;
    return error->internal && !may_pass ? E_IO : error->code;
}

static const char *detail_of(const struct error *error)
{
    switch (public_code(error)) {
    case E_IO:
        return "the server could not read or write one of its files; its log has the reason";
    case E_NO_SPACE:
        return "the disk of the server is full";
    case E_INTERNAL:
        return "a bug of the server; its log has the details";
    default:
        return error->internal ? "the server is short of memory or busy; try again later"
                               : error->message;
    }
}

int problem_status_of(const struct error *error)
{
    return problem_status(public_code(error));
}

static const char *const code_names[] = {
#define ERROR_CODE(code, name, meaning) name,
#include "ptqd/base/error.def"
#undef ERROR_CODE
    NULL,
};

static const struct schema_member problem_members[] = {
    {"title", .type = SCHEMA_STRING, .help = "The words of the status"},
    {"status", .type = SCHEMA_INTEGER,
     .help = "Of the answer, or what it would be for a failed run"},
    {"code", .type = SCHEMA_STRING, .choices = code_names,
     .help = "Stable; what a program looks at"},
    {"detail", .type = SCHEMA_STRING, .help = "The value, the rule and the object, for people"},
    {"pointer", .type = SCHEMA_STRING, .optional = true,
     .help = "JSON pointer to the field of the body (RFC 6901); a missing one would be there"},
    {"parameter", .type = SCHEMA_STRING, .optional = true,
     .help = "The parameter of the query string"},
    {0},
};
const struct schema problem_schema = {
    .name = "Problem",
    .help = "What went wrong (RFC 9457)",
    .members = problem_members,
};

void problem_add(struct json *object, const struct error *error)
{
    int status = problem_status_of(error);
    json_add_string(object, "title", title_of(status));
    json_add_integer(object, "status", status);
    json_add_string(object, "code", error_code_name(public_code(error)));
    json_add_string(object, "detail", detail_of(error));
    if (error->pointer[0] != '\0')
        json_add_string(object, "pointer", error->pointer);
    if (error->parameter[0] != '\0')
        json_add_string(object, "parameter", error->parameter);
}
