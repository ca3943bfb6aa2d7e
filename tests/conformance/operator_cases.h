#pragma once

/* Each operator of the table under several attributes, for test_operators.c. */

#include "sketch.h"

/* The step of the grid that inputs lie on, half a step beside zero; some bounds are made from it.
 */
extern const double operator_case_grid;

struct operator_case {
    const char *op_type;
    /* Builds the operator on x, and whatever else it needs; gives the output. */
    int (*build)(struct sketch *sketch, int x, const char *op_type);
    struct shape input;
    int64_t opset; /* 0: 13 */
    double scale;  /* of the grid of inputs; 0: 1 */
};

extern const struct operator_case operator_cases[];
extern const int operator_case_count;
