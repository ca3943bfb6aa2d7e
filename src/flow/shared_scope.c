/* Names by content. The float network is the model's file and the constants that preprocessing has
 * left of it, so it does not matter how preprocessing was chosen; the samples are the data set's
 * file, how stored values are read, and the indices that were drawn. */

#include "ptqd/flow/shared_scope.h"

#include "ptqd/flow/evaluate.h"

static void add_constants(struct digest *digest, const struct graph *graph)
{
    for (int i = 0; i < graph->tensor_count; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        size_t count = (size_t)shape_elements(&tensor->shape);
        if (!tensor->values && !tensor->integers)
            continue;
        digest_update(digest, &i, sizeof(i));
        digest_update(digest, &count, sizeof(count));
        if (tensor->values)
            digest_update(digest, tensor->values, count * sizeof(*tensor->values));
        else
            digest_update(digest, tensor->integers, count * sizeof(*tensor->integers));
    }
}

static bool print_network(const struct graph *folded, const char *model, struct shared_key *out_key,
                          struct error *err)
{
    char constants[DIGEST_HEX_BYTES];
    struct digest *digest = digest_create(err);
    if (!digest)
        return false;
    add_constants(digest, folded);
    digest_hex(digest, constants);
    digest_destroy(digest);
    return shared_key_print(out_key, err, "network %s nodes=%d constants=%s", model,
                            folded->node_count, constants);
}

bool shared_key_samples(const struct samples *samples, const char *origin,
                        struct shared_key *out_key, struct error *err)
{
    char indices[DIGEST_HEX_BYTES];
    return digest_bytes(samples->indices, (size_t)samples->count * sizeof(*samples->indices),
                        indices, err) &&
           shared_key_print(out_key, err, "samples %s scale=%a zero_point=%a indices=%s", origin,
                            samples->dataset->scale, samples->dataset->zero_point, indices);
}

bool shared_scope_init(struct shared *cache, const struct artifact_origin *origin,
                       const struct graph *folded, const struct samples *calibration,
                       struct shared_scope *out_scope, struct error *err)
{
    struct shared_scope scope = {.cache = cache};
    if (!origin->model || !origin->calibration)
        scope.cache = NULL;
    if (scope.cache &&
        (!print_network(folded, origin->model, &scope.network, err) ||
         !shared_key_samples(calibration, origin->calibration, &scope.calibration, err)))
        return false;
    *out_scope = scope;
    return true;
}

struct execution {
    const struct graph *graph;
    const struct samples *samples;
    const struct recon_monitor *monitor;
    struct arena *arena;
};

static bool execute(void *context, void *out_outputs, struct error *err)
{
    const struct execution *at = context;
    return evaluate_outputs(at->graph, true, at->samples, at->monitor, at->arena, out_outputs, err);
}

static int64_t output_count(const struct graph *folded, const struct samples *samples)
{
    return samples->count * tensor_elements(&folded->tensors[folded->output], 1);
}

static bool name_outputs(const struct shared_scope *scope, const struct samples *samples,
                         const char *origin, struct shared_key *out_key, struct error *err)
{
    struct shared_key selection;
    return shared_key_samples(samples, origin, &selection, err) &&
           shared_key_print(out_key, err, "float outputs %s %s", scope->network.hex, selection.hex);
}

bool shared_float_outputs(const struct shared_scope *scope, const struct graph *folded,
                          const struct samples *samples, const char *origin,
                          const struct recon_monitor *monitor, struct arena *arena,
                          float **out_outputs, struct error *err)
{
    int64_t count = output_count(folded, samples);
    float *outputs = *out_outputs = ARENA_ARRAY(arena, float, count, err);
    struct execution execution = {folded, samples, monitor, arena};
    const struct shared_work work = {execute, &execution};
    struct shared_key key;
    if (!outputs)
        return false;
    if (!scope->cache || !origin)
        return execute(&execution, outputs, err);
    return name_outputs(scope, samples, origin, &key, err) &&
           shared_get(scope->cache, &key, (size_t)count * sizeof(float), &work, monitor, outputs,
                      err);
}

bool shared_float_outputs_wait(const struct shared_scope *scope, const struct graph *folded,
                               const struct samples *samples, const char *origin, bool *out_wait,
                               struct error *err)
{
    struct shared_key key;
    *out_wait = false;
    if (!scope->cache || !origin)
        return true;
    if (!name_outputs(scope, samples, origin, &key, err))
        return false;
    *out_wait = shared_is_under_way(scope->cache, &key,
                                    (size_t)output_count(folded, samples) * sizeof(float));
    return true;
}
