/* multipart/form-data, RFC 7578 over RFC 2046 section 5.1.
 *
 * Bytes go through one buffer. A part's content ends at "\r\n--boundary"; what is certain not to be
 * the start of that is handed on at once, so that a file of any size needs no more memory than the
 * buffer. The first boundary has no "\r\n" before it, which is why the buffer starts with one.
 */

#include "ptqd/http/multipart.h"

#include <ctype.h>
#include <string.h>

enum {
    BUFFER_BYTES = 32 * 1024, /* also the longest header of a part */
    BOUNDARY_MAX = 70,        /* RFC 2046 section 5.1.1 */
    PARTS_MAX = 64,
};

enum state {
    STATE_PREAMBLE,
    STATE_BOUNDARY, /* after "\r\n--boundary" */
    STATE_HEADER,
    STATE_CONTENT,
    STATE_EPILOGUE,
};

struct multipart {
    struct arena *arena; /* borrowed */
    struct multipart_handler handler;
    enum state state;
    char delimiter[BOUNDARY_MAX + 5]; /* "\r\n--boundary" */
    size_t delimiter_length;
    char *buffer; /* [BUFFER_BYTES] */
    size_t used;
    size_t parts;
};

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

/* Bytes of a token or quoted string at `at`, quotes included. */
static size_t value_length(const char *at)
{
    if (*at != '"')
        return strcspn(at, " \t;");
    size_t length = 1;
    while (at[length] != '\0' && at[length] != '"')
        length += at[length] == '\\' && at[length + 1] != '\0' ? 2 : 1;
    return length + (at[length] == '"');
}

/* Takes the quotes and escapes away, in place. A backslash stands for itself before anything but a
 * quote or a backslash: some browsers send paths. */
static void unquote(char *value)
{
    if (*value != '"')
        return;
    char *out = value;
    for (const char *in = value + 1; *in != '\0' && *in != '"'; in++) {
        if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
            in++;
        *out++ = *in;
    }
    *out = '\0';
}

struct parameter {
    const char *name;
    const char *value;
};

/* The next ';name=value' or ';name="value"' of a header; `*out_found` false at the end. */
static bool next_parameter(struct arena *arena, const char **at, struct parameter *out,
                           bool *out_found, struct error *err)
{
    skip_space(at);
    *out_found = **at == ';';
    if (!*out_found)
        return true;
    (*at)++;
    skip_space(at);
    size_t length = strcspn(*at, "= \t;");
    const char *name = arena_strndup(arena, *at, length, err);
    *at += length;
    *at += **at == '=';
    length = value_length(*at);
    char *value = arena_strndup(arena, *at, length, err);
    *at += length;
    if (name == NULL || value == NULL)
        return false;
    unquote(value);
    *out = (struct parameter){.name = name, .value = value};
    return true;
}

static bool is_boundary(const char *boundary)
{
    size_t length = strlen(boundary);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)boundary[i]) && strchr("'()+_,-./:=? ", boundary[i]) == NULL)
            return false;
    }
    return length >= 1 && length <= BOUNDARY_MAX && boundary[length - 1] != ' ';
}

static bool find_boundary(struct arena *arena, const char *content_type, const char **out_boundary,
                          struct error *err)
{
    const char *at = content_type + strcspn(content_type, ";");
    struct parameter parameter;
    bool found = true;
    while (found) {
        if (!next_parameter(arena, &at, &parameter, &found, err))
            return false;
        if (found && strcasecmp(parameter.name, "boundary") == 0 && is_boundary(parameter.value)) {
            *out_boundary = parameter.value;
            return true;
        }
    }
    return FAIL(err, E_SYNTAX, "the Content-Type \"%.100s\" has no usable boundary", content_type);
}

bool multipart_open(struct arena *arena, const char *content_type,
                    const struct multipart_handler *handler, struct multipart **out_multipart,
                    struct error *err)
{
    const char *boundary = NULL;
    if (!find_boundary(arena, content_type, &boundary, err))
        return false;
    struct multipart *multipart = ARENA_NEW(arena, struct multipart, err);
    char *buffer = ARENA_ARRAY(arena, char, BUFFER_BYTES, err);
    if (multipart == NULL || buffer == NULL)
        return false;
    *multipart = (struct multipart){.arena = arena, .handler = *handler, .buffer = buffer};
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary, strlen(boundary));
    multipart->delimiter_length = 4 + strlen(boundary);
    memcpy(buffer, "\r\n", 2);
    multipart->used = 2;
    *out_multipart = multipart;
    return true;
}

static void consume(struct multipart *multipart, size_t count)
{
    multipart->used -= count;
    memmove(multipart->buffer, multipart->buffer + count, multipart->used);
}

/* "form-data; name=…; filename=…" */
static bool parse_disposition(struct multipart *multipart, const char *value,
                              struct multipart_part *part, struct error *err)
{
    const char *at = value + strcspn(value, ";");
    struct parameter parameter;
    bool found = true;
    if (strncasecmp(value, "form-data", 9) != 0)
        return FAIL(err, E_SYNTAX, "part %zu is no form-data", multipart->parts);
    while (found) {
        if (!next_parameter(multipart->arena, &at, &parameter, &found, err))
            return false;
        if (found && strcasecmp(parameter.name, "name") == 0)
            part->name = parameter.value;
        else if (found && strcasecmp(parameter.name, "filename") == 0)
            part->filename = parameter.value;
    }
    return true;
}

static bool parse_header_line(struct multipart *multipart, char *line, struct multipart_part *part,
                              struct error *err)
{
    char *colon = strchr(line, ':');
    if (colon == NULL)
        return FAIL(err, E_SYNTAX, "part %zu has a header without a colon", multipart->parts);
    *colon = '\0';
    const char *value = colon + 1;
    skip_space(&value);
    if (strcasecmp(line, "Content-Disposition") == 0)
        return parse_disposition(multipart, value, part, err);
    if (strcasecmp(line, "Content-Type") == 0) {
        part->media_type = arena_strdup(multipart->arena, value, err);
        return part->media_type != NULL;
    }
    return true;
}

/* `header` is a copy of the part's header, lines ended by "\r\n". */
static bool begin_part(struct multipart *multipart, char *header, struct error *err)
{
    struct multipart_part part = {.filename = "", .media_type = ""};
    while (*header != '\0') {
        char *end = strstr(header, "\r\n");
        if (end != NULL)
            *end = '\0';
        if (!parse_header_line(multipart, header, &part, err))
            return false;
        header = end != NULL ? end + 2 : header + strlen(header);
    }
    if (part.name == NULL)
        return FAIL(err, E_SYNTAX, "part %zu has no name", multipart->parts);
    return multipart->handler.begin(multipart->handler.context, &part, err);
}

/* Each step handles what the buffer has; `*out_more` false: more bytes are needed. */
static bool step_boundary(struct multipart *multipart, bool *out_more, struct error *err)
{
    if (multipart->used >= 2 && memcmp(multipart->buffer, "--", 2) == 0) {
        multipart->state = STATE_EPILOGUE;
        return true;
    }
    char *end = memmem(multipart->buffer, multipart->used, "\r\n", 2);
    if (end == NULL) {
        *out_more = false;
        if (multipart->used < 128)
            return true;
    }
    size_t padding = end == NULL ? multipart->used : (size_t)(end - multipart->buffer);
    for (size_t i = 0; i < padding; i++) {
        if (multipart->buffer[i] != ' ' && multipart->buffer[i] != '\t')
            return FAIL(err, E_SYNTAX, "there is text behind the boundary of part %zu",
                        multipart->parts + 1);
    }
    if (end == NULL)
        return FAIL(err, E_SYNTAX, "the boundary of part %zu does not end", multipart->parts + 1);
    /* The line end stays: with no header at all it is the first half of "\r\n\r\n". */
    consume(multipart, padding);
    multipart->state = STATE_HEADER;
    return true;
}

static bool step_header(struct multipart *multipart, bool *out_more, struct error *err)
{
    char *end = memmem(multipart->buffer, multipart->used, "\r\n\r\n", 4);
    if (end == NULL) {
        *out_more = false;
        return multipart->used < BUFFER_BYTES ||
               FAIL(err, E_SYNTAX, "the header of part %zu has more than %d bytes",
                    multipart->parts + 1, BUFFER_BYTES);
    }
    if (++multipart->parts > PARTS_MAX)
        return FAIL(err, E_TOO_LARGE, "the form has more than %d parts", PARTS_MAX);
    size_t length = (size_t)(end - multipart->buffer);
    if (memchr(multipart->buffer, '\0', length) != NULL)
        return FAIL(err, E_SYNTAX, "the header of part %zu has a NUL byte", multipart->parts);
    size_t skipped = length >= 2 ? 2 : length; /* the line end of the boundary */
    char *header =
        arena_strndup(multipart->arena, multipart->buffer + skipped, length - skipped, err);
    if (header == NULL || !begin_part(multipart, header, err))
        return false;
    consume(multipart, length + 4);
    multipart->state = STATE_CONTENT;
    return true;
}

static bool step_content(struct multipart *multipart, bool *out_more, struct error *err)
{
    bool dropped = multipart->state == STATE_PREAMBLE;
    char *found = memmem(multipart->buffer, multipart->used, multipart->delimiter,
                         multipart->delimiter_length);
    size_t kept = multipart->delimiter_length - 1;
    size_t certain = found != NULL            ? (size_t)(found - multipart->buffer)
                     : multipart->used > kept ? multipart->used - kept
                                              : 0;
    const struct multipart_handler *handler = &multipart->handler;
    if (certain > 0 && !dropped &&
        !handler->data(handler->context, multipart->buffer, certain, err))
        return false;
    if (found == NULL) {
        consume(multipart, certain);
        *out_more = false;
        return true;
    }
    consume(multipart, certain + multipart->delimiter_length);
    multipart->state = STATE_BOUNDARY;
    return dropped || handler->end(handler->context, err);
}

static bool process(struct multipart *multipart, struct error *err)
{
    bool more = true;
    while (more) {
        switch (multipart->state) {
        case STATE_PREAMBLE:
        case STATE_CONTENT:
            if (!step_content(multipart, &more, err))
                return false;
            break;
        case STATE_BOUNDARY:
            if (!step_boundary(multipart, &more, err))
                return false;
            break;
        case STATE_HEADER:
            if (!step_header(multipart, &more, err))
                return false;
            break;
        case STATE_EPILOGUE:
            multipart->used = 0;
            return true;
        }
    }
    return true;
}

bool multipart_feed(struct multipart *multipart, const void *bytes, size_t size, struct error *err)
{
    const char *from = bytes;
    while (size > 0) {
        size_t room = BUFFER_BYTES - multipart->used;
        size_t taken = size < room ? size : room;
        memcpy(multipart->buffer + multipart->used, from, taken);
        multipart->used += taken;
        from += taken;
        size -= taken;
        if (!process(multipart, err))
            return false;
    }
    return true;
}

bool multipart_close(struct multipart *multipart, struct error *err)
{
    if (multipart->state != STATE_EPILOGUE)
        return FAIL(err, E_SYNTAX, "the form ends in the middle of part %zu", multipart->parts);
    return true;
}
