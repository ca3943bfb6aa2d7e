#include "ptqd/nn/model.h"

#include "ptqd/base/text.h"
#include "ptqd/nn/npy.h"
#include "ptqd/nn/npz.h"

#define MODEL_FORMAT(object) extern const struct model_format object;
#include "model_formats/model_formats.def"
#undef MODEL_FORMAT

static const struct model_format *const table[] = {
#define MODEL_FORMAT(object) &object,
#include "model_formats/model_formats.def"
#undef MODEL_FORMAT
    NULL,
};

const struct model_format *const *model_format_table(void)
{
    return table;
}

const struct model_format *model_recognize(const uint8_t *bytes, size_t size)
{
    for (const struct model_format *const *row = table; *row != NULL; row++)
        if ((*row)->recognize(bytes, size))
            return *row;
    return NULL;
}

static bool fail_unknown(const uint8_t *bytes, size_t size, struct error *err)
{
    bool data = npy_recognize(bytes, size) || npz_recognize(bytes, size);
    struct text names;
    text_init(&names, ERROR_MESSAGE_BYTES);
    for (const struct model_format *const *row = table; *row != NULL; row++)
        text_printf(&names, "%s%s", row == table ? "" : ", ", (*row)->name);
    (void)FAIL(err, E_SYNTAX, "%zu bytes in none of the model formats: %s%s", size,
               names.bytes != NULL ? names.bytes : "",
               data ? "; they begin like a data set, an .npy or .npz file" : ""); /* is false */
    text_finish(&names);
    return false;
}

bool model_import(struct arena *arena, const uint8_t *bytes, size_t size, struct graph **out_graph,
                  const struct model_format **out_format, struct error *err)
{
    const struct model_format *format = model_recognize(bytes, size);
    if (format == NULL)
        return fail_unknown(bytes, size, err);

    struct graph *graph;
    if (!graph_create(arena, &graph, err) || !format->import(bytes, size, graph, err) ||
        !graph_finish(graph, err))
        return false;
    *out_graph = graph;
    if (out_format != NULL)
        *out_format = format;
    return true;
}
