#pragma once

/* Operators on two tensors with numpy's broadcasting: shapes are aligned at their last axes, an
 * extent of 1 is repeated. For this room only.
 *
 * Execution goes over rows: runs of elements in which each input either advances by one or stands
 * still. Axes that both inputs pass in the same way are merged beforehand, so that two tensors of
 * one shape are a single row. */

#include "ptqd/nn/op.h"

/* `infer` of an operator with two inputs; refuses the `broadcast` with `axis` of opset 1 and 6 that
 * numpy's rule has no form for. */
bool broadcast_infer(struct graph *graph, struct node *node, struct error *err);

/* y[i] = f(a[i · a_step], b[i · b_step]); steps are 0 or 1; y may be a or b. */
typedef void broadcast_row(int64_t count, const float *a, int64_t a_step, const float *b,
                           int64_t b_step, float *y);
void broadcast_forward(const struct op_call *call, broadcast_row *row);

/* Gradient with respect to `input` (0 or 1): terms[i] = df/dinput · grad_y[i], where `a` and `b`
 * are as in forward. Terms of elements that were repeated are added up.
 * Serves operators that write fresh gradients, and others. */
typedef void broadcast_term(int64_t count, const float *a, int64_t a_step, const float *b,
                            int64_t b_step, const float *grad_y, float *terms);
void broadcast_backward(const struct op_call *call, int input, broadcast_term *term);
