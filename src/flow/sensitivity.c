/* The float network with one quantizer at a time.
 *
 * A second quantized network is made, whose quantizers are not calibrated: it computes what the
 * float one does. Each quantizer in turn is given its initial range, the outputs are compared, and
 * the range is taken away again. What is measured follows from the float network, the samples and
 * the one quantizer, so runs whose variants have it in common share it.
 */

#include "ptqd/flow/sensitivity.h"

#include "ptqd/flow/evaluate.h"

#include <math.h>
#include <string.h>

static const struct sensitivity_effect no_quantizer = {NAN, NAN, NAN, NAN};

struct probe {
    struct arena *arena;
    const struct sensitivity_request *request;
    struct quant_network *network; /* in float, but for the quantizer in question */
    struct samples samples;
    const char *origin; /* content id of their data set, or NULL */
    struct evaluate_decision decision;
    bool softmax;        /* outputs are class probabilities; else logits where there are labels */
    float *real, *given; /* [samples][elements] */
    float *probabilities, *other; /* the same as class probabilities; NULL: they are none */
    struct shared_key selection;  /* of samples and labels */
    struct error *err;
};

/* ---- samples ---- */

/* Evenly spread over the evaluation set, or over the calibration samples. */
static bool pick_samples(struct probe *probe)
{
    const struct sensitivity_request *request = probe->request;
    struct samples all = *request->calibration;
    probe->origin = request->origin->calibration;
    if (request->evaluation) {
        probe->origin = request->origin->evaluation;
        if (!samples_draw(probe->arena, request->evaluation, 0, NULL, &all, probe->err))
            return false;
    }
    int64_t count = all.count < SENSITIVITY_SAMPLES ? all.count : SENSITIVITY_SAMPLES;
    int64_t *indices = ARENA_ARRAY(probe->arena, int64_t, count, probe->err);
    if (!indices)
        return false;
    for (int64_t i = 0; i < count; i++)
        indices[i] = all.indices[i * all.count / count];
    probe->samples = (struct samples){.dataset = all.dataset, .indices = indices, .count = count};
    return true;
}

static int64_t label_of(const struct probe *probe, int64_t sample)
{
    return probe->samples.dataset->labels[probe->samples.indices[sample]];
}

static bool has_labels(const struct probe *probe)
{
    return probe->request->evaluation && probe->request->evaluation->labels;
}

/* The labels are a file of their own, so the selection's name is that of both. */
static bool name_selection(struct probe *probe)
{
    struct digest *digest = NULL;
    struct shared_key samples;
    char labels[DIGEST_HEX_BYTES];
    if (!shared_key_samples(&probe->samples, probe->origin, &samples, probe->err) ||
        !(digest = digest_create(probe->err)))
        return false;
    for (int64_t i = 0; has_labels(probe) && i < probe->samples.count; i++) {
        int64_t label = label_of(probe, i);
        digest_update(digest, &label, sizeof(label));
    }
    digest_hex(digest, labels);
    digest_destroy(digest);
    return shared_key_print(&probe->selection, probe->err, "%s labels=%s", samples.hex, labels);
}

/* ---- one measurement ---- */

static float *as_probabilities(const struct probe *probe, const float *outputs, float *room)
{
    memcpy(room, outputs,
           (size_t)(probe->samples.count * probe->decision.elements) * sizeof(float));
    if (!probe->softmax)
        evaluate_softmax(room, probe->decision.elements, probe->samples.count);
    return room;
}

static double accuracy_of(const struct probe *probe, const float *outputs)
{
    int64_t right = 0;
    if (!has_labels(probe))
        return NAN;
    for (int64_t i = 0; i < probe->samples.count; i++)
        right += evaluate_class(&probe->decision, outputs + i * probe->decision.elements) ==
                 label_of(probe, i);
    return (double)right / (double)probe->samples.count;
}

static bool measure(void *context, void *out_effect, struct error *err)
{
    const struct probe *probe = context;
    int64_t count = probe->samples.count, elements = probe->decision.elements;
    if (!evaluate_outputs(probe->network->graph, false, &probe->samples,
                          &probe->request->progress->monitor, probe->arena, probe->given, err))
        return false;
    struct sensitivity_effect effect = {
        .accuracy_drop = accuracy_of(probe, probe->real) - accuracy_of(probe, probe->given),
        .agreement = evaluate_agreement(probe->real, probe->given, &probe->decision, count),
        .output_sqnr_db = evaluate_sqnr_db(probe->real, probe->given, count * elements),
        .divergence = NAN,
    };
    if (probe->probabilities)
        effect.divergence = evaluate_divergence(probe->probabilities,
                                                as_probabilities(probe, probe->given, probe->other),
                                                elements, count);
    *(struct sensitivity_effect *)out_effect = effect;
    return true;
}

/* Who reads a tensor: in some variants a layer reads the float one, where others read its copy. */
static void hash_readers(struct digest *digest, const struct graph *graph, int tensor)
{
    for (int i = 0; i < graph->node_count; i++)
        for (int input = 0; input < graph->nodes[i].input_count; input++)
            if (graph->nodes[i].inputs[input] == tensor) {
                int reader[] = {graph->nodes[i].outputs[0], input};
                digest_update(digest, reader, sizeof(reader));
            }
}

/* All that tells one quantizer: where its values go (weights, or the copy of an activation), grid,
 * scales and zero points. */
static bool hash_quantizer(const struct graph *graph, int values, const struct quantizer *quantizer,
                           char out_hex[static DIGEST_HEX_BYTES], struct error *err)
{
    size_t channels = (size_t)quantizer->channels;
    struct digest *digest = digest_create(err);
    if (!digest)
        return false;
    hash_readers(digest, graph, values);
    digest_update(digest, &quantizer->low, sizeof(quantizer->low));
    digest_update(digest, &quantizer->high, sizeof(quantizer->high));
    digest_update(digest, quantizer->scales, channels * sizeof(*quantizer->scales));
    digest_update(digest, quantizer->zero_points, channels * sizeof(*quantizer->zero_points));
    digest_hex(digest, out_hex);
    digest_destroy(digest);
    return true;
}

/* Measures the network as it is: with one quantizer, whose values are a tensor of its graph. */
static bool measure_or_find(struct probe *probe, const struct quantizer *quantizer, int values,
                            struct sensitivity_effect *out_effect)
{
    const struct shared_scope *scope = probe->request->scope;
    const struct shared_work work = {measure, probe};
    struct shared_key key;
    char hash[DIGEST_HEX_BYTES];
    if (!scope->cache || !probe->origin)
        return measure(probe, out_effect, probe->err);
    return hash_quantizer(probe->network->graph, values, quantizer, hash, probe->err) &&
           shared_key_print(&key, probe->err, "sensitivity %s %s quantizer=%s", scope->network.hex,
                            probe->selection.hex, hash) &&
           shared_get(scope->cache, &key, sizeof(*out_effect), &work,
                      &probe->request->progress->monitor, out_effect, probe->err);
}

static bool is_fitted(const struct quantizer *quantizer)
{
    return quantizer->channels > 0 && quantizer_ready(quantizer);
}

static void take_range_away(struct quantizer *quantizer)
{
    memset(quantizer->scales, 0, (size_t)quantizer->channels * sizeof(*quantizer->scales));
}

static bool measure_weights(struct probe *probe, int index, struct sensitivity_effect *out_effect)
{
    struct quant_layer *layer = &probe->network->layers[index];
    const struct quantizer *initial = &probe->request->ranges->weights[index];
    *out_effect = no_quantizer;
    if (!is_fitted(initial))
        return true;
    initial_ranges_copy(initial, &layer->quantizer);
    quant_layer_round(layer);
    bool done = measure_or_find(probe, initial, layer->weights, out_effect);
    memcpy(layer->weight_values, layer->float_weights,
           (size_t)(layer->K * layer->D) * sizeof(float));
    take_range_away(&layer->quantizer);
    return done;
}

static bool measure_activation(struct probe *probe, int index,
                               struct sensitivity_effect *out_effect)
{
    struct quant_activation *activation = &probe->network->activations[index];
    const struct quantizer *initial = &probe->request->ranges->activations[index];
    *out_effect = no_quantizer;
    if (!is_fitted(initial))
        return true;
    initial_ranges_copy(initial, &activation->quantizer);
    bool done = measure_or_find(probe, initial, activation->output, out_effect);
    take_range_away(&activation->quantizer);
    return done;
}

/* ---- all of them ---- */

int sensitivity_units(const struct quant_network *network)
{
    return network->layer_count + network->activation_count;
}

static bool measure_all(struct probe *probe, struct sensitivity *sensitivity)
{
    struct progress *progress = probe->request->progress;
    int unit = 0;
    for (int i = 0; i < sensitivity->layer_count; i++)
        if (!progress_unit(progress, ++unit, probe->network->layers[i].name, probe->err) ||
            !measure_weights(probe, i, &sensitivity->weights[i]))
            return false;
    for (int i = 0; i < sensitivity->activation_count; i++)
        if (!progress_unit(progress, ++unit, probe->network->activations[i].name, probe->err) ||
            !measure_activation(probe, i, &sensitivity->activations[i]))
            return false;
    return true;
}

/* Comparisons with NaN are false, so what has no quantizer is never the worst. */
static void find_worst(struct sensitivity *sensitivity)
{
    double least_db = HUGE_VAL;
    for (int i = 0; i < sensitivity->layer_count; i++)
        if (sensitivity->weights[i].output_sqnr_db < least_db) {
            least_db = sensitivity->weights[i].output_sqnr_db;
            sensitivity->worst_part = SENSITIVE_WEIGHTS;
            sensitivity->worst = i;
        }
    for (int i = 0; i < sensitivity->activation_count; i++)
        if (sensitivity->activations[i].output_sqnr_db < least_db) {
            least_db = sensitivity->activations[i].output_sqnr_db;
            sensitivity->worst_part = SENSITIVE_ACTIVATION;
            sensitivity->worst = i;
        }
}

static bool probe_init(struct probe *probe)
{
    const struct sensitivity_request *request = probe->request;
    const struct graph *folded = request->network->folded;
    if (!quant_network_create(probe->arena, folded, request->options, &probe->network,
                              probe->err) ||
        !pick_samples(probe) || (probe->origin && !name_selection(probe)) ||
        !shared_float_outputs(request->scope, folded, &probe->samples, probe->origin,
                              &request->progress->monitor, probe->arena, &probe->real, probe->err))
        return false;
    probe->softmax = graph_before_softmax(folded, folded->output) != folded->output;
    probe->decision = evaluate_decision_of(folded);
    int64_t elements = probe->decision.elements, count = probe->samples.count * elements;
    probe->given = ARENA_ARRAY(probe->arena, float, count, probe->err);
    float *room = ARENA_ARRAY(probe->arena, float, 2 * count, probe->err);
    if (!probe->given || !room)
        return false;
    if (elements > 1 && (probe->softmax || has_labels(probe))) {
        probe->probabilities = as_probabilities(probe, probe->real, room);
        probe->other = room + count;
    }
    return true;
}

bool sensitivity_measure(struct arena *arena, const struct sensitivity_request *request,
                         const struct sensitivity **out_sensitivity, struct error *err)
{
    struct sensitivity *sensitivity = ARENA_NEW(arena, struct sensitivity, err);
    if (!sensitivity)
        return false;
    sensitivity->layer_count = request->network->layer_count;
    sensitivity->activation_count = request->network->activation_count;
    sensitivity->weights =
        ARENA_ARRAY(arena, struct sensitivity_effect, sensitivity->layer_count, err);
    sensitivity->activations =
        ARENA_ARRAY(arena, struct sensitivity_effect, sensitivity->activation_count, err);
    if (!sensitivity->weights || !sensitivity->activations)
        return false;

    struct arena_mark mark = arena_mark(arena);
    struct probe probe = {.arena = arena, .request = request, .err = err};
    bool done = probe_init(&probe) && measure_all(&probe, sensitivity);
    if (done) {
        sensitivity->on_evaluation = request->evaluation != NULL;
        sensitivity->samples = probe.samples.count;
        sensitivity->float_accuracy = accuracy_of(&probe, probe.real);
        find_worst(sensitivity);
        *out_sensitivity = sensitivity;
    }
    arena_reset(arena, mark);
    return done;
}
