/* Values to text. */

#include "node.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPACT = -1 }; /* indentation of text on one line */

/* `value` as a whole number of units of 10^-places. The digits are made from the end. */
static void print_digits(uint64_t value, int places, bool negative,
                         char out[static JSON_NUMBER_BYTES])
{
    char digits[JSON_NUMBER_BYTES];
    char *at = digits + sizeof(digits);
    *--at = '\0';
    for (int i = 0; i < places; i++, value /= 10)
        *--at = (char)('0' + value % 10);
    if (places > 0)
        *--at = '.';
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    if (negative)
        *--at = '-';
    memcpy(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void print_integer(int64_t value, char out[static JSON_NUMBER_BYTES])
{
    print_digits(value < 0 ? -(uint64_t)value : (uint64_t)value, 0, value < 0, out);
}

/* Below 10^15, and with a zero that has no sign: as 15 digits would print it. */
static bool is_plain_integer(double value)
{
    return fabs(value) < 1e15 && (value > 0 || value < 0 || !signbit(value)) &&
           !(trunc(value) < value) && !(trunc(value) > value);
}

/* "0.001" and the like, which people choose: a whole number by a power of ten. Both are exact, so
 * that their quotient is the double that these digits stand for, and of at most 15 digits they are
 * those that 15 digits would be. A tenth of the time of a trial. */
static bool print_short_decimal(double value, char out[static JSON_NUMBER_BYTES])
{
    static const double powers[] = {1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(value);
    if (!(size >= 1e-4 && size < 1e9)) /* smaller ones are printed with an exponent */
        return false;
    for (int i = 0; i < (int)(sizeof(powers) / sizeof(powers[0])); i++) {
        double whole = nearbyint(size * powers[i]), again = whole / powers[i];
        if (again < size || again > size)
            continue;
        print_digits((uint64_t)whole, i + 1, value < 0, out);
        return true;
    }
    return false;
}

/* 15 digits always read back as themselves, 17 always give the double back; the least that does is
 * printed. Most numbers are whole or short, and need no trial. */
void json_number_print(double value, char out[static JSON_NUMBER_BYTES])
{
    if (is_plain_integer(value)) {
        print_integer((int64_t)value, out);
        return;
    }
    if (print_short_decimal(value, out))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, JSON_NUMBER_BYTES, "%.*g", digits, value); /* at most 24 characters */
        double read = strtod(out, NULL);
        if (read >= value && read <= value)
            return;
    }
}

static void print_number(const struct json *value, struct text *text)
{
    char number[JSON_NUMBER_BYTES];
    if (value->is_integer)
        print_integer(value->integer, number);
    else
        json_number_print(value->number, number);
    text_puts(text, number);
}

static void new_line(int indent, struct text *text)
{
    if (indent != COMPACT)
        text_printf(text, "\n%*s", indent, "");
}

static bool print_value(const struct json *value, int indent, struct text *text);

static bool print_members(const struct json *container, int indent, struct text *text)
{
    bool whole = !container->broken;
    int inner = indent == COMPACT ? COMPACT : indent + 2;
    text_puts(text, container->type == JSON_OBJECT ? "{" : "[");
    for (const struct json *v = container->first; v != NULL; v = v->next) {
        if (v != container->first)
            text_puts(text, ",");
        new_line(inner, text);
        if (v->key != NULL) {
            text_put_json_string(text, v->key);
            text_puts(text, indent == COMPACT ? ":" : ": ");
        }
        whole = print_value(v, inner, text) && whole;
    }
    if (container->count > 0)
        new_line(indent, text);
    text_puts(text, container->type == JSON_OBJECT ? "}" : "]");
    return whole;
}

/* False when something below could not be built. */
static bool print_value(const struct json *value, int indent, struct text *text)
{
    switch (value->type) {
    case JSON_NULL:
        text_puts(text, "null");
        return true;
    case JSON_BOOL:
        text_puts(text, value->boolean ? "true" : "false");
        return true;
    case JSON_NUMBER:
        print_number(value, text);
        return true;
    case JSON_STRING:
        if (value->string == NULL)
            return false;
        if (value->raw)
            text_puts(text, value->string);
        else
            text_put_json_string(text, value->string);
        return true;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return print_members(value, indent, text);
    }
    return false;
}

static bool fail_to_build(struct error *err)
{
    return FAIL(err, E_MEMORY, "no memory to build a JSON document");
}

static bool is_whole(const struct json *value)
{
    if (!json_is_container(value))
        return value->type != JSON_STRING || value->string != NULL;
    bool whole = !value->broken;
    for (const struct json *v = value->first; v != NULL && whole; v = v->next)
        whole = is_whole(v);
    return whole;
}

bool json_check(const struct json *value, struct error *err)
{
    return (value != NULL && is_whole(value)) || fail_to_build(err);
}

static bool print_document(const struct json *value, int indent, struct text *text,
                           struct error *err)
{
    if (value == NULL || !print_value(value, indent, text))
        return fail_to_build(err);
    return text_check(text, err);
}

bool json_print(const struct json *value, struct text *text, struct error *err)
{
    return print_document(value, COMPACT, text, err);
}

bool json_print_pretty(const struct json *value, struct text *text, struct error *err)
{
    if (!print_document(value, 0, text, err))
        return false;
    text_puts(text, "\n");
    return text_check(text, err);
}

char *json_print_string(const struct json *value, struct arena *arena, size_t *out_length,
                        struct error *err)
{
    struct text text;
    text_init(&text, (size_t)1 << 30);
    char *copy = json_print(value, &text, err) ? text_dup(&text, arena, err) : NULL;
    if (copy != NULL && out_length != NULL)
        *out_length = text.length;
    text_finish(&text);
    return copy;
}
