#pragma once

/* Artifacts: files made from a quantized network that other runtimes execute, and that compute what
 * was simulated. A format is one file in artifact/ and one row in artifacts.def. */

#include "ptqd/base/arena.h"
#include "ptqd/base/digest.h"
#include "ptqd/quant/network.h"

/* Where the network came from, for the manifest; all borrowed. */
struct artifact_origin {
    const char *program_version;                  /* "0.1.0" */
    const char *model, *calibration, *evaluation; /* "sha256:…"; NULL when unknown or none */
    const char *variant;                          /* the pipeline with every choice, as JSON */
    uint64_t seed;
};

struct artifact {
    const char *name;       /* "model.onnx", "manifest.json" */
    const char *media_type; /* "application/octet-stream" … */
    const uint8_t *bytes;
    size_t size;
    char sha256[DIGEST_HEX_BYTES];
};

struct artifact_format {
    const char *name;    /* "onnx", as in the pipeline's "artifacts" */
    const char *help;    /* one sentence */
    const char *packing; /* how codes lie in the file, for the manifest */
    /* Everything but the digest. */
    bool (*write)(struct arena *arena, const struct quant_network *network,
                  const struct artifact_origin *origin, struct artifact *out_artifact,
                  struct error *err);
};

/* Rows of artifacts.def, NULL-terminated, in the order of the pipeline's choices. */
const struct artifact_format *const *artifact_format_table(void);

/* E_INVALID names the first quantizer that was not calibrated. */
bool artifact_check_calibrated(const struct quant_network *network, struct error *err);

/* All formats of the set (bit i: row i), then a manifest that names them. E_INVALID when a
 * quantizer was not calibrated. */
bool artifact_write_all(struct arena *arena, const struct quant_network *network,
                        const struct artifact_origin *origin, uint64_t formats,
                        struct artifact **out_artifacts, int *out_count, struct error *err);
