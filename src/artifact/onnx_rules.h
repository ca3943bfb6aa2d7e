#pragma once

/* How an operator is written: what the files of the rules share. */

#include "onnx_state.h"

enum { ONNX_RULE_ATTRIBUTES_MAX = 8 };

struct onnx_rule {
    const char *op_type;
    void (*write)(struct onnx_state *state, const struct node *node, const struct onnx_rule *rule);
    const char *attributes[ONNX_RULE_ATTRIBUTES_MAX + 1]; /* copied when the node has them */
};

/* A new node with the name and output 0 of `node`. */
Onnx__NodeProto *onnx_rule_begin(struct onnx_state *state, const struct node *node,
                                 const char *op_type);

void onnx_rule_input(struct onnx_state *state, Onnx__NodeProto *written, int tensor);

/* Appends an input that is a new constant list of integers, "<output><separator><what>". */
void onnx_rule_integers(struct onnx_state *state, Onnx__NodeProto *written, const struct node *node,
                        const char *what, const int64_t *values, size_t count);

/* Those of the rule. */
void onnx_rule_attributes(struct onnx_state *state, Onnx__NodeProto *written,
                          const struct node *node, const struct onnx_rule *rule);

/* An axis of `tensor` as the node has it (maybe negative), in the file's order. */
int64_t onnx_rule_axis(const struct tensor *tensor, int64_t axis);

/* onnx_rules_maps.c */
void onnx_write_conv_transpose(struct onnx_state *state, const struct node *node,
                               const struct onnx_rule *rule);
void onnx_write_resize(struct onnx_state *state, const struct node *node,
                       const struct onnx_rule *rule);
void onnx_write_slice(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule);
void onnx_write_split(struct onnx_state *state, const struct node *node,
                      const struct onnx_rule *rule);
