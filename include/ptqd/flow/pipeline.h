#pragma once

/* The pipeline: what is done to a model, as one parameter table (DESIGN.md 3). A variant is a
 * struct pipeline, with every choice fixed. */

#include "ptqd/base/param.h"

enum pipeline_equalize { EQUALIZE_NONE, EQUALIZE_CLE, EQUALIZE_OCS };
enum pipeline_scheme { SCHEME_SYMMETRIC, SCHEME_ASYMMETRIC };
enum pipeline_weight_granularity { WEIGHTS_PER_CHANNEL, WEIGHTS_PER_TENSOR };
enum pipeline_loss { LOSS_LINEAR, LOSS_ACTIVATED };
enum pipeline_granularity { OPTIMIZE_LAYER, OPTIMIZE_BLOCK, OPTIMIZE_NETWORK };
enum pipeline_bias { BIAS_NONE, BIAS_TUNE, BIAS_CORRECT };

enum { LAYER_RULES_MAX = 256, LAYER_MATCH_MAX = 200 /* bytes */ };

/* What one layer, or some, have of their own. Fields are as in struct pipeline; those that were not
 * given are 0 and mean nothing. */
struct layer_rule {
    const char *match; /* a name, a shell pattern, "first" or "last" */
    uint64_t given;    /* bit i: row i of layer_rule_table() */
    bool skip;         /* weights and input stay in float */
    struct {
        int64_t bits;
        int scheme;
        bool narrow;
        int granularity;
        int init;
        double percentile;
    } weights;
    struct {
        int64_t bits; /* 0: as the layer's weights */
        int scheme;
        int init;
        double percentile;
    } activations; /* the layer's input */
};

struct pipeline {
    int64_t samples; /* calibration samples drawn; 0: all */
    int equalize;    /* enum pipeline_equalize */
    double expand_ratio;
    struct {
        int64_t bits;
        int scheme; /* enum pipeline_scheme */
        bool narrow;
        int granularity; /* enum pipeline_weight_granularity */
        int init;        /* row of observers.def; the one after the last: the layer's output */
        double percentile;
    } weights;
    struct {
        int64_t bits; /* 0: as the weights */
        int scheme;   /* enum pipeline_scheme */
        int granularity;
        int init; /* row of observers.def */
        double percentile;
        int64_t input_bits;
        int64_t sum_bits; /* 0: as the other activations */
    } activations;
    struct {
        int variable;         /* row of methods.def */
        int granularity;      /* enum pipeline_granularity */
        int start;            /* row of methods.def */
        int loss;             /* enum pipeline_loss */
        int64_t iterations;   /* 0: as the variable likes it */
        double learning_rate; /* likewise */
        double regularization;
        double warm_start;
        bool activations_in_loop;
        double drop;
        int64_t batch;
        int64_t epochs;
        double temperature;
        double share;
        double shift;
        bool mirror;
        double mix;
    } optimize;
    struct {
        int bias; /* enum pipeline_bias */
        int64_t epochs;
        int64_t batch;
        double learning_rate;
    } postprocess;
    struct {
        bool sensitivity;
    } report;
    uint64_t artifacts; /* bit i: row i of artifacts.def */
    /* In their order, at most LAYER_RULES_MAX; borrowed. No row of the table: they are not swept.
     */
    const struct layer_rule *rules;
    size_t rule_count;
};

const struct param_table *pipeline_table(void);

/* Rows of a layer rule, none with a default: what is not given stays as it is. All but "match" and
 * "skip" are called as rows of the pipeline and have their values. */
const struct param_table *layer_rule_table(void);
/* Does the rule say something in the row of this name? */
bool layer_rule_gives(const struct layer_rule *rule, const char *name);

/* Rules between rows; E_INVALID with the pointer of the field. */
bool pipeline_check(const struct pipeline *pipeline, struct error *err);

/* Steps of training where `iterations`, or `epochs`, are "auto": of a layer or block, and of the
 * network (measured in flow/unit_training.c). */
enum { PIPELINE_UNIT_STEPS = 2000, PIPELINE_NETWORK_STEPS = 2560 };

/* True when step 3 trains units on mini-batches after the layer-wise start. */
bool pipeline_trains(const struct pipeline *pipeline);

/* What layers are solved by: the variable, or, where units are trained, what these start from. */
const struct method *pipeline_solver(const struct pipeline *pipeline);

/* Bits of the activations after "same" is resolved. */
int pipeline_activation_bits(const struct pipeline *pipeline);
