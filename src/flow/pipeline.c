/* The rows of the pipeline. Defaults are the best pipeline of arXiv 2203.05492 (4.3): MSE ranges,
 * symmetric weights per channel, asymmetric activations per tensor, layer-wise rounding, bias
 * tuning. Where two differ it was measured, on calibration sets without labels:
 * - No equalization. With weights per channel it can only unbalance the activations, which share
 * one scale: at W4A4 the output loses 3.3 dB on DS-CNN, 0.4 dB on MobileNetV1, 0.2 dB on the HAR
 * CNN.
 * - Outlier channels are split by 2 %, as in the example of the authors' code.
 * - 8 bits for what is only added to another branch. It comes from 32-bit sums and goes into one;
 * on the way, 4 bits cost ResNet-8 at W4A4 1.6 dB of its output and save no bit operation. Where
 * the defaults of the solvers come from is said in recon/methods/ and recon/bias_tune.c. */

#include "ptqd/flow/pipeline.h"

#include "choices.h"
#include "ptqd/artifact/artifact.h"
#include "ptqd/quant/quantizer.h"
#include "ptqd/recon/method.h"

#include <stddef.h>
#include <string.h>

static const char *const equalize_choices[] = {"none", "cle", "ocs", NULL};
const char *const scheme_choices[] = {"symmetric", "asymmetric", NULL};
const char *const weight_granularity_choices[] = {"channel", "tensor", NULL};
static const char *const activation_granularity_choices[] = {"tensor", NULL};
static const char *const granularity_choices[] = {"layer", "block", "network", NULL};
static const char *const loss_choices[] = {"linear", "activated", NULL};
static const char *const bias_choices[] = {"none", "tune", "correct", NULL};
const char *const observer_choices[] = {
#define OBSERVER(name) #name,
#include "ptqd/quant/observers.def"
#undef OBSERVER
    NULL,
};
const char *const weight_init_choices[] = {
#define OBSERVER(name) #name,
#include "ptqd/quant/observers.def"
#undef OBSERVER
    "output",
    NULL,
};
static const char *const method_choices[] = {
#define METHOD(name) #name,
#include "ptqd/recon/methods.def"
#undef METHOD
    NULL,
};
static const char *const artifact_choices[] = {
#define ARTIFACT(name) #name,
#include "ptqd/artifact/artifacts.def"
#undef ARTIFACT
    NULL,
};

#define FIELD(member) .offset = offsetof(struct pipeline, member)

static const struct param rows[] = {
    {.name = "samples",
     .type = PARAM_INT,
     .default_text = "all",
     .special = "all",
     .min = 1,
     .max = 1e6,
     .unit = "samples",
     .help = "Calibration samples used; fewer than the set has are drawn by the seed.",
     .sweep = true,
     FIELD(samples)},
    {.name = "preprocess.equalize",
     .type = PARAM_CHOICE,
     .default_text = "none",
     .choices = equalize_choices,
     .unit = "",
     .help = "What narrows the weight ranges before quantizing: cross-layer equalization, or "
             "splitting of outlier channels.",
     .sweep = true,
     FIELD(equalize)},
    {.name = "preprocess.expand_ratio",
     .type = PARAM_REAL,
     .default_text = "0.02",
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "Of \"equalize\": \"ocs\": input channels that each layer gets more, as a share of "
             "those it has, rounded up.",
     .sweep = true,
     FIELD(expand_ratio)},
    {.name = "weights.bits",
     .type = PARAM_INT,
     .default_text = "8",
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .also = QUANTIZER_BITS_FLOAT,
     .unit = "bits",
     .help = "Width of the weights of every layer; 32 leaves them in float.",
     .sweep = true,
     FIELD(weights.bits)},
    {.name = "weights.scheme",
     .type = PARAM_CHOICE,
     .default_text = "symmetric",
     .choices = scheme_choices,
     .unit = "",
     .help = "Number format of the weights: with zero point 0, or one of its own per scale.",
     .sweep = true,
     FIELD(weights.scheme)},
    {.name = "weights.narrow",
     .type = PARAM_BOOL,
     .default_text = "false",
     .unit = "",
     .help = "Leave out the lowest code, so that the range is -p to p; symmetric weights only.",
     .sweep = true,
     FIELD(weights.narrow)},
    {.name = "weights.granularity",
     .type = PARAM_CHOICE,
     .default_text = "channel",
     .choices = weight_granularity_choices,
     .unit = "",
     .help = "One weight scale per output channel, or one per tensor.",
     .sweep = true,
     FIELD(weights.granularity)},
    {.name = "weights.init",
     .type = PARAM_CHOICE,
     .default_text = "mse",
     .choices = weight_init_choices,
     .unit = "",
     .help = "How the initial range of the weights is found: from the weights, or by the error of "
             "the layer's output.",
     .sweep = true,
     FIELD(weights.init)},
    {.name = "weights.percentile",
     .type = PARAM_REAL,
     .default_text = "99.99",
     .min = 50,
     .max = 100,
     .unit = "%",
     .help =
         "Of \"init\": \"percentile\": the share of the weights below the upper end, and above the "
         "lower one.",
     .sweep = true,
     FIELD(weights.percentile)},
    {.name = "activations.bits",
     .type = PARAM_INT,
     .default_text = "same",
     .special = "same",
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .also = QUANTIZER_BITS_FLOAT,
     .unit = "bits",
     .help = "Width of the activations; \"same\" follows the weights, 32 leaves all of them in "
             "float, the network's input too.",
     .sweep = true,
     FIELD(activations.bits)},
    {.name = "activations.scheme",
     .type = PARAM_CHOICE,
     .default_text = "asymmetric",
     .choices = scheme_choices,
     .unit = "",
     .help = "Number format of the activations, with or without a zero point.",
     .sweep = true,
     FIELD(activations.scheme)},
    {.name = "activations.granularity",
     .type = PARAM_CHOICE,
     .default_text = "tensor",
     .choices = activation_granularity_choices,
     .unit = "",
     .help = "One activation scale per tensor.",
     .sweep = true,
     FIELD(activations.granularity)},
    {.name = "activations.init",
     .type = PARAM_CHOICE,
     .default_text = "mse",
     .choices = observer_choices,
     .unit = "",
     .help = "How the range of the activations is found, on the calibration samples.",
     .sweep = true,
     FIELD(activations.init)},
    {.name = "activations.percentile",
     .type = PARAM_REAL,
     .default_text = "99.99",
     .min = 50,
     .max = 100,
     .unit = "%",
     .help = "Of \"init\": \"percentile\": the share of the activations below the upper end, and "
             "above the "
             "lower one.",
     .sweep = true,
     FIELD(activations.percentile)},
    {.name = "activations.input_bits",
     .type = PARAM_INT,
     .default_text = "8",
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .unit = "bits",
     .help = "Width of the network's input, unless activations.bits is 32.",
     .sweep = true,
     FIELD(activations.input_bits)},
    {.name = "activations.sum_bits",
     .type = PARAM_INT,
     .default_text = "8",
     .special = "same",
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .unit = "bits",
     .help = "Width of what is only added to another branch; \"same\" follows the activations.",
     .sweep = true,
     FIELD(activations.sum_bits)},
    {.name = "optimize.variable",
     .type = PARAM_CHOICE,
     .default_text = "round",
     .choices = method_choices,
     .unit = "",
     .help =
         "What is optimized: nothing, scales and zero points (LSQ), the weights (AdaQuant), the "
         "bits of their codes (BitSplit), their rounding (AdaRound), or codes, scales and "
         "biases together.",
     .sweep = true,
     FIELD(optimize.variable)},
    {.name = "optimize.granularity",
     .type = PARAM_CHOICE,
     .default_text = "layer",
     .choices = granularity_choices,
     .unit = "",
     .help = "The part of the network that is optimized at once.",
     .sweep = true,
     FIELD(optimize.granularity)},
    {.name = "optimize.start",
     .type = PARAM_CHOICE,
     .default_text = "none",
     .choices = method_choices,
     .unit = "",
     .help = "The layer-wise solution that training starts from; with \"none\" the network's "
             "weights are quantized little by little.",
     .sweep = true,
     FIELD(optimize.start)},
    {.name = "optimize.loss",
     .type = PARAM_CHOICE,
     .default_text = "activated",
     .choices = loss_choices,
     .unit = "",
     .help = "Where the squared error is taken: before the activation function, or behind it.",
     .sweep = true,
     FIELD(optimize.loss)},
    {.name = "optimize.iterations",
     .type = PARAM_INT,
     .default_text = "auto",
     .special = "auto",
     .min = 1,
     .max = 1e6,
     .unit = "iterations",
     .help = "Steps of the solver per layer or block; \"auto\" is what suits the variable.",
     .sweep = true,
     FIELD(optimize.iterations)},
    {.name = "optimize.learning_rate",
     .type = PARAM_REAL,
     .default_text = "auto",
     .special = "auto",
     .min = 1e-8,
     .max = 1,
     .unit = "",
     .help = "Step size of Adam on the variables; \"auto\" is what suits them.",
     .sweep = true,
     FIELD(optimize.learning_rate)},
    {.name = "optimize.regularization",
     .type = PARAM_REAL,
     .default_text = "0.3",
     .min = 0,
     .max = 1e3,
     .unit = "",
     .help = "Weight of the term that drives the rounding to 0 or 1.",
     .sweep = true,
     FIELD(optimize.regularization)},
    {.name = "optimize.warm_start",
     .type = PARAM_REAL,
     .default_text = "0.2",
     .min = 0,
     .max = 0.9,
     .unit = "",
     .help = "Share of the iterations without the rounding term.",
     .sweep = true,
     FIELD(optimize.warm_start)},
    {.name = "optimize.activations_in_loop",
     .type = PARAM_BOOL,
     .default_text = "false",
     .unit = "",
     .help = "Scales and zero points of activations are trained with their layer or block; a layer "
             "is then trained on mini-batches. The network always trains them.",
     .sweep = true,
     FIELD(optimize.activations_in_loop)},
    {.name = "optimize.drop",
     .type = PARAM_REAL,
     .default_text = "0",
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "Share of the activations that stay float in each step of training (QDrop).",
     .sweep = true,
     FIELD(optimize.drop)},
    {.name = "optimize.batch",
     .type = PARAM_INT,
     .default_text = "32",
     .min = 1,
     .max = 1024,
     .unit = "samples",
     .help = "Samples per step of training; all where fewer are used.",
     .sweep = true,
     FIELD(optimize.batch)},
    {.name = "optimize.epochs",
     .type = PARAM_INT,
     .default_text = "auto",
     .special = "auto",
     .min = 1,
     .max = 10000,
     .unit = "epochs",
     .help = "Passes of network training over the calibration samples; \"auto\" makes 2560 "
             "steps.",
     .sweep = true,
     FIELD(optimize.epochs)},
    {.name = "optimize.temperature",
     .type = PARAM_REAL,
     .default_text = "4",
     .min = 1,
     .max = 100,
     .unit = "",
     .help = "In network training, class probabilities that nearly agree are compared at this "
             "temperature, too.",
     .sweep = true,
     FIELD(optimize.temperature)},
    {.name = "optimize.share",
     .type = PARAM_REAL,
     .default_text = "0.5",
     .min = 0,
     .max = 100,
     .unit = "",
     .help = "Weight of the intermediate activations beside the output in network training.",
     .sweep = true,
     FIELD(optimize.share)},
    {.name = "optimize.shift",
     .type = PARAM_REAL,
     .default_text = "0.1",
     .min = 0,
     .max = 0.5,
     .unit = "",
     .help = "In network training, samples are moved along their spatial axes by up to this share.",
     .sweep = true,
     FIELD(optimize.shift)},
    {.name = "optimize.mirror",
     .type = PARAM_BOOL,
     .default_text = "true",
     .unit = "",
     .help = "In network training, half of the samples that are images (three channels) are "
             "mirrored left to right.",
     .sweep = true,
     FIELD(optimize.mirror)},
    {.name = "optimize.mix",
     .type = PARAM_REAL,
     .default_text = "0",
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "In network training, this share of the samples is mixed with another sample.",
     .sweep = true,
     FIELD(optimize.mix)},
    {.name = "postprocess.bias",
     .type = PARAM_CHOICE,
     .default_text = "tune",
     .choices = bias_choices,
     .unit = "",
     .help = "Biases at the end: tuned all at once on the network's output, or corrected layer by "
             "layer to the float network's means.",
     .sweep = true,
     FIELD(postprocess.bias)},
    {.name = "postprocess.epochs",
     .type = PARAM_INT,
     .default_text = "10",
     .min = 1,
     .max = 1000,
     .unit = "epochs",
     .help = "Passes of bias tuning over the calibration samples.",
     .sweep = true,
     FIELD(postprocess.epochs)},
    {.name = "postprocess.batch",
     .type = PARAM_INT,
     .default_text = "64",
     .min = 1,
     .max = 1024,
     .unit = "samples",
     .help = "Samples per step of bias tuning; all where fewer are used.",
     .sweep = true,
     FIELD(postprocess.batch)},
    {.name = "postprocess.learning_rate",
     .type = PARAM_REAL,
     .default_text = "0.004",
     .min = 1e-8,
     .max = 1,
     .unit = "",
     .help = "Step size of bias tuning, relative to the size of each layer's output.",
     .sweep = true,
     FIELD(postprocess.learning_rate)},
    {.name = "report.sensitivity",
     .type = PARAM_BOOL,
     .default_text = "false",
     .unit = "",
     .help = "Measure what the quantizer of each layer's weights, and of its input, costs alone.",
     FIELD(report.sensitivity)},
    {.name = "artifacts",
     .type = PARAM_SET,
     .default_text = "onnx",
     .choices = artifact_choices,
     .unit = "",
     .help = "Files that each run leaves.",
     FIELD(artifacts)},
};

static const struct param_table table = {
    .name = "pipeline",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
};

const struct param_table *pipeline_table(void)
{
    return &table;
}

static bool fail_narrow(struct error *err)
{
    return FAIL(err, E_INVALID,
                "weights.narrow is true with weights.scheme \"asymmetric\"; it makes a symmetric "
                "range reach as far down as up, an asymmetric one is as it is found");
}

/* Only variables with a gradient can be trained in blocks, or behind quantizers that are. */
static bool check_training(const struct pipeline *pipeline, struct error *err)
{
    const struct method *method = method_table()[pipeline->optimize.variable];
    if (!pipeline_trains(pipeline) || method->trained != TRAIN_NOTHING)
        return true;
    if (pipeline->optimize.granularity == OPTIMIZE_LAYER)
        (void)FAIL(err, E_INVALID,
                   "optimize.variable is \"%s\" with activations in the loop: %s, so nothing can "
                   "be trained along",
                   method->name, method->only_layers);
    else
        (void)FAIL(err, E_INVALID,
                   "optimize.variable is \"%s\", which has the granularity \"layer\" alone: %s",
                   method->name, method->only_layers);
    return error_at(err, "/optimize/variable");
}

static bool fail_zero_points(const struct method *method, struct error *err)
{
    return FAIL(err, E_INVALID,
                "weights.scheme is \"asymmetric\" where layers are solved with \"%s\"; there %s",
                method->name, method->only_symmetric);
}

static bool check_scheme(const struct pipeline *pipeline, struct error *err)
{
    const struct method *method = pipeline_solver(pipeline);
    if (!method->only_symmetric)
        return true;
    if (pipeline->weights.scheme == SCHEME_ASYMMETRIC) {
        (void)fail_zero_points(method, err);
        return error_at(err, "/weights/scheme");
    }
    for (size_t i = 0; i < pipeline->rule_count; i++) {
        if (pipeline->rules[i].weights.scheme != SCHEME_ASYMMETRIC)
            continue;
        (void)fail_zero_points(method, err);
        return error_at(err, "/layers/%zu/weights/scheme", i);
    }
    return true;
}

/* The first choice that a rule makes for its layers, in place of the pipeline's; NULL: none. */
static const struct param *choice_of(const struct layer_rule *rule)
{
    const struct param_table *choices = layer_rule_table();
    for (size_t i = 0; i < choices->count; i++) {
        if ((rule->given >> i & 1) && param_find(&table, choices->rows[i].name) != NULL)
            return &choices->rows[i];
    }
    return NULL;
}

static bool fail_skipped(const struct pipeline *pipeline, size_t index, const struct param *choice,
                         struct error *err)
{
    const struct layer_rule *rule = &pipeline->rules[index];
    const struct param_value value = param_load(choice, rule);
    int group = (int)strcspn(choice->name, "."); /* every choice is in one */
    char text[64];
    param_print(choice, &value, text, sizeof(text));
    (void)FAIL(err, E_INVALID,
               "%s is %s in the rule for '%s', which skips these layers: they stay in float, and "
               "no later rule takes that back",
               choice->name, text, rule->match);
    return error_at(err, "/layers/%zu/%.*s/%s", index, group, choice->name,
                    choice->name + group + 1);
}

/* What a rule says beside "skip" may be for a later one that takes the skip back. */
static bool check_skips(const struct pipeline *pipeline, struct error *err)
{
    bool taken_back = false;
    for (size_t i = pipeline->rule_count; i-- > 0 && !taken_back;) {
        const struct layer_rule *rule = &pipeline->rules[i];
        const struct param *choice = rule->skip ? choice_of(rule) : NULL;
        if (choice != NULL)
            return fail_skipped(pipeline, i, choice, err);
        taken_back = layer_rule_gives(rule, "skip") && !rule->skip;
    }
    return true;
}

bool pipeline_check(const struct pipeline *pipeline, struct error *err)
{
    if (!check_training(pipeline, err) || !check_scheme(pipeline, err) ||
        !check_skips(pipeline, err))
        return false;
    if (pipeline->weights.narrow && pipeline->weights.scheme == SCHEME_ASYMMETRIC) {
        (void)fail_narrow(err);
        return error_at(err, "/weights/narrow");
    }
    for (size_t i = 0; i < pipeline->rule_count; i++) {
        const struct layer_rule *rule = &pipeline->rules[i];
        if (!rule->weights.narrow || rule->weights.scheme != SCHEME_ASYMMETRIC)
            continue; /* both given, as what is not given is 0 */
        (void)fail_narrow(err);
        return error_at(err, "/layers/%zu/weights/narrow", i);
    }
    return true;
}

bool pipeline_trains(const struct pipeline *pipeline)
{
    return pipeline->optimize.granularity != OPTIMIZE_LAYER ||
           pipeline->optimize.activations_in_loop;
}

const struct method *pipeline_solver(const struct pipeline *pipeline)
{
    return method_table()[pipeline_trains(pipeline) ? pipeline->optimize.start
                                                    : pipeline->optimize.variable];
}

int pipeline_activation_bits(const struct pipeline *pipeline)
{
    return (int)(pipeline->activations.bits ? pipeline->activations.bits : pipeline->weights.bits);
}
