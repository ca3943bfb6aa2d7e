/* The rows of a layer rule. */

#include "choices.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/quant/quantizer.h"

#include <stddef.h>

#define FIELD(member) .offset = offsetof(struct layer_rule, member)

static const struct param rows[] = {
    {.name = "match",
     .type = PARAM_TEXT,
     .min = 1,
     .max = LAYER_MATCH_MAX,
     .unit = "bytes",
     .help = "The layers that the rule is about: a name, a shell pattern (* ? []), \"first\" or "
             "\"last\"; always given.",
     FIELD(match)},
    {.name = "skip",
     .type = PARAM_BOOL,
     .unit = "",
     .help = "Weights and input of the layer stay in float, until a later rule says false.",
     FIELD(skip)},
    {.name = "weights.bits",
     .type = PARAM_INT,
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .also = QUANTIZER_BITS_FLOAT,
     .unit = "bits",
     .help = "Width of the weights; 32 leaves them in float.",
     FIELD(weights.bits)},
    {.name = "weights.scheme",
     .type = PARAM_CHOICE,
     .choices = scheme_choices,
     .unit = "",
     .help = "Number format of the weights: with zero point 0, or one of its own per scale.",
     FIELD(weights.scheme)},
    {.name = "weights.narrow",
     .type = PARAM_BOOL,
     .unit = "",
     .help = "Leave out the lowest code of symmetric weights.",
     FIELD(weights.narrow)},
    {.name = "weights.granularity",
     .type = PARAM_CHOICE,
     .choices = weight_granularity_choices,
     .unit = "",
     .help = "One weight scale per output channel, or one per tensor.",
     FIELD(weights.granularity)},
    {.name = "weights.init",
     .type = PARAM_CHOICE,
     .choices = weight_init_choices,
     .unit = "",
     .help = "How the initial range of the weights is found.",
     FIELD(weights.init)},
    {.name = "weights.percentile",
     .type = PARAM_REAL,
     .min = 50,
     .max = 100,
     .unit = "%",
     .help = "Of \"init\": \"percentile\": the share of the weights below the upper end, and above "
             "the lower one.",
     FIELD(weights.percentile)},
    {.name = "activations.bits",
     .type = PARAM_INT,
     .special = "same",
     .min = QUANTIZER_BITS_MIN,
     .max = QUANTIZER_BITS_MAX,
     .also = QUANTIZER_BITS_FLOAT,
     .unit = "bits",
     .help = "Width of the layer's input; \"same\" follows its weights, 32 leaves it in float.",
     FIELD(activations.bits)},
    {.name = "activations.scheme",
     .type = PARAM_CHOICE,
     .choices = scheme_choices,
     .unit = "",
     .help = "Number format of the layer's input, with or without a zero point.",
     FIELD(activations.scheme)},
    {.name = "activations.init",
     .type = PARAM_CHOICE,
     .choices = observer_choices,
     .unit = "",
     .help = "How the range of the layer's input is found, on the calibration samples.",
     FIELD(activations.init)},
    {.name = "activations.percentile",
     .type = PARAM_REAL,
     .min = 50,
     .max = 100,
     .unit = "%",
     .help = "Of \"init\": \"percentile\": the share of the input below the upper end, and above "
             "the lower one.",
     FIELD(activations.percentile)},
};

static const struct param_table table = {
    .name = "layers",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
};

const struct param_table *layer_rule_table(void)
{
    return &table;
}

bool layer_rule_gives(const struct layer_rule *rule, const char *name)
{
    return rule->given >> (param_find(&table, name) - rows) & 1;
}
