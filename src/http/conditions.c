/* Conditional requests (RFC 9110 section 13), in the order of its section 13.2.2. */

#include "http_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A date in one of the three forms of RFC 9110 section 5.6.7; false for anything else. */
static bool parse_date(const char *text, time_t *out_time)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; text != NULL && i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (end != NULL && *end == '\0') {
            *out_time = timegm(&parts);
            return true;
        }
    }
    return false;
}

void http_set_modified(struct http_request *request, int64_t unix_seconds)
{
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)unix_seconds;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts) == 0)
        return;
    request->answer.modified = unix_seconds;
    http_add_header(request, MHD_HTTP_HEADER_LAST_MODIFIED, text);
}

/* Whether a list of tags has the answer's, in the plain or the encoded form. */
static bool lists_tag(const struct http_request *request, const char *header)
{
    const struct answer *answer = &request->answer;
    return answer->etag != NULL && (http_tag_listed(header, answer->etag, false) ||
                                    http_tag_listed(header, answer->encoded_etag, false));
}

bool http_is_known(const struct http_request *request)
{
    return lists_tag(request, http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH));
}

/* What If-Match names. */
static bool names_tag(const char *match, const char *tag, const char *encoded_tag)
{
    return strcmp(match, "*") == 0 || (tag != NULL && (http_tag_listed(match, tag, true) ||
                                                       http_tag_listed(match, encoded_tag, true)));
}

bool http_is_meant(struct http_request *request, const char *tag)
{
    const char *match = http_header(request, MHD_HTTP_HEADER_IF_MATCH);
    const char *quoted = arena_printf(request->arena, NULL, "\"%s\"", tag);
    const char *encoded = arena_printf(request->arena, NULL, "\"%s-gzip\"", tag);
    return match == NULL || (encoded != NULL && names_tag(match, quoted, encoded));
}

enum http_condition http_check_conditions(const struct http_request *request)
{
    const struct answer *answer = &request->answer;
    const char *match = http_header(request, MHD_HTTP_HEADER_IF_MATCH);
    const char *none_match = http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    time_t date;
    if (match != NULL) {
        if (!names_tag(match, answer->etag, answer->encoded_etag))
            return HTTP_CONDITION_FAILED;
    } else if (answer->modified != 0 &&
               parse_date(http_header(request, MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE), &date) &&
               answer->modified > date) {
        return HTTP_CONDITION_FAILED;
    }
    if (none_match != NULL)
        return lists_tag(request, none_match) ? HTTP_CONDITION_KNOWN : HTTP_CONDITION_HOLDS;
    if (answer->modified != 0 &&
        parse_date(http_header(request, MHD_HTTP_HEADER_IF_MODIFIED_SINCE), &date) &&
        answer->modified <= date)
        return HTTP_CONDITION_KNOWN;
    return HTTP_CONDITION_HOLDS;
}

bool http_range_condition_holds(const struct http_request *request)
{
    const struct answer *answer = &request->answer;
    const char *condition = http_header(request, MHD_HTTP_HEADER_IF_RANGE);
    time_t date;
    if (condition == NULL || (answer->etag != NULL && strcmp(condition, answer->etag) == 0))
        return true;
    return answer->modified != 0 && parse_date(condition, &date) && answer->modified == date;
}

bool http_check_change_conditions(struct MHD_Connection *connection, const char *method,
                                  bool conditional, struct error *err)
{
    static const char *const names[] = {MHD_HTTP_HEADER_IF_MATCH, MHD_HTTP_HEADER_IF_NONE_MATCH,
                                        MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE};
    if (http_is_safe(method))
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, names[i]);
        /* The handler looks, or has a 404. */
        bool fine = i == 0 && (conditional || (value != NULL && strcmp(value, "*") == 0));
        if (value != NULL && !fine)
            return FAIL(err, E_PRECONDITION, "%s is not looked at by %.32s, so nothing was done",
                        names[i], method);
    }
    return true;
}
