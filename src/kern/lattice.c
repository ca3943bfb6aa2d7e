/* Descent over whole numbers. Rows are the inner loop where they are swept together, so that a row
 * of H is read once for all. */

#include "ptqd/kern/lattice.h"

#include "ptqd/kern/dot.h"
#include "simd.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

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

static double clamp(const struct lattice *lattice, int64_t row, int64_t d, double code)
{
    int64_t at = row * lattice->D + d;
    double low = lattice->low[at], high = lattice->high[at];
    return code < low ? low : code > high ? high : code;
}

void lattice_move(const struct lattice *lattice, int64_t row, int64_t d, double step)
{
    int64_t D = lattice->D;
    lattice->codes[row * D + d] += step;
    add_multiple(step, lattice->H + d * D, D, lattice->products + row * D);
}

/* The best change of coordinate d of a row. None is possible up to the slope at which a change by
 * one does not pay. */
static double best_step(const struct lattice *lattice, int64_t row, int64_t d)
{
    int64_t at = row * lattice->D + d;
    double curvature = lattice->H[d * lattice->D + d], scale = lattice->scale[row];
    double scaled = scale * lattice->products[at] - lattice->target[at];
    if (2.0 * fabs(scaled) <= scale * curvature)
        return 0.0;
    double slope = scaled / scale;
    double code = clamp(lattice, row, d, rint(lattice->codes[at] - slope / curvature));
    double step = code - lattice->codes[at];
    double gain = -step * (2.0 * slope + step * curvature);
    return gain > LEAST_GAIN * curvature ? step : 0.0;
}

void lattice_sweep(const struct lattice *lattice, const bool *active, int64_t first, int64_t last,
                   bool *moved)
{
    for (int64_t d = first; d < last; d++) {
        if (!(lattice->H[d * lattice->D + d] > lattice->negligible[d]))
            continue;
        for (int64_t row = 0; row < lattice->rows; row++) {
            double step = active[row] ? best_step(lattice, row, d) : 0.0;
            if (step == 0.0)
                continue;
            lattice_move(lattice, row, d, step);
            moved[row] = true;
        }
    }
}

/* What moving each coordinate of a row by one would change f / s² by, less its slope's part:
 * infinite where it can't. */
struct moves {
    double *slope;     /* [D] t */
    double *up, *down; /* [D] H_dd or infinity */
};

size_t lattice_pairs_scratch_bytes(int64_t D)
{
    return 3 * (size_t)D * sizeof(double);
}

static void note_bounds(const struct lattice *lattice, int64_t row, int64_t d,
                        const struct moves *moves)
{
    int64_t at = row * lattice->D + d;
    double code = lattice->codes[at], cost = lattice->H[d * lattice->D + d];
    bool fixed = !(cost > lattice->negligible[d]);
    moves->up[d] = fixed || code >= lattice->high[at] ? (double)INFINITY : cost;
    moves->down[d] = fixed || code <= lattice->low[at] ? (double)INFINITY : cost;
}

static void note_slopes(const struct lattice *lattice, int64_t row, const struct moves *moves)
{
    const double *products = lattice->products + row * lattice->D;
    const double *target = lattice->target + row * lattice->D;
    for (int64_t d = 0; d < lattice->D; d++)
        moves->slope[d] = products[d] - target[d] / lattice->scale[row];
}

/* The change of f / s² by the better move of a coordinate, when another has added `shift` to its
 * slope. */
static inline double cost_of(double slope, double up, double down, double shift)
{
    double twice = 2.0 * (slope + shift);
    double rise = up + twice, fall = down - twice;
    return rise < fall ? rise : fall;
}

/* The least cost of a partner for a coordinate that moves by `step`; H is its row. */
KERN_CLONES static double least_cost(const struct moves *moves, const double *restrict H,
                                     double step, int64_t D)
{
    const double *slope = moves->slope, *up = moves->up, *down = moves->down;
    double lanes[LANES], least = (double)INFINITY;
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = (double)INFINITY;
    int64_t j = 0;
    for (; j + LANES <= D; j += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            int64_t at = j + lane;
            double cost = cost_of(slope[at], up[at], down[at], step * H[at]);
            lanes[lane] = cost < lanes[lane] ? cost : lanes[lane];
        }
    for (; j < D; j++) {
        double cost = cost_of(slope[j], up[j], down[j], step * H[j]);
        least = cost < least ? cost : least;
    }
    for (int lane = 0; lane < LANES; lane++)
        least = lanes[lane] < least ? lanes[lane] : least;
    return least;
}

/* Moves coordinate d by `step`, and the partner that costs `cost`. */
static void move_pair(const struct lattice *lattice, int64_t row, int64_t d, double step,
                      double cost, const struct moves *moves)
{
    const double *H = lattice->H + d * lattice->D;
    int64_t j = 0;
    while (cost_of(moves->slope[j], moves->up[j], moves->down[j], step * H[j]) > cost)
        j++;
    double twice = 2.0 * (moves->slope[j] + step * H[j]);
    bool rises = moves->up[j] + twice < moves->down[j] - twice;
    lattice_move(lattice, row, d, step);
    lattice_move(lattice, row, j, rises ? 1.0 : -1.0);
    note_bounds(lattice, row, j, moves);
    note_slopes(lattice, row, moves);
}

/* One of the two moves is against its slope or makes no sense: both along it cost at least
 * H_dd + H_jj, which is no less than the 2 |H_dj| that they may save. So d moves against its own.
 */
void lattice_sweep_pairs(const struct lattice *lattice, int64_t row, int64_t first, int64_t last,
                         void *scratch, bool *moved)
{
    int64_t D = lattice->D;
    struct moves moves = {scratch, (double *)scratch + D, (double *)scratch + 2 * D};
    note_slopes(lattice, row, &moves);
    for (int64_t d = 0; d < D; d++)
        note_bounds(lattice, row, d, &moves);
    for (int64_t d = first; d < last; d++) {
        const double *H = lattice->H + d * D;
        double step = moves.slope[d] > 0.0 ? -1.0 : 1.0;
        double own = (step > 0.0 ? moves.up[d] : moves.down[d]) + 2.0 * step * moves.slope[d];
        if (own == (double)INFINITY)
            continue;
        moves.up[d] = moves.down[d] = (double)INFINITY; /* no partner of itself */
        double partner = least_cost(&moves, H, step, D);
        if (own + partner < -LEAST_GAIN * H[d]) {
            move_pair(lattice, row, d, step, partner, &moves);
            *moved = true;
        }
        note_bounds(lattice, row, d, &moves);
    }
}

bool lattice_factor(int64_t D, int64_t first, int64_t last, double *M)
{
    for (int64_t i = first; i < last; i++) {
        double *row = M + i * D;
        for (int64_t j = 0; j < i; j++)
            row[j] = (row[j] - dot_f64(row, M + j * D, j)) / M[j * D + j];
        double pivot = row[i] - dot_f64(row, row, i);
        if (!(pivot > 0.0))
            return false;
        row[i] = sqrt(pivot);
    }
    return true;
}

void lattice_project(int64_t D, const double *L, const double *c, double *y)
{
    for (int64_t i = 0; i < D; i++)
        y[i] = (c[i] - dot_f64(L + i * D, y, i)) / L[i * D + i];
}

void lattice_nearest_plane(const struct lattice *lattice, int64_t row, const double *L,
                           const double *y, double *rest)
{
    int64_t D = lattice->D;
    for (int64_t i = 0; i < D; i++)
        rest[i] = y[i] / lattice->scale[row];
    for (int64_t i = D - 1; i >= 0; i--) {
        double code = clamp(lattice, row, i, rint(rest[i] / L[i * D + i]));
        lattice->codes[row * D + i] = code;
        add_multiple(-code, L + i * D, i, rest);
    }
}
