#include "ptqd/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[ERROR_CODE_COUNT] = {
#define ERROR_CODE(code, name, meaning) [code] = name,
#include "ptqd/base/error.def"
#undef ERROR_CODE
};

/* Puts `prefix` before the text in `buffer`; what no longer fits is cut off at the end. */
static void prepend(char *buffer, size_t size, const char *prefix)
{
    size_t shift = strlen(prefix);
    if (shift > size - 1)
        shift = size - 1;
    size_t kept = strlen(buffer);
    if (kept > size - 1 - shift)
        kept = size - 1 - shift;
    memmove(buffer + shift, buffer, kept);
    memcpy(buffer, prefix, shift);
    buffer[shift + kept] = '\0';
}

bool error_set(struct error *err, enum error_code code, const char *file, int line,
               const char *function, const char *format, ...)
{
    if (err == NULL)
        return false;

    /* The arguments may point into the old message, so the new one is made beside it. */
    char message[ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);

    *err = (struct error){.code = code, .file = file, .line = line, .function = function};
    if (length >= 0)
        memcpy(err->message, message, strlen(message));
    return false;
}

bool error_context(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;

    char context[ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(context, sizeof(context), format, arguments);
    va_end(arguments);

    if (length < 0)
        return false;
    prepend(err->message, sizeof(err->message), ": ");
    prepend(err->message, sizeof(err->message), context);
    return false;
}

bool error_at(struct error *err, const char *format, ...)
{
    if (err == NULL || err->pointer[0] != '\0')
        return false;

    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(err->pointer, sizeof(err->pointer), format, arguments);
    va_end(arguments);

    /* Half a pointer would name another field: rather none. */
    if (length < 0 || (size_t)length >= sizeof(err->pointer))
        err->pointer[0] = '\0';
    return false;
}

bool error_parameter(struct error *err, const char *name)
{
    if (err != NULL && strlen(name) < sizeof(err->parameter)) /* half a name would be another */
        memcpy(err->parameter, name, strlen(name) + 1);
    return false;
}

bool error_internal(struct error *err)
{
    if (err != NULL)
        err->internal = true;
    return false;
}

bool error_pointer_prefix(struct error *err, const char *prefix)
{
    if (err == NULL)
        return false;
    if (strlen(prefix) + strlen(err->pointer) < sizeof(err->pointer))
        prepend(err->pointer, sizeof(err->pointer), prefix);
    else
        err->pointer[0] = '\0';
    return false;
}

const char *error_code_name(enum error_code code)
{
    if ((unsigned)code >= ERROR_CODE_COUNT)
        return code_names[E_INTERNAL];
    return code_names[code];
}

enum error_code error_code_find(const char *name)
{
    for (unsigned code = 0; code < ERROR_CODE_COUNT; code++) {
        if (strcmp(code_names[code], name) == 0)
            return (enum error_code)code;
    }
    return E_INTERNAL;
}
