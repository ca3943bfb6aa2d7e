/* Header values with a grammar of their own: Range (RFC 9110 section 14), If-None-Match (13.1.2)
 * and Accept (12.5.1). Pure functions; what can't be read is treated as not sent. */

#include "http_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits; false when there are none or they don't fit. */
static bool read_number(const char **at, uint64_t *out)
{
    uint64_t value = 0;
    const char *c = *at;
    for (; isdigit((unsigned char)*c); c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    bool found = c != *at;
    *at = c;
    *out = value;
    return found;
}

/* "bytes=-500": the last bytes. */
static enum http_range suffix_range(const char *at, uint64_t size, uint64_t *out_first,
                                    uint64_t *out_count)
{
    uint64_t count;
    if (!read_number(&at, &count) || *at != '\0')
        return HTTP_RANGE_WHOLE;
    if (count == 0 || size == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    *out_count = count < size ? count : size;
    *out_first = size - *out_count;
    return HTTP_RANGE_PART;
}

enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *out_first,
                                 uint64_t *out_count)
{
    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0)
        return HTTP_RANGE_WHOLE;
    const char *at = header + 6;
    if (*at == '-')
        return suffix_range(at + 1, size, out_first, out_count);
    uint64_t first, last = UINT64_MAX;
    if (!read_number(&at, &first) || *at != '-')
        return HTTP_RANGE_WHOLE;
    at++;
    if (*at != '\0' && (!read_number(&at, &last) || *at != '\0' || last < first))
        return HTTP_RANGE_WHOLE; /* also several ranges: the whole file is a correct answer */
    if (first >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    *out_first = first;
    *out_count = (last < size ? last : size - 1) - first + 1;
    return HTTP_RANGE_PART;
}

bool http_tag_listed(const char *header, const char *quoted_tag, bool strong)
{
    if (header == NULL)
        return false;
    size_t length = strlen(quoted_tag);
    for (const char *at = header; *at != '\0';) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (!strong && strncmp(at, "W/", 2) == 0)
            at += 2;
        if (strncmp(at, quoted_tag, length) == 0 && strchr(" \t,", at[length]) != NULL)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

/* How closely "type/subtype" (and parameters, which do not count) fits a media range of `length`
 * bytes: 0 not, 1 all, 2 type, 3 exactly. */
static int fit(const char *range, size_t length, const char *type)
{
    size_t slash = strcspn(type, "/");
    if (length == 3 && memcmp(range, "*/*", 3) == 0)
        return 1;
    if (length == slash + 2 && memcmp(range + slash, "/*", 2) == 0 &&
        strncasecmp(range, type, slash) == 0)
        return 2;
    return length == strcspn(type, ";") && strncasecmp(range, type, length) == 0 ? 3 : 0;
}

/* The weight among the parameters of one element of Accept; 1 when it has none. */
static double quality(const char *parameters, size_t length)
{
    const char *end = parameters + length;
    for (const char *at = memchr(parameters, ';', length); at != NULL;
         at = memchr(at, ';', (size_t)(end - at))) {
        at++;
        at += strspn(at, " \t");
        if (end - at > 2 && (at[0] == 'q' || at[0] == 'Q') && at[1] == '=') {
            double weight = strtod(at + 2, NULL);
            return weight >= 0 && weight <= 1 ? weight : 0;
        }
    }
    return 1;
}

double http_accept_quality(const char *header, const char *type)
{
    if (header == NULL || header[strspn(header, " \t,")] == '\0')
        return 1;
    int closest = 0;
    double best = 0;
    for (const char *at = header; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ",");
        int closeness = fit(at, strcspn(at, ";, \t"), type);
        if (closeness > closest) {
            closest = closeness;
            best = quality(at, length);
        }
        at += length;
    }
    return best;
}
