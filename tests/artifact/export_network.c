/* One run of a real network, for judge.mjs: writes the artifacts and what the simulation computes
 * for the developer split.
 *
 *   export_network CASE SCALE OUT [FIELD=VALUE …] [@PATTERN FIELD=VALUE …] …
 *
 * CASE is a directory with model.onnx, calib.npy and test_x.npy, SCALE that of the stored samples;
 * OUT gets model.onnx, manifest.json and simulated.npy [samples][outputs]. The fields are those of
 * the pipeline, behind a pattern those of a layer rule. Weights are rounded to nearest: the
 * artifact does not depend on how codes were found. */

#include "ptqd/base/file.h"
#include "ptqd/base/text.h"
#include "ptqd/flow/evaluate.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/flow/run.h"
#include "ptqd/nn/model.h"
#include "ptqd/nn/npy.h"
#include "ptqd/recon/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 256 << 20 };

struct arguments {
    const char *directory, *out;
    double scale;
    char **choices; /* "weights.bits=4", NULL after the last */
};

static bool read_file(struct arena *arena, const char *directory, const char *name,
                      const uint8_t **out_bytes, size_t *out_size, struct error *err)
{
    char *bytes;
    const char *path = file_join(arena, directory, name, err);
    if (!path || !file_read(arena, path, FILE_BYTES_MAX, &bytes, out_size, err))
        return false;
    *out_bytes = (const uint8_t *)bytes;
    return true;
}

static bool read_samples(struct arena *arena, const struct arguments *arguments, const char *name,
                         struct dataset **out_dataset, struct error *err)
{
    struct dataset_options options = {.scale = arguments->scale, .limit_bytes = FILE_BYTES_MAX};
    const uint8_t *bytes;
    size_t size;
    return read_file(arena, arguments->directory, name, &bytes, &size, err) &&
           dataset_load(arena, bytes, size, &options, out_dataset, err);
}

static bool choose(struct arena *arena, const char *name, const char *text,
                   struct pipeline *pipeline, struct error *err)
{
    const struct param *param = param_find(pipeline_table(), name);
    struct param_value value;
    if (!param)
        return FAIL(err, E_INVALID, "the pipeline has no field '%s'", name);
    if (!param_parse(param, text, arena, &value, err))
        return false;
    param_store(param, &value, pipeline);
    return true;
}

/* Rules of the command line: "@first weights.bits=8 activations.bits=8". */
enum { RULES_MAX = 8 };
static struct layer_rule rules[RULES_MAX];

static bool choose_in_rule(struct arena *arena, const char *name, const char *text,
                           struct layer_rule *rule, struct error *err)
{
    const struct param_table *table = layer_rule_table();
    const struct param *param = param_find(table, name);
    struct param_value value;
    if (!param)
        return FAIL(err, E_INVALID, "a rule has no field '%s'", name);
    if (!param_parse(param, text, arena, &value, err))
        return false;
    param_store(param, &value, rule);
    rule->given |= UINT64_C(1) << (param - table->rows);
    return true;
}

static bool choose_all(struct arena *arena, char **choices, struct pipeline *pipeline,
                       struct error *err)
{
    for (; *choices; choices++) {
        char *value = strchr(*choices, '=');
        size_t count = pipeline->rule_count;
        if (**choices == '@') {
            if (count == RULES_MAX)
                return FAIL(err, E_INVALID, "'%s' is one rule too many", *choices);
            rules[pipeline->rule_count++].match = *choices + 1;
            continue;
        }
        if (!value)
            return FAIL(err, E_INVALID, "'%s' is not NAME=VALUE", *choices);
        const char *name = arena_strndup(arena, *choices, (size_t)(value - *choices), err);
        if (!name || !(count == 0 ? choose(arena, name, value + 1, pipeline, err)
                                  : choose_in_rule(arena, name, value + 1, &rules[count - 1], err)))
            return false;
    }
    return true;
}

static bool choose_pipeline(struct arena *arena, const struct arguments *arguments,
                            struct pipeline *pipeline, struct error *err)
{
    pipeline->rules = rules;
    pipeline->rule_count = 0;
    return param_defaults(pipeline_table(), arena, pipeline, err) &&
           choose(arena, "samples", "128", pipeline, err) &&
           choose(arena, "optimize.variable", "none", pipeline, err) &&
           choose(arena, "postprocess.bias", "none", pipeline, err) &&
           choose_all(arena, arguments->choices, pipeline, err);
}

static bool write_file(struct arena *arena, const char *directory, const char *name,
                       const void *bytes, size_t size, struct error *err)
{
    const char *path = file_join(arena, directory, name, err);
    return path && file_write(path, bytes, size, err);
}

static bool write_simulation(struct arena *arena, const struct arguments *arguments,
                             const struct quant_network *network, struct error *err)
{
    const struct recon_monitor monitor = {0};
    const struct graph *graph = network->graph;
    int64_t elements = tensor_elements(&graph->tensors[graph->output], 1);
    struct dataset *dataset;
    struct samples samples;
    if (!read_samples(arena, arguments, "test_x.npy", &dataset, err) ||
        !samples_draw(arena, dataset, 0, NULL, &samples, err))
        return false;
    float *outputs = ARENA_ARRAY(arena, float, samples.count *elements, err);
    uint8_t *bytes;
    size_t size;
    return outputs && evaluate_outputs(graph, false, &samples, &monitor, arena, outputs, err) &&
           npy_encode(arena, "<f4", 2, (int64_t[]){samples.count, elements}, outputs, &bytes, &size,
                      err) &&
           write_file(arena, arguments->out, "simulated.npy", bytes, size, err);
}

static bool export_network(struct arena *arena, const struct arguments *arguments,
                           struct error *err)
{
    const uint8_t *bytes;
    size_t size;
    struct graph *graph;
    struct dataset *calibration;
    struct pipeline pipeline;
    struct run_result *result;
    if (!read_file(arena, arguments->directory, "model.onnx", &bytes, &size, err) ||
        !model_import(arena, bytes, size, &graph, NULL, err) ||
        !read_samples(arena, arguments, "calib.npy", &calibration, err) ||
        !choose_pipeline(arena, arguments, &pipeline, err))
        return false;
    struct run_request request = {
        .model = graph,
        .calibration = calibration,
        .pipeline = &pipeline,
        .origin = {.program_version = "test"},
    };
    if (!run_execute(arena, &request, &result, err))
        return false;
    for (int i = 0; i < result->artifact_count; i++)
        if (!write_file(arena, arguments->out, result->artifacts[i].name,
                        result->artifacts[i].bytes, result->artifacts[i].size, err))
            return false;
    return write_simulation(arena, arguments, result->network, err);
}

int main(int count, char **words)
{
    struct error err;
    struct arguments arguments;
    if (count < 4) {
        (void)fprintf(stderr,
                      "usage: export_network CASE SCALE OUT [FIELD=VALUE …] [@PATTERN …]\n");
        return EXIT_FAILURE;
    }
    arguments = (struct arguments){
        .directory = words[1],
        .out = words[3],
        .choices = words + 4,
    };
    struct arena *arena = arena_create(0);
    bool done = arena && text_parse_f64(words[2], 1e-9, 1e9, &arguments.scale, &err) &&
                export_network(arena, &arguments, &err);
    if (!done)
        (void)fprintf(stderr, "export_network: %s\n", arena ? err.message : "out of memory");
    arena_destroy(arena);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
