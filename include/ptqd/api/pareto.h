#pragma once

/* The Pareto front: which of several points no other one beats. */

#include <stddef.h>

struct pareto_point {
    double value; /* more is better; NaN: not known */
    double cost;  /* less is better; NaN: not known */
};

enum pareto_mark {
    PARETO_UNKNOWN, /* value or cost is not known: neither ranked nor a rival of others */
    PARETO_BEATEN,
    PARETO_FRONT,
};

/* A point is beaten by one that has at least its value at no more cost, and more value or less
 * cost; so points that tie in both stand or fall together. Values closer than 1e-9 tie: means over
 * the same runs in another order differ in their last bits. Takes count² comparisons. */
void pareto_front(const struct pareto_point *points, size_t count, enum pareto_mark *out_marks);
