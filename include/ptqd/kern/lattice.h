#pragma once

/* Descent over whole numbers: minimizes, for rows that share a symmetric matrix H,
 *
 *     f(u) = s² uᵀHu − 2 s c·u          u_d whole, low ≤ u_d ≤ high
 *
 * one coordinate after the other. With p = H u, moving u_d by δ changes f by
 * s² δ (2 (p_d − c_d / s) + δ H_dd), so the best value of one coordinate has a closed form, and
 * only a coordinate that moves costs D operations. p does not depend on s.
 */

#include <stdbool.h>
#include <stdint.h>

struct lattice {
    int64_t rows, D;
    const double *H;          /* [D][D] */
    const double *negligible; /* [D] ≥ 0: a coordinate with H_dd up to this is left alone */
    const double *target;     /* [rows][D] c */
    const double *scale;      /* [rows] s > 0 */
    const double *low, *high; /* [rows] whole numbers */
    double *codes;            /* [rows][D] u */
    double *products;         /* [rows][D] p */
};

/* p of all rows from scratch: adds columns `first` to `last` − 1; at first = 0 it clears before. */
void lattice_multiply(const struct lattice *lattice, int64_t first, int64_t last);

/* Gives coordinates `first` to `last` − 1 of the rows with active[row] their best value, in order;
 * sets moved[row] where one changed. f never rises. */
void lattice_sweep(const struct lattice *lattice, const bool *active, int64_t first, int64_t last,
                   bool *moved);
