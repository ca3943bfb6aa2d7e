/* Descent over whole numbers. Rows are the inner loop, so that a row of H is read once for all. */

#include "ptqd/kern/lattice.h"

#include "simd.h"

#include <math.h>
#include <string.h>

/* A step is taken when it gains more than this share of H_dd: less is rounding of p, and could go
 * back and forth for ever. */
static const double LEAST_GAIN = 1e-9;

KERN_CLONES static void add_multiple(double factor, const double *restrict x, int64_t count,
                                     double *restrict y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] += factor * x[i];
}

void lattice_multiply(const struct lattice *lattice, int64_t first, int64_t last)
{
    int64_t D = lattice->D;
    if (first == 0)
        memset(lattice->products, 0, (size_t)(lattice->rows * D) * sizeof(double));
    for (int64_t d = first; d < last; d++)
        for (int64_t row = 0; row < lattice->rows; row++) {
            double code = lattice->codes[row * D + d];
            if (code != 0.0)
                add_multiple(code, lattice->H + d * D, D, lattice->products + row * D);
        }
}

/* The best change of coordinate d of a row. */
static double best_step(const struct lattice *lattice, int64_t row, int64_t d)
{
    int64_t at = row * lattice->D + d;
    double curvature = lattice->H[d * lattice->D + d];
    double slope = lattice->products[at] - lattice->target[at] / lattice->scale[row];
    double code = rint(lattice->codes[at] - slope / curvature);
    code = fmin(fmax(code, lattice->low[row]), lattice->high[row]);
    double step = code - lattice->codes[at];
    double gain = -step * (2.0 * slope + step * curvature);
    return gain > LEAST_GAIN * curvature ? step : 0.0;
}

void lattice_sweep(const struct lattice *lattice, const bool *active, int64_t first, int64_t last,
                   bool *moved)
{
    int64_t D = lattice->D;
    for (int64_t d = first; d < last; d++) {
        const double *H = lattice->H + d * D;
        if (!(H[d] > lattice->negligible[d]))
            continue;
        for (int64_t row = 0; row < lattice->rows; row++) {
            double step = active[row] ? best_step(lattice, row, d) : 0.0;
            if (step == 0.0)
                continue;
            lattice->codes[row * D + d] += step;
            add_multiple(step, H, D, lattice->products + row * D);
            moved[row] = true;
        }
    }
}
