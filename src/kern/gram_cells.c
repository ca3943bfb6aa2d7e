/* Products of channels that do not meet (gram_cells.h). A vector is some channels of a place. The
 * segments of rows and of columns of all distances are cut once more, into cells: rectangles of
 * places at which the products with the same other places are wanted, up to 13 of them for a 3 × 3
 * filter. All are made while the place is in a register; and as a place is read, the same one of
 * the maps that follow is asked for. Filters of three columns have a faster way (gram_threes.h). */

#include "gram_cells.h"
#include "gram_sizes.h"
#include "gram_threes.h"
#include "simd.h"

enum {
    LANES = GRAM_CELL_LANES,
    DISTANCES = 13,    /* whose sums stay in registers of LANES floats, ... */
    DISTANCES_AVX = 5, /* ... and in 16 of half of them */
    CELLS = 32,        /* listed at once; a 3 × 3 filter has 25 */
    PART = 256,        /* places whose sums are in registers */
    SLIM = 4,          /* counts of an outer loop to those of the inner one, from which on they are
                          swapped: short loops cost more than far steps */
    NONE = -1,
};

/* LANES floats at any address. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Places of a rectangle in which the products with up to DISTANCES other places are wanted; steps
 * and distances in floats. */
struct cell {
    int64_t first;               /* from the start of a map */
    struct gram_span row, place; /* loops over them */
    int64_t distance[DISTANCES]; /* to the other places */
    int64_t out[DISTANCES];      /* from the start of the products */
    int count;
    int64_t own; /* where the sums of the places themselves go, if they are wanted, or NONE */
};

/* Some of the places of a cell, and one group's sums. */
struct part {
    const float *left, *right;
    int64_t ahead; /* from each place to one that is read next */
    struct gram_span outer, middle, inner;
    float *products, *sums; /* sums: or NULL */
};

/* A function for a constant count, whose sums stay in registers; a macro, for GCC splits vectors of
 * functions that are inlined into clones before it knows the clone's instruction set. */
#define DEFINE_ADD_CELL(name, COUNT)                                                               \
    KERN_CLONES static void name(const struct cell *cell, const struct part *part)                 \
    {                                                                                              \
        const struct gram_span inner = part->inner;                                                \
        lanes own = {0}, sum[COUNT];                                                               \
        const float *right[COUNT];                                                                 \
        int64_t ahead = part->ahead;                                                               \
        for (int i = 0; i < COUNT; i++)                                                            \
            sum[i] = (lanes){0};                                                                   \
        for (int64_t o = 0; o < part->outer.count; o++)                                            \
            for (int64_t m = 0; m < part->middle.count; m++) {                                     \
                int64_t at = o * part->outer.step + m * part->middle.step;                         \
                const float *left = part->left + at;                                               \
                for (int i = 0; i < COUNT; i++)                                                    \
                    right[i] = part->right + at + cell->distance[i];                               \
                for (int64_t n = 0, w = 0; n < inner.count; n++, w += inner.step) {                \
                    lanes value = *(const lanes *)(left + w);                                      \
                    own += value;                                                                  \
                    __builtin_prefetch(left + w + ahead, 0, 2);                                    \
                    for (int i = 0; i < COUNT; i++)                                                \
                        sum[i] += value * *(const lanes *)(right[i] + w);                          \
                }                                                                                  \
            }                                                                                      \
        for (int i = 0; i < COUNT; i++)                                                            \
            *(lanes *)(part->products + cell->out[i]) += sum[i];                                   \
        if (part->sums != NULL)                                                                    \
            *(lanes *)part->sums += own;                                                           \
    }

DEFINE_ADD_CELL(add_distances_1, 1)
DEFINE_ADD_CELL(add_distances_2, 2)
DEFINE_ADD_CELL(add_distances_3, 3)
DEFINE_ADD_CELL(add_distances_4, 4)
DEFINE_ADD_CELL(add_distances_5, 5)
DEFINE_ADD_CELL(add_distances_6, 6)
DEFINE_ADD_CELL(add_distances_7, 7)
DEFINE_ADD_CELL(add_distances_8, 8)
DEFINE_ADD_CELL(add_distances_9, 9)
DEFINE_ADD_CELL(add_distances_10, 10)
DEFINE_ADD_CELL(add_distances_11, 11)
DEFINE_ADD_CELL(add_distances_12, 12)
DEFINE_ADD_CELL(add_distances_13, 13)

typedef void add_distances(const struct cell *cell, const struct part *part);
static add_distances *const counts[DISTANCES] = {
    add_distances_1,  add_distances_2,  add_distances_3,  add_distances_4, add_distances_5,
    add_distances_6,  add_distances_7,  add_distances_8,  add_distances_9, add_distances_10,
    add_distances_11, add_distances_12, add_distances_13,
};

/* Some hundred places at a time: sums of float32 over thousands of squares would lose as many bits
 * again. */
static void add_cell(const struct cell *cell, const struct part *all)
{
    int64_t n_step = least(all->inner.count, PART);
    int64_t m_step = least(all->middle.count, PART / n_step);
    int64_t o_step = least(all->outer.count, PART / (n_step * m_step));
    struct part part = *all;
    for (int64_t o = 0; o < all->outer.count; o += o_step)
        for (int64_t m = 0; m < all->middle.count; m += m_step)
            for (int64_t n = 0; n < all->inner.count; n += n_step) {
                int64_t at = o * all->outer.step + m * all->middle.step + n * all->inner.step;
                part.left = all->left + at;
                part.right = all->right + at;
                part.outer.count = least(o_step, all->outer.count - o);
                part.middle.count = least(m_step, all->middle.count - m);
                part.inner.count = least(n_step, all->inner.count - n);
                counts[cell->count - 1](cell, &part);
            }
}

/* What cells are listed for. */
struct job {
    const struct gram_shift *shift;
    const struct gram_cells *maps;
    int distances; /* at once */
    struct cell cells[CELLS];
    int count;
    bool has_threes; /* whole lines are taken instead of cells */
    struct gram_threes threes;
};

/* Takes the outer loop inside if it is much longer. */
static void swap_if_longer(struct gram_span *span, struct gram_span *inner)
{
    struct gram_span longer = *span;
    if (inner->count >= longer.count / SLIM)
        return;
    *span = *inner;
    *inner = longer;
}

/* Floats from a place to the same one of the maps that are read next; they may be anywhere. */
static int64_t ahead_of(const struct gram_cells *maps)
{
    return (int64_t)((uintptr_t)maps->ahead - (uintptr_t)maps->left) / (int64_t)sizeof(float);
}

/* A cell of one group. */
static void add_group(struct job *job, int64_t group, const struct cell *cell)
{
    const struct gram_cells *maps = job->maps;
    int64_t first = group * maps->group_step + cell->first, out = group * maps->products_step;
    struct part part = {
        .left = maps->left + first,
        .right = maps->right + first,
        .ahead = cell->own != NONE ? ahead_of(maps) : 0,
        .outer = {maps->planes, job->shift->plane},
        .middle = cell->row,
        .inner = cell->place,
        .products = maps->products + out,
        .sums = cell->own != NONE ? maps->sums + out + cell->own : NULL,
    };
    swap_if_longer(&part.middle, &part.inner);
    swap_if_longer(&part.outer, &part.inner);
    add_cell(cell, &part);
}

/* All cells of the list, of all groups. */
static void add_listed(struct job *job)
{
    for (int64_t group = 0; group < job->maps->groups; group++)
        for (int i = 0; i < job->count; i++)
            add_group(job, group, &job->cells[i]);
    job->count = 0;
}

static void push(struct job *job, struct cell *cell)
{
    if (cell->count == 0)
        return;
    job->cells[job->count++] = *cell;
    if (job->count == CELLS)
        add_listed(job);
    cell->count = 0;
    cell->own = NONE;
}

/* Lists a rectangle, given without distances, from `row` and `column` on with all of them. */
static void list_cell(struct job *job, struct cell *cell, int64_t row, int64_t column)
{
    const struct gram_shift *shift = job->shift;
    const struct conv_shape *shape = shift->shape;
    cell->first = (row - shift->h) * shift->line + (column - shift->w) * shape->C;
    for (int64_t a = 0; a < shift->rows.count; a++) {
        const struct gram_segment *down = &shift->rows.segment[a];
        if (!gram_segment_covers(down, shape->stride_h, row))
            continue;
        for (int64_t b = 0; b < shift->columns.count; b++) {
            const struct gram_segment *right = &shift->columns.segment[b];
            if (!gram_segment_covers(right, shape->stride_w, column) ||
                !gram_shift_makes(shift, down, right))
                continue;
            if (down->distance == 0 && right->distance == 0)
                cell->own = (a * shift->columns.count + b) * LANES;
            cell->distance[cell->count] = down->distance * shift->line + right->distance * shape->C;
            cell->out[cell->count++] = (a * shift->columns.count + b) * LANES;
            if (cell->count == job->distances)
                push(job, cell);
        }
    }
    push(job, cell);
}

/* Some lines of all groups. */
static void add_lines(struct job *job, const struct gram_threes_part *lines)
{
    const struct gram_cells *maps = job->maps;
    for (int64_t group = 0; group < maps->groups; group++) {
        struct gram_threes_part part = *lines;
        part.left += group * maps->group_step;
        part.right += group * maps->group_step;
        for (int k = 0; k < part.distances; k++)
            part.products[k] += group * maps->products_step;
        if (part.sums != NULL) {
            part.sums += group * maps->products_step;
            part.ahead = ahead_of(maps);
        }
        gram_threes_add(&job->threes, &part);
    }
}

/* Whole lines with all others, up to GRAM_THREES_ROWS at once; a line with itself comes first. */
static void add_row(struct job *job, int64_t row, int64_t rows)
{
    const struct gram_shift *shift = job->shift;
    const struct gram_cells *maps = job->maps;
    int64_t first = (row - shift->h) * shift->line, matrices = shift->columns.count * LANES;
    struct gram_threes_part part = {
        .left = maps->left + first,
        .right = maps->right + first,
        .planes = {maps->planes, shift->plane},
        .lines = {rows, shift->shape->stride_h * shift->line},
    };
    for (int own = 1; own >= 0; own--)
        for (int64_t a = 0; a < shift->rows.count; a++) {
            const struct gram_segment *down = &shift->rows.segment[a];
            if (!gram_segment_covers(down, shift->shape->stride_h, row) ||
                (down->distance == 0) != own)
                continue;
            part.distance[part.distances] = down->distance * shift->line;
            part.products[part.distances++] = maps->products + a * matrices;
            if (own) {
                part.sums = maps->sums + a * matrices;
                part.half = !shift->all;
            }
            if (part.distances < GRAM_THREES_ROWS)
                continue;
            add_lines(job, &part);
            part.distances = 0;
            part.sums = NULL;
            part.half = false;
        }
    if (part.distances > 0)
        add_lines(job, &part);
}

static void list_row(struct job *job, int64_t row, int64_t rows)
{
    if (job->has_threes) {
        add_row(job, row, rows);
        return;
    }
    const struct gram_shift *shift = job->shift;
    int64_t stride = shift->shape->stride_w, cut, next;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->columns, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->columns, stride, cut, &next); cut = next) {
                struct cell cell = {
                    .row = {rows, shift->shape->stride_h * shift->line},
                    .place = {(next - cut) / stride, stride * shift->shape->C},
                    .own = NONE,
                };
                list_cell(job, &cell, row, cut);
            }
}

/* Each sum is made alone: how many are at once changes no bit. */
static int distances_at_once(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? DISTANCES : DISTANCES_AVX;
#else
    return DISTANCES_AVX;
#endif
}

void gram_cells_add(const struct gram_shift *shift, const struct gram_cells *maps)
{
    struct job job;
    job.shift = shift;
    job.maps = maps;
    job.distances = distances_at_once();
    job.count = 0;
    job.has_threes = gram_threes_match(shift, &job.threes);
    int64_t stride = shift->shape->stride_h, cut, next;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->rows, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->rows, stride, cut, &next); cut = next)
                list_row(&job, cut, (next - cut) / stride);
    add_listed(&job);
}
