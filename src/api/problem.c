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
    case E_TOO_LARGE:
        return 413;
    case E_LIMIT:
        return 429;
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
        {400, "Bad Request"},       {401, "Unauthorized"},        {403, "Forbidden"},
        {404, "Not Found"},         {405, "Method Not Allowed"},  {406, "Not Acceptable"},
        {409, "Conflict"},          {413, "Content Too Large"},   {422, "Unprocessable Content"},
        {429, "Too Many Requests"}, {503, "Service Unavailable"}, {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status)
            return titles[i].title;
    }
    return "Internal Server Error";
}

/* Messages of these codes name files of the server. */
static const char *detail_of(const struct error *error)
{
    if (error->code == E_IO)
        return "the server could not read or write one of its files; its log has the reason";
    if (error->code == E_NO_SPACE)
        return "the disk of the server is full";
    if (error->code == E_INTERNAL)
        return "a bug of the server; its log has the details";
    return error->message;
}

void problem_add(struct json *object, const struct error *error)
{
    int status = problem_status(error->code);
    json_add_string(object, "title", title_of(status));
    json_add_integer(object, "status", status);
    json_add_string(object, "code", error_code_name(error->code));
    json_add_string(object, "detail", detail_of(error));
    if (error->pointer[0] != '\0')
        json_add_string(object, "pointer", error->pointer);
}
