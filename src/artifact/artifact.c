#include "ptqd/artifact/artifact.h"

#include "artifact_format.h"

static const struct artifact_format *const formats[] = {
#define ARTIFACT(name) &artifact_format_##name,
#include "ptqd/artifact/artifacts.def"
#undef ARTIFACT
    NULL,
};

enum { FORMAT_COUNT = sizeof(formats) / sizeof(formats[0]) - 1 };

const struct artifact_format *const *artifact_format_table(void)
{
    return formats;
}

bool artifact_check_calibrated(const struct quant_network *network, struct error *err)
{
    for (int i = 0; i < network->activation_count; i++)
        if (!quantizer_ready(&network->activations[i].quantizer))
            return FAIL(err, E_INVALID, "the quantizer of '%s' has no scale: it was not calibrated",
                        network->activations[i].name);
    for (int i = 0; i < network->layer_count; i++)
        if (!quantizer_ready(&network->layers[i].quantizer))
            return FAIL(err, E_INVALID,
                        "the weight quantizer of layer '%s' has no scale: it was not calibrated",
                        network->layers[i].name);
    return true;
}

static bool seal(struct artifact *artifact, struct error *err)
{
    return digest_bytes(artifact->bytes, artifact->size, artifact->sha256, err);
}

bool artifact_write_all(struct arena *arena, const struct quant_network *network,
                        const struct artifact_origin *origin, uint64_t set,
                        struct artifact **out_artifacts, int *out_count, struct error *err)
{
    struct artifact *artifacts = ARENA_ARRAY(arena, struct artifact, FORMAT_COUNT + 1, err);
    const char *packings[FORMAT_COUNT];
    int count = 0;
    if (!artifacts || !artifact_check_calibrated(network, err))
        return false;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        if (!(set >> i & 1))
            continue;
        if (!formats[i]->write(arena, network, origin, &artifacts[count], err) ||
            !seal(&artifacts[count], err))
            return error_context(err, "artifact '%s'", formats[i]->name);
        packings[count++] = formats[i]->packing;
    }
    if (!manifest_write(arena, network, origin, artifacts, packings, count, &artifacts[count],
                        err) ||
        !seal(&artifacts[count], err))
        return error_context(err, "manifest");
    *out_artifacts = artifacts;
    *out_count = count + 1;
    return true;
}
