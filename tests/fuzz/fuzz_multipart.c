/* multipart/form-data as it comes with POST /v1/jobs. The first byte says how the rest is cut into
 * pieces. Laws: parts begin and end in turn, content comes only within a part, and neither parts
 * nor outcome depend on the pieces. */

#include "ptqd/base/text.h"
#include "ptqd/http/multipart.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ARENA_BYTES = 16 << 20, SEEN_BYTES = 16 << 20 };

struct seen {
    struct text text; /* everything the handler was told */
    bool inside;
};

static bool on_begin(void *context, const struct multipart_part *part, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    assert(!seen->inside && part->name != NULL && part->filename != NULL &&
           part->media_type != NULL);
    seen->inside = true;
    text_printf(&seen->text, "<%s|%s|%s>", part->name, part->filename, part->media_type);
    return true;
}

static bool on_data(void *context, const void *data, size_t size, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    assert(seen->inside && size > 0);
    text_append(&seen->text, data, size);
    return true;
}

static bool on_end(void *context, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    assert(seen->inside);
    seen->inside = false;
    text_puts(&seen->text, ";");
    return true;
}

/* True when the whole form was accepted. */
static bool parse(const uint8_t *bytes, size_t size, size_t piece, struct seen *seen)
{
    const struct multipart_handler handler = {on_begin, on_data, on_end, seen};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct error err = {.message = ""};
    struct multipart *multipart;
    bool ok = arena != NULL &&
              multipart_open(arena, "multipart/form-data; boundary=b", &handler, &multipart, &err);
    for (size_t at = 0; ok && at < size; at += piece)
        ok = multipart_feed(multipart, bytes + at, size - at < piece ? size - at : piece, &err);
    ok = ok && multipart_close(multipart, &err);
    assert(ok || arena == NULL || err.message[0] != '\0');
    assert(!ok || !seen->inside);
    arena_destroy(arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    struct seen whole = {.inside = false}, pieces = {.inside = false};
    text_init(&whole.text, SEEN_BYTES);
    text_init(&pieces.text, SEEN_BYTES);
    bool accepted = parse(bytes + 1, size - 1, size, &whole);
    bool again = parse(bytes + 1, size - 1, (size_t)bytes[0] + 1, &pieces);
    assert(accepted == again);
    assert(!accepted || (whole.text.length == pieces.text.length &&
                         memcmp(whole.text.bytes, pieces.text.bytes, whole.text.length) == 0));
    (void)again;
    text_finish(&whole.text);
    text_finish(&pieces.text);
    return 0;
}
