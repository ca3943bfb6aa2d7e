/* Pairs of taps in the Gram matrix (gram_squares.h). The squares of a tap with itself that cross
 * the diagonal are filled as a whole; above it nothing of them is used. */

#include "gram_squares.h"
#include "sizes.h"

static void add_square(const struct gram_pair *pair, const struct gram_square *square, bool lower,
                       int64_t D, double *gram)
{
    double *at = gram + (pair->row + square->i) * D + pair->column + square->j;
    for (int64_t i = 0; i < square->rows; i++) {
        int64_t diagonal = square->i + i - square->j;
        int64_t end = lower ? least(diagonal + 1, square->columns) : square->columns;
        for (int64_t j = 0; j < end; j++)
            at[i * D + j] += square->value[i][j];
    }
}

/* The other triangle; of one tap with itself, without the diagonal. */
static void add_mirrored(const struct gram_pair *pair, const struct gram_square *square, int64_t D,
                         double *gram)
{
    double *at = gram + (pair->column + square->j) * D + pair->row + square->i;
    for (int64_t j = 0; j < square->columns; j++) {
        int64_t below = pair->same ? square->j + j + 1 - square->i : 0;
        for (int64_t i = below > 0 ? below : 0; i < square->rows; i++)
            at[j * D + i] += square->value[i][j];
    }
}

void gram_pair_add(const struct gram_shift *shift, const struct gram_pair *pair,
                   gram_fill_square *fill, const void *context, double *gram)
{
    struct gram_square square;
    int64_t C = shift->C, D = shift->shape->R * shift->shape->S * C;
    bool lower = pair->same && !shift->all;
    for (square.i = 0; square.i < C; square.i += GRAM_SQUARE)
        for (square.j = 0; square.j < (lower ? square.i + 1 : C); square.j += GRAM_SQUARE) {
            square.rows = least(GRAM_SQUARE, C - square.i);
            square.columns = least(GRAM_SQUARE, C - square.j);
            fill(context, pair, &square);
            add_square(pair, &square, lower, D, gram);
            if (!shift->all)
                add_mirrored(pair, &square, D, gram);
        }
}
