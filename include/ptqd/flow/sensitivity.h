#pragma once

/* Which layer breaks the network, and why: the float network with one quantizer at a time.
 *
 * Weights are rounded to nearest in their initial ranges, so this is what a layer costs before
 * anything is optimized. Compared is the network's output on at most SENSITIVITY_SAMPLES samples,
 * evenly spread over the set.
 */

#include "ptqd/flow/initial_ranges.h"
#include "ptqd/flow/progress.h"
#include "ptqd/flow/shared_scope.h"

/* An accuracy of 90 % is known to 1.3 points by as many; the output error much better. */
enum { SENSITIVITY_SAMPLES = 512 };

/* What one quantizer does alone; all NaN where there is none. */
struct sensitivity_effect {
    double accuracy_drop;  /* float accuracy − accuracy; NaN without labels */
    double agreement;      /* same top-1 as the float network */
    double output_sqnr_db; /* of the network's output; infinite: it changes nothing */
    /* Kullback-Leibler divergence from the float network's class probabilities, nats per sample;
     * NaN where the outputs are none: no Softmax at the end, and no labels. */
    double divergence;
};

enum sensitivity_part { SENSITIVE_NONE, SENSITIVE_WEIGHTS, SENSITIVE_ACTIVATION };

struct sensitivity {
    bool on_evaluation; /* else on the calibration samples */
    int64_t samples;
    double float_accuracy; /* on these; NaN without labels */
    int layer_count, activation_count;
    struct sensitivity_effect *weights;     /* [layers] */
    struct sensitivity_effect *activations; /* [activations] */
    /* The quantizer that leaves the largest error of the output. */
    enum sensitivity_part worst_part; /* SENSITIVE_NONE: no quantizer changes anything */
    int worst;                        /* index of the layer, or of the activation */
};

struct sensitivity_request {
    const struct quant_network *network; /* the run's, which stays as it is; all borrowed */
    const struct quant_options *options; /* that it was made with */
    const struct initial_ranges *ranges; /* of its quantizers */
    const struct samples *calibration;
    const struct dataset *evaluation;     /* NULL: the calibration samples are compared */
    const struct artifact_origin *origin; /* names of the data, may be NULL */
    const struct shared_scope *scope;
    struct progress *progress; /* its step has sensitivity_units units */
};

/* Measurements that are made: one for each quantizer. */
int sensitivity_units(const struct quant_network *network);

/* Everything lives in `arena`. */
bool sensitivity_measure(struct arena *arena, const struct sensitivity_request *request,
                         const struct sensitivity **out_sensitivity, struct error *err);
