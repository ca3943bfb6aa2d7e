#pragma once

/* Folding: the float network in the form that quantization works on.
 *
 * - BatchNormalization behind a Conv, ConvTranspose or Gemm that nothing else reads goes into its
 *   weights and bias;
 * - MatMul of a matrix with constant weights becomes Gemm, with a constant Add behind it as bias;
 * - Gemm has transB = 1, so that weights are [K][C] (and those of both convolutions
 *   [K][R][S][C/G]: output channels lead everywhere), alpha = beta = 1 and a bias [K];
 * - these three always have a bias, zeros where the file had none;
 * - Identity and Dropout are gone, but in front of the network's output.
 *
 * What can't be folded (a BatchNormalization behind something else, a Gemm with a full matrix C)
 * stays as it is. Names of tensors and nodes survive; a folded Conv writes the tensor that its
 * BatchNormalization wrote. */

#include "ptqd/nn/graph.h"

/* `graph` is finished; the new graph is in `arena` and borrows the constants and names of `graph`
 * that did not change. */
bool graph_fold(const struct graph *graph, struct arena *arena, struct graph **out,
                struct error *err);
