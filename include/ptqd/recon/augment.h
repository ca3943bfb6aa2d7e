#pragma once

/* More inputs from the samples that there are. A network that is distilled may see anything: the
 * float network says what is wanted. With a thousand samples it otherwise learns them by heart.
 *
 * A sample is moved along each spatial axis by a random number of places, its edge repeated (the
 * usual shift of images; He et al., arXiv 1512.03385, 4.2), and mixed with another one (mixup,
 * Zhang et al., arXiv 1710.09412).
 */

#include "ptqd/base/rng.h"
#include "ptqd/nn/graph.h"

struct augment_options {
    double shift; /* most places, as a share of the axis; 0: none */
    bool mirror;  /* half of the images */
    double mix;   /* share of the samples that are mixed, each at least half itself; 0: none */
};

struct augmenter {
    struct augment_options options;
    int64_t elements; /* of one sample */
    int rank;
    int64_t extent[SHAPE_RANK_MAX]; /* of one sample, without the leading 1 */
    int64_t reach[SHAPE_RANK_MAX];  /* most places along the axis; 0: it is not spatial */
    bool is_image;                  /* it is mirrored along its last spatial axis */
    int width_axis;                 /* which that is */
};

/* For the input of a finished graph. Spatial axes are those that are neither batch nor channels;
 * an input of rank 2 has none. */
void augmenter_init(const struct graph *graph, const struct augment_options *options,
                    struct augmenter *out_augmenter);

/* Changes `count` samples [count][elements] in place. */
void augmenter_apply(const struct augmenter *augmenter, struct rng *rng, int64_t count,
                     float *samples);
