#pragma once

/* The products behind gram.h and gram_codes.h, once for each instruction set. A lane is four bytes:
 * a float, or a quad: the codes of a column at four positions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRAM_QUAD = 4,        /* positions side by side in a lane of codes, bytes of any lane */
    GRAM_ROWS = 8,        /* columns that a version may read in steps of: on the left, ... */
    GRAM_LANES = 16,      /* ... and on the right */
    GRAM_SHIFT = 128,     /* of the codes on the right, so that they fit a signed byte */
    GRAM_BEYOND = 64 * 3, /* bytes behind an operand that may be read */
};

/* `count` steps of so many bytes. */
struct gram_span {
    int64_t count, step;
};

/* Columns of two operands at the positions of three nested loops. A column is a lane of each
 * position, neighbours are neighbours in memory. */
struct gram_operands {
    const uint8_t *left, *right; /* floats, or codes */
    int64_t columns;             /* of either */
    bool lower;                  /* only j ≤ i is wanted, of a matrix that is symmetric */
    void *sums;                  /* with `lower`, where sums of columns go, too; or NULL */
    struct gram_span outer, middle, inner;
};

/* Bytes of a position from the first one. */
static inline int64_t gram_position_at(const struct gram_operands *at, int64_t outer,
                                       int64_t middle, int64_t inner)
{
    return outer * at->outer.step + middle * at->middle.step + inner * at->inner.step;
}

/* For i, j < columns, over all positions,
 *
 *     products[i][j] += Σ left_i right_j, of codes Σ left_i (right_j − GRAM_SHIFT)
 *
 * with rows `row` lanes apart: int32_t of codes, whose sums may not exceed 32 bits, or float. There
 * `columns` is rounded up to GRAM_ROWS i and GRAM_LANES j: what is beyond, or above the diagonal of
 * `lower`, is overwritten at will. And sums[j] += Σ right_j, codes as they are, for the same j. */
typedef void gram_add_products(const struct gram_operands *operands, void *products, int64_t row);

/* sums[d] += Σ codes[quad][d], all four of each, for d < D rounded up to GRAM_LANES; quads are
 * `stride` bytes apart. */
typedef void gram_add_sums(const uint8_t *codes, int64_t quads, int64_t stride, int64_t D,
                           int32_t *sums);

/* The same for maps with samples side by side (gram_tiles.h). */
struct gram_tile;
typedef void gram_add_tile(const struct gram_tile *tile);

struct gram_version {
    const char *name;
    bool (*runs_here)(void);
    gram_add_products *add_codes; /* exact, hence the same in all versions */
    gram_add_sums *add_sums;
    gram_add_products *add_floats;
    gram_add_tile *add_code_tile, *add_float_tile;
    bool four_at_once; /* an instruction makes all products of two quads, and adds them */
};

/* The fastest first; the last one runs everywhere. */
extern const struct gram_version gram_versions[];
extern const int gram_version_count;

/* The first that runs here. */
const struct gram_version *gram_version_here(void);
