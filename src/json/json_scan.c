/* A strict, iterative check of JSON text before anything recursive or lenient reads it.
 *
 * cJSON accepts 01, 1., control characters in strings, bytes that are not UTF-8, and cuts strings
 * at \u0000; it allows 1000 levels and any number of values. All of that is decided here, so that
 * the parser behind can only fail for lack of memory. A stack of one byte per level replaces
 * recursion.
 */

#include "node.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct json_limits json_default_limits = {.bytes = 1 << 20,
                                                .depth = 32,
                                                .values = 100 * 1000};

enum { NUMBER_CHARS_MAX = 63 }; /* cJSON copies a number into 64 bytes */

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* after '[' */
    EXPECT_KEY,          /* after ',' in an object */
    EXPECT_KEY_OR_END,   /* after '{' */
    EXPECT_COMMA_OR_END, /* after a value in a container */
    EXPECT_NOTHING,      /* after the outermost value */
};

struct scanner {
    const char *bytes;
    size_t size, at;
    const struct json_limits *limits;
    size_t depth, values;
    char open[JSON_DEPTH_MAX]; /* '{' or '[' of each level */
    struct error *err;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool fail_at(struct scanner *scanner, size_t offset, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < scanner->size; i++) {
        column = scanner->bytes[i] == '\n' ? 1 : column + 1;
        line += scanner->bytes[i] == '\n';
    }
    return FAIL(scanner->err, E_SYNTAX, "line %zu, column %zu: %s", line, column, what);
}

/* What is at the offset, as a sentence has it: a word, one character, or a byte that is none. */
static void print_token(const struct scanner *scanner, size_t offset, char *out, size_t size)
{
    enum { TOKEN_CHARS_MAX = 20 };
    const char *token = scanner->bytes + offset;
    size_t length = 0, left = scanner->size - offset;
    while (length < left && length < TOKEN_CHARS_MAX &&
           (isalnum((unsigned char)token[length]) || strchr("+-._", token[length]) != NULL) &&
           token[length] != '\0')
        length++;
    if (left == 0)
        (void)snprintf(out, size, "the end of the text");
    else if (length > 0)
        (void)snprintf(out, size, "'%.*s'", (int)length, token);
    else if (isgraph((unsigned char)*token))
        (void)snprintf(out, size, "'%c'", *token);
    else
        (void)snprintf(out, size, "the byte \\x%02x", (unsigned)(unsigned char)*token);
}

/* What people write who know JSON from a language that allows more. */
static const char *habit(const struct scanner *scanner, size_t offset)
{
    char c = offset < scanner->size ? scanner->bytes[offset] : '\0';
    if (c == '/' || c == '#')
        return "; JSON has no comments";
    if (c != '}' && c != ']')
        return "";
    size_t before = offset;
    while (before > 0 && is_space(scanner->bytes[before - 1]))
        before--;
    return before > 0 && scanner->bytes[before - 1] == ',' ? "; the comma before it is too many"
                                                           : "";
}

static bool fail_expected(struct scanner *scanner, size_t offset, const char *expected)
{
    char token[32], what[128];
    print_token(scanner, offset, token, sizeof(token));
    (void)snprintf(what, sizeof(what), "%s should be here, not %s%s", expected, token,
                   habit(scanner, offset));
    return fail_at(scanner, offset, what);
}

/* The character at the read position; 0 at the end. A NUL in the text is no token either. */
static char peek(const struct scanner *scanner)
{
    return scanner->at < scanner->size ? scanner->bytes[scanner->at] : '\0';
}

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->size && is_space(scanner->bytes[scanner->at]))
        scanner->at++;
}

static size_t skip_digits(struct scanner *scanner)
{
    size_t start = scanner->at;
    while (peek(scanner) >= '0' && peek(scanner) <= '9')
        scanner->at++;
    return scanner->at - start;
}

/* number = [ "-" ] int [ "." digits ] [ e digits ], RFC 8259 section 6. */
static bool scan_number(struct scanner *scanner)
{
    size_t start = scanner->at;
    if (peek(scanner) == '-')
        scanner->at++;
    bool leading_zero = peek(scanner) == '0';
    size_t digits = skip_digits(scanner);
    if (digits == 0)
        return fail_expected(scanner, start, "a value");
    if (leading_zero && digits > 1)
        return fail_at(scanner, start, "a number starts with a superfluous 0");
    if (peek(scanner) == '.') {
        scanner->at++;
        if (skip_digits(scanner) == 0)
            return fail_at(scanner, start, "a number has no digit after its point");
    }
    if (peek(scanner) == 'e' || peek(scanner) == 'E') {
        scanner->at++;
        if (peek(scanner) == '+' || peek(scanner) == '-')
            scanner->at++;
        if (skip_digits(scanner) == 0)
            return fail_at(scanner, start, "a number has no digit in its exponent");
    }

    size_t length = scanner->at - start;
    char number[NUMBER_CHARS_MAX + 1];
    if (length > NUMBER_CHARS_MAX)
        return fail_at(scanner, start, "a number has more than 63 characters");
    memcpy(number, scanner->bytes + start, length);
    number[length] = '\0';
    if (!isfinite(strtod(number, NULL)))
        return fail_at(scanner, start, "a number is too large for a double");
    return true;
}

/* Four hexadecimal digits after "\u"; -1 when they are not there. */
static int scan_hex4(struct scanner *scanner)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)peek(scanner);
        if (!isxdigit(c))
            return -1;
        int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        code = code * 16 + digit;
        scanner->at++;
    }
    return code;
}

static bool scan_escape(struct scanner *scanner)
{
    size_t start = scanner->at++;
    char c = peek(scanner);
    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
            return fail_at(scanner, start, "an unknown escape in a string");
        scanner->at++;
        return true;
    }
    scanner->at++;
    int code = scan_hex4(scanner);
    if (code < 0)
        return fail_at(scanner, start, "\\u without four hexadecimal digits");
    if (code == 0)
        return fail_at(scanner, start, "\\u0000 in a string");
    if (code >= 0xdc00 && code <= 0xdfff)
        return fail_at(scanner, start, "the second half of a surrogate pair without the first");
    if (code < 0xd800 || code > 0xdbff)
        return true;
    bool escaped = scanner->size - scanner->at >= 2 && scanner->bytes[scanner->at] == '\\' &&
                   scanner->bytes[scanner->at + 1] == 'u';
    scanner->at += escaped ? 2 : 0;
    int low = escaped ? scan_hex4(scanner) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fail_at(scanner, start, "the first half of a surrogate pair without the second");
    return true;
}

static bool scan_utf8(struct scanner *scanner)
{
    size_t length = text_utf8_bytes(scanner->bytes + scanner->at, scanner->size - scanner->at);
    if (length == 0)
        return fail_at(scanner, scanner->at, "bytes in a string that are not UTF-8");
    scanner->at += length;
    return true;
}

static bool scan_string(struct scanner *scanner)
{
    size_t start = scanner->at++;
    while (scanner->at < scanner->size) {
        unsigned char c = (unsigned char)scanner->bytes[scanner->at];
        if (c == '"') {
            scanner->at++;
            return true;
        }
        if (c < 0x20)
            return fail_at(scanner, scanner->at, "a control character in a string");
        if (c == '\\') {
            if (!scan_escape(scanner))
                return false;
        } else if (c >= 0x80) {
            if (!scan_utf8(scanner))
                return false;
        } else {
            scanner->at++;
        }
    }
    return fail_at(scanner, start, "a string that does not end");
}

static bool scan_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    if (scanner->size - scanner->at < length ||
        memcmp(scanner->bytes + scanner->at, word, length) != 0)
        return fail_expected(scanner, scanner->at, "a value");
    scanner->at += length;
    return true;
}

static bool scan_scalar(struct scanner *scanner)
{
    switch (peek(scanner)) {
    case '"':
        return scan_string(scanner);
    case 't':
        return scan_word(scanner, "true");
    case 'f':
        return scan_word(scanner, "false");
    case 'n':
        return scan_word(scanner, "null");
    default:
        return scan_number(scanner);
    }
}

static enum expect after_value(const struct scanner *scanner)
{
    return scanner->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static bool scan_value(struct scanner *scanner, enum expect *out_next)
{
    if (scanner->at == scanner->size)
        return fail_expected(scanner, scanner->at, "a value");
    if (++scanner->values > scanner->limits->values)
        return FAIL(scanner->err, E_TOO_LARGE, "the document has more than %zu values",
                    scanner->limits->values);
    char c = peek(scanner);
    if (c != '{' && c != '[') {
        if (!scan_scalar(scanner))
            return false;
        *out_next = after_value(scanner);
        return true;
    }
    if (scanner->depth == scanner->limits->depth)
        return FAIL(scanner->err, E_TOO_LARGE,
                    "the document nests arrays and objects deeper than %zu",
                    scanner->limits->depth);
    scanner->open[scanner->depth++] = c;
    scanner->at++;
    *out_next = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return true;
}

static bool scan_key(struct scanner *scanner, enum expect *out_next)
{
    if (peek(scanner) != '"')
        return fail_expected(scanner, scanner->at, "a key in double quotes");
    if (!scan_string(scanner))
        return false;
    skip_space(scanner);
    if (peek(scanner) != ':')
        return fail_expected(scanner, scanner->at, "a ':'");
    scanner->at++;
    *out_next = EXPECT_VALUE;
    return true;
}

/* Closes the innermost container when its end is here. */
static bool scan_end(struct scanner *scanner, enum expect *out_next)
{
    char end = scanner->open[scanner->depth - 1] == '{' ? '}' : ']';
    if (peek(scanner) != end)
        return false;
    scanner->at++;
    scanner->depth--;
    *out_next = after_value(scanner);
    return true;
}

static bool scan_comma(struct scanner *scanner, enum expect *out_next)
{
    bool in_object = scanner->open[scanner->depth - 1] == '{';
    if (peek(scanner) != ',')
        return fail_expected(scanner, scanner->at, in_object ? "a ',' or '}'" : "a ',' or ']'");
    scanner->at++;
    *out_next = in_object ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

static bool scan_step(struct scanner *scanner, enum expect *expect)
{
    switch (*expect) {
    case EXPECT_VALUE:
        return scan_value(scanner, expect);
    case EXPECT_VALUE_OR_END:
        return scan_end(scanner, expect) || scan_value(scanner, expect);
    case EXPECT_KEY:
        return scan_key(scanner, expect);
    case EXPECT_KEY_OR_END:
        return scan_end(scanner, expect) || scan_key(scanner, expect);
    case EXPECT_COMMA_OR_END:
        return scan_end(scanner, expect) || scan_comma(scanner, expect);
    case EXPECT_NOTHING:
        break;
    }
    return fail_at(scanner, scanner->at, "text after the end of the document");
}

bool json_scan(const char *bytes, size_t size, const struct json_limits *limits, struct error *err)
{
    if (size > limits->bytes)
        return FAIL(err, E_TOO_LARGE, "the document has %zu bytes; %zu are allowed", size,
                    limits->bytes);
    struct json_limits bounded = *limits;
    if (bounded.depth > JSON_DEPTH_MAX)
        bounded.depth = JSON_DEPTH_MAX;
    struct scanner scanner = {.bytes = bytes, .size = size, .limits = &bounded, .err = err};
    enum expect expect = EXPECT_VALUE;
    for (;;) {
        skip_space(&scanner);
        if (expect == EXPECT_NOTHING && scanner.at == size)
            return true;
        if (!scan_step(&scanner, &expect))
            return false;
    }
}
