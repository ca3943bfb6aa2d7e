#pragma once

/* Folding: the graph that is quantized. */

#include "ptqd/nn/graph.h"

/* A new finished graph that computes the same function (to rounding), in which
 * - BatchNormalization is folded into the Conv or Gemm before it, where that has no other reader;
 * - MatMul by a constant [C][K] on an input of rank 2, with an Add of a constant behind it, and Gemm
 *   with untransposed constant weights, alpha or beta are Gemm with weights [K][C] (transB = 1);
 * - every Conv and Gemm has a bias tensor (zeros where the file had none);
 * - Identity and Dropout are gone.
 * Names of nodes and tensors survive. Everything new lives in `arena`; constants that did not change
 * are borrowed from `graph`. */
bool graph_fold(const struct graph *graph, struct arena *arena, struct graph **out_graph,
                struct error *err);
