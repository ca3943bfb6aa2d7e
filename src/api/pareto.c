#include "ptqd/api/pareto.h"

#include <math.h>
#include <stdbool.h>

static bool is_known(const struct pareto_point *point)
{
    return !isnan(point->value) && !isnan(point->cost);
}

/* Values as multiples of 1e-9, so that "equal" is transitive. */
static double rounded(double value)
{
    return rint(value * 1e9);
}

static bool beats(const struct pareto_point *a, const struct pareto_point *b)
{
    double value_a = rounded(a->value), value_b = rounded(b->value);
    return value_a >= value_b && a->cost <= b->cost && (value_a > value_b || a->cost < b->cost);
}

static enum pareto_mark mark(const struct pareto_point *points, size_t count, size_t index)
{
    if (!is_known(&points[index]))
        return PARETO_UNKNOWN;
    for (size_t i = 0; i < count; i++)
        if (is_known(&points[i]) && beats(&points[i], &points[index]))
            return PARETO_BEATEN;
    return PARETO_FRONT;
}

void pareto_front(const struct pareto_point *points, size_t count, enum pareto_mark *out_marks)
{
    for (size_t i = 0; i < count; i++)
        out_marks[i] = mark(points, count, i);
}
