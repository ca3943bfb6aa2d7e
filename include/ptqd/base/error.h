#pragma once

/* Errors as values.
 *
 * A function that can fail returns bool and takes `struct error *err` last. On failure it fills the
 * error and returns false; on success it leaves the error alone. A message has the value, the rule
 * and the object, so that a user can act on it without reading the source.
 */

#include <stdbool.h>

enum error_code {
#define ERROR_CODE(code, name, meaning) code,
#include "ptqd/base/error.def"
#undef ERROR_CODE
    ERROR_CODE_COUNT
};

enum { ERROR_MESSAGE_BYTES = 1024, ERROR_POINTER_BYTES = 128, ERROR_PARAMETER_BYTES = 32 };

struct error {
    enum error_code code;
    char message[ERROR_MESSAGE_BYTES];
    char pointer[ERROR_POINTER_BYTES];     /* JSON pointer (RFC 6901) to the field, "" when none */
    char parameter[ERROR_PARAMETER_BYTES]; /* of the call: "cursor"; "" when none */
    bool internal;    /* the message names what is nobody's but the operator's */
    const char *file; /* where the error was first noticed */
    int line;
    const char *function;
};

/* Fills `err` (which may be NULL) and is false, so that `return FAIL(…)` reads well. */
#define FAIL(err, code, ...)                                                                       \
    error_false(error_set((err), (code), __FILE__, __LINE__, __func__, __VA_ARGS__))

/* False, in sight of the compiler, which then knows that outputs are set where no error is. */
static inline bool error_false(bool ignored)
{
    (void)ignored;
    return false;
}

bool error_set(struct error *err, enum error_code code, const char *file, int line,
               const char *function, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Puts "<context>: " before the message of a filled error; always false. */
bool error_context(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes the JSON field that an error is about, unless a deeper call has noted one; always false. */
bool error_at(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes the parameter of a call, as query strings have them, that an error is about; always false.
 */
bool error_parameter(struct error *err, const char *name);

/* Marks an error whose message names files of the program or speaks of its database: for the log,
 * not for clients. Always false. */
bool error_internal(struct error *err);

/* Puts a prefix ("/pipeline") before the pointer of an error; always false. */
bool error_pointer_prefix(struct error *err, const char *prefix);

/* The stable lower-case name of a code, as it stands in problem documents: "not-found". */
const char *error_code_name(enum error_code code);

/* The code of a stable name; E_INTERNAL when the name is not known. */
enum error_code error_code_find(const char *name);
