#pragma once

/* The dense layers of gram.h and gram_codes.h. */

#include "ptqd/kern/conv.h"

/* A dense layer is a 1 × 1 convolution of a map of one position. */
static inline struct conv_shape gram_dense_shape(int64_t N, int64_t C)
{
    return (struct conv_shape){
        .N = N,
        .H = 1,
        .W = 1,
        .C = C,
        .K = 1,
        .R = 1,
        .S = 1,
        .G = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .OH = 1,
        .OW = 1,
    };
}
