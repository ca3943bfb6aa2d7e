#pragma once

/* The rows of artifacts.def, and the manifest that names what they wrote. */

#include "ptqd/artifact/artifact.h"

#define ARTIFACT(name) extern const struct artifact_format artifact_format_##name;
#include "ptqd/artifact/artifacts.def"
#undef ARTIFACT

/* manifest.json of `count` artifacts, without its digest. `packings` has a sentence for each. */
bool manifest_write(struct arena *arena, const struct quant_network *network,
                    const struct artifact_origin *origin, const struct artifact *artifacts,
                    const char *const *packings, int count, struct artifact *out_manifest,
                    struct error *err);
