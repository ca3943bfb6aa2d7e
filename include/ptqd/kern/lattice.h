#pragma once

/* Descent over whole numbers: minimizes, for rows that share a symmetric matrix H,
 *
 *     f(u) = s² uᵀHu − 2 s c·u          u_d whole, low_d ≤ u_d ≤ high_d
 *
 * With p = H u and t = p − c / s, moving u_d by δ changes f by s² δ (2 t_d + δ H_dd), so the best
 * value of one coordinate has a closed form, and only a coordinate that moves costs D operations.
 * p does not depend on s. Coordinates with H_dd up to `negligible` are left alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lattice {
    int64_t rows, D;
    const double *H;          /* [D][D] */
    const double *negligible; /* [D] ≥ 0 */
    const double *target;     /* [rows][D] c */
    const double *scale;      /* [rows] s > 0 */
    const double *low, *high; /* [rows][D] whole numbers */
    double *codes;            /* [rows][D] u */
    double *products;         /* [rows][D] p */
};

/* p of all rows from scratch: adds columns `first` to `last` − 1; at first = 0 it clears before. */
void lattice_multiply(const struct lattice *lattice, int64_t first, int64_t last);

/* Gives coordinates `first` to `last` − 1 of the rows with active[row] their best value, in order;
 * sets moved[row] where one changed. f never rises. */
void lattice_sweep(const struct lattice *lattice, const bool *active, int64_t first, int64_t last,
                   bool *moved);

/* Adds `step` to one coordinate of a row, with what it does to p. */
void lattice_move(const struct lattice *lattice, int64_t row, int64_t d, double step);

/* Moves coordinates `first` to `last` − 1 of one row by one, each together with the other
 * coordinate that pays most, where that makes f smaller: 2 D operations per coordinate. Sets *moved
 * when one changed. */
void lattice_sweep_pairs(const struct lattice *lattice, int64_t row, int64_t first, int64_t last,
                         void *scratch, bool *moved);
size_t lattice_pairs_scratch_bytes(int64_t D);

/* Rows `first` to `last` − 1 of L, lower triangular with L Lᵀ = M, in place of M's lower triangle
 * [D][D]; call it for all rows in order. False when M is not positive definite. */
bool lattice_factor(int64_t D, int64_t first, int64_t last, double *M);

/* y = L⁻¹ c. `y` may be `c`. */
void lattice_project(int64_t D, const double *L, const double *c, double *y);

/* Babai's nearest plane: a good start for the codes of one row. From the last coordinate to the
 * first, each is rounded where f is least when those after it stay and those before it may still
 * take any real value. L is the factor of H (plus a little on its diagonal), y = L⁻¹ c of the row;
 * `rest` is scratch [D]. */
void lattice_nearest_plane(const struct lattice *lattice, int64_t row, const double *L,
                           const double *y, double *rest);
