/* Descent over whole numbers: against plain sums and against trying every value. */

#include "kern_support.h"
#include "ptqd/kern/lattice.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, D = 13, LOW = -2, HIGH = 3 };

struct fixture {
    double *H, *negligible, *target, *scale, *low, *high, *codes, *products;
    struct lattice lattice;
};

/* H = XᵀX of 20 random rows, so that it has no negative eigenvalue. */
static void fixture_init(struct fixture *f, struct rng *rng)
{
    *f = (struct fixture){
        .H = exact_doubles(D * D),
        .negligible = exact_doubles(D),
        .target = exact_doubles(ROWS * D),
        .scale = exact_doubles(ROWS),
        .low = exact_doubles(ROWS * D),
        .high = exact_doubles(ROWS * D),
        .codes = exact_doubles(ROWS * D),
        .products = exact_doubles(ROWS * D),
    };
    for (int row = 0; row < 20; row++) {
        double x[D];
        for (int d = 0; d < D; d++)
            x[d] = rng_normal(rng);
        for (int i = 0; i < D * D; i++)
            f->H[i] += x[i / D] * x[i % D];
    }
    for (int i = 0; i < ROWS * D; i++) {
        f->target[i] = 10.0 * rng_normal(rng);
        f->codes[i] = (double)random_between(rng, LOW, HIGH);
        f->products[i] = NAN; /* made by the first lattice_multiply */
        f->low[i] = LOW;
        f->high[i] = HIGH;
    }
    for (int row = 0; row < ROWS; row++)
        f->scale[row] = 0.2 + rng_uniform(rng);
    f->lattice = (struct lattice){
        .rows = ROWS,
        .D = D,
        .H = f->H,
        .negligible = f->negligible,
        .target = f->target,
        .scale = f->scale,
        .low = f->low,
        .high = f->high,
        .codes = f->codes,
        .products = f->products,
    };
}

static void fixture_finish(struct fixture *f)
{
    free(f->H);
    free(f->negligible);
    free(f->target);
    free(f->scale);
    free(f->low);
    free(f->high);
    free(f->codes);
    free(f->products);
}

/* f(u) of a row, by plain sums. */
static double form(const struct fixture *f, int row)
{
    const double *u = f->codes + row * D;
    double sum = 0.0;
    for (int i = 0; i < D; i++) {
        sum -= 2.0 * f->scale[row] * f->target[row * D + i] * u[i];
        for (int j = 0; j < D; j++)
            sum += f->scale[row] * f->scale[row] * u[i] * f->H[i * D + j] * u[j];
    }
    return sum;
}

static void check_products(const struct fixture *f)
{
    for (int i = 0; i < ROWS * D; i++) {
        double sum = 0.0;
        for (int d = 0; d < D; d++)
            sum += f->H[i % D * D + d] * f->codes[i / D * D + d];
        ck_assert_double_eq_tol(f->products[i], sum, 1e-9);
    }
}

/* Law: products are H u, whether made in one piece or in several. */
START_TEST(products_are_made_in_parts)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 1, (uint64_t)_i);
    fixture_init(&f, &rng);
    lattice_multiply(&f.lattice, 0, 5);
    lattice_multiply(&f.lattice, 5, D);
    check_products(&f);
    fixture_finish(&f);
}
END_TEST

/* Law: a sweep of one coordinate finds the value of the range that trying all of them finds. */
START_TEST(a_coordinate_takes_its_best_value)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 2, (uint64_t)_i);
    fixture_init(&f, &rng);
    lattice_multiply(&f.lattice, 0, D);
    const bool active[ROWS] = {true, true, true};
    bool moved[ROWS] = {false};
    for (int64_t d = 0; d < D; d++) {
        lattice_sweep(&f.lattice, active, d, d + 1, moved);
        for (int row = 0; row < ROWS; row++) {
            double *code = &f.codes[row * D + d], chosen = *code, reached = form(&f, row);
            for (*code = LOW; *code <= HIGH; *code += 1.0)
                ck_assert_double_ge(form(&f, row), reached - 1e-6);
            *code = chosen;
        }
    }
    check_products(&f);
    fixture_finish(&f);
}
END_TEST

/* Law: sweeps descend to where nothing moves; then no single change makes f smaller. */
START_TEST(sweeps_end_where_no_change_helps)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 3, (uint64_t)_i);
    fixture_init(&f, &rng);
    lattice_multiply(&f.lattice, 0, D);
    const bool active[ROWS] = {true, true, true};
    double before[ROWS];
    for (int row = 0; row < ROWS; row++)
        before[row] = form(&f, row);
    bool any = true;
    for (int sweeps = 0; any; sweeps++) {
        bool moved[ROWS] = {false};
        ck_assert_int_lt(sweeps, 100);
        lattice_sweep(&f.lattice, active, 0, D, moved);
        any = false;
        for (int row = 0; row < ROWS; row++) {
            double now = form(&f, row);
            ck_assert(moved[row] ? now < before[row] : now == before[row]);
            before[row] = now;
            any |= moved[row];
        }
    }
    for (int i = 0; i < ROWS * D; i++)
        for (double other = LOW; other <= HIGH; other += 1.0) {
            double chosen = f.codes[i];
            f.codes[i] = other;
            ck_assert_double_ge(form(&f, i / D), before[i / D] - 1e-6);
            f.codes[i] = chosen;
        }
    fixture_finish(&f);
}
END_TEST

START_TEST(inactive_rows_and_negligible_coordinates_stay)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 4, (uint64_t)_i);
    fixture_init(&f, &rng);
    double before[ROWS * D];
    memcpy(before, f.codes, sizeof(before));
    f.negligible[4] = f.H[4 * D + 4];
    lattice_multiply(&f.lattice, 0, D);
    const bool active[ROWS] = {true, false, true};
    bool moved[ROWS] = {false};
    lattice_sweep(&f.lattice, active, 0, D, moved);
    ck_assert(!moved[1]);
    for (int i = 0; i < ROWS * D; i++)
        if (i / D == 1 || i % D == 4)
            ck_assert_double_eq(f.codes[i], before[i]);
    fixture_finish(&f);
}
END_TEST

/* Law: where no pair helps any more, none of all pairs of moves by one makes f smaller. */
START_TEST(pairs_are_moved_until_none_helps)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 5, (uint64_t)_i);
    fixture_init(&f, &rng);
    lattice_multiply(&f.lattice, 0, D);
    const bool active[ROWS] = {true, true, true};
    void *scratch = exact_alloc(lattice_pairs_scratch_bytes(D));
    bool any = true;
    for (int sweeps = 0; any; sweeps++) {
        ck_assert_int_lt(sweeps, 100);
        bool moved[ROWS] = {false};
        lattice_sweep(&f.lattice, active, 0, D, moved);
        any = false;
        for (int row = 0; row < ROWS; row++) {
            double before = form(&f, row);
            bool paired = false;
            lattice_sweep_pairs(&f.lattice, row, 0, 6, scratch, &paired);
            lattice_sweep_pairs(&f.lattice, row, 6, D, scratch, &paired);
            ck_assert(paired ? form(&f, row) < before : form(&f, row) == before);
            any |= moved[row] || paired;
        }
    }
    check_products(&f);
    for (int row = 0; row < ROWS; row++) {
        double *u = f.codes + row * D, reached = form(&f, row);
        for (int i = 0; i < 4 * D * D; i++) {
            int a = i / 4 / D, b = i / 4 % D;
            double kept_a = u[a], kept_b = u[b];
            u[a] += i & 1 ? 1.0 : -1.0;
            u[b] += i & 2 ? 1.0 : -1.0;
            bool inside = u[a] >= LOW && u[a] <= HIGH && u[b] >= LOW && u[b] <= HIGH;
            ck_assert(a == b || !inside || form(&f, row) >= reached - 1e-6);
            u[a] = kept_a;
            u[b] = kept_b;
        }
    }
    free(scratch);
    fixture_finish(&f);
}
END_TEST

/* Law: L Lᵀ is the matrix, and L y = c. */
START_TEST(the_factor_multiplies_back)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 6, (uint64_t)_i);
    fixture_init(&f, &rng);
    double *L = exact_doubles(D * D), *y = exact_doubles(D);
    memcpy(L, f.H, D * D * sizeof(double));
    ck_assert(lattice_factor(D, 0, 4, L));
    ck_assert(lattice_factor(D, 4, D, L));
    lattice_project(D, L, f.target, y);
    for (int i = 0; i < D; i++) {
        double back = 0.0;
        for (int j = 0; j <= i; j++) {
            double sum = 0.0;
            for (int k = 0; k <= j; k++)
                sum += L[i * D + k] * L[j * D + k];
            ck_assert_double_eq_tol(sum, f.H[i * D + j], 1e-9);
            back += L[i * D + j] * y[j];
        }
        ck_assert_double_eq_tol(back, f.target[i], 1e-9);
    }
    free(L);
    free(y);
    fixture_finish(&f);
}
END_TEST

START_TEST(a_matrix_with_a_negative_eigenvalue_has_no_factor)
{
    double M[] = {1.0, 2.0, 2.0, 1.0}, zero[] = {0.0};
    ck_assert(!lattice_factor(2, 0, 2, M));
    ck_assert(!lattice_factor(1, 0, 1, zero));
}
END_TEST

/* Law: f is Σ_i (y_i / s − Σ_{j ≥ i} L_ji u_j)² but for a constant and s², so when those before a
 * coordinate are free, only term i depends on it: each has the value of the range that makes its
 * term least. */
START_TEST(the_nearest_plane_is_followed)
{
    struct rng rng;
    struct fixture f;
    rng_init(&rng, 7, (uint64_t)_i);
    fixture_init(&f, &rng);
    double *L = exact_doubles(D * D), *y = exact_doubles(D), *rest = exact_doubles(D);
    memcpy(L, f.H, D * D * sizeof(double));
    ck_assert(lattice_factor(D, 0, D, L));
    for (int row = 0; row < ROWS; row++) {
        const double *u = f.codes + row * D;
        lattice_project(D, L, f.target + row * D, y);
        lattice_nearest_plane(&f.lattice, row, L, y, rest);
        for (int i = 0; i < D; i++) {
            double wanted = y[i] / f.scale[row];
            for (int j = i + 1; j < D; j++)
                wanted -= L[j * D + i] * u[j];
            double miss = fabs(wanted - L[i * D + i] * u[i]);
            for (double other = LOW; other <= HIGH; other += 1.0)
                ck_assert_double_ge(fabs(wanted - L[i * D + i] * other), miss - 1e-9);
        }
    }
    free(L);
    free(y);
    free(rest);
    fixture_finish(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lattice");
    TCase *tcase = tcase_create("laws");
    tcase_add_loop_test(tcase, products_are_made_in_parts, 0, 5);
    tcase_add_loop_test(tcase, a_coordinate_takes_its_best_value, 0, 20);
    tcase_add_loop_test(tcase, sweeps_end_where_no_change_helps, 0, 20);
    tcase_add_loop_test(tcase, inactive_rows_and_negligible_coordinates_stay, 0, 5);
    tcase_add_loop_test(tcase, pairs_are_moved_until_none_helps, 0, 20);
    tcase_add_loop_test(tcase, the_factor_multiplies_back, 0, 5);
    tcase_add_test(tcase, a_matrix_with_a_negative_eigenvalue_has_no_factor);
    tcase_add_loop_test(tcase, the_nearest_plane_is_followed, 0, 10);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
