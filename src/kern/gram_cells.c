/* Products of channels that do not meet (gram_cells.h). A vector is some channels of a place. The
 * segments of rows and of columns of all distances are cut once more, into cells: rectangles of
 * places at which the products with the same other places are wanted, up to 13 of them for a 3 × 3
 * filter. All are made while the place is in a register. Some filters have a faster way, for whole
 * lines (gram_lines.h). What is to be done is listed once, and done for one group after the other,
 * whose places stay in the first-level cache meanwhile; and as a vector is read, one of those that
 * follow in memory is asked for. */

#include "gram_cells.h"

#include "cpu.h"
#include "gram_lines.h"
#include "gram_tiles.h"
#include "simd.h"
#include "sizes.h"

enum {
    LANES = GRAM_CELL_LANES,
    DISTANCES = 13,    /* whose sums stay in registers of LANES floats, ... */
    DISTANCES_AVX = 5, /* ... and in 16 of half of them */
    LISTED = 32,       /* cells, or parts of lines, at once; a 3 × 3 filter has 25 cells */
    PART = 256,        /* places whose sums are in registers */
    SLIM = 4,          /* counts of an outer loop to those of the inner one, from which on they are
                          swapped: short loops cost more than far steps */
    NONE = -1,
};

/* LANES floats at any address. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Places of a rectangle in which the products with up to DISTANCES other places are wanted; steps
 * and distances in bytes. */
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
    const uint8_t *left, *right;
    uintptr_t ahead; /* what is asked for with the first place */
    struct gram_span outer, middle, inner;
    uint8_t *products, *sums; /* sums: or NULL */
};

/* A function for a constant count, whose sums stay in registers; a macro, for GCC splits vectors of
 * functions that are inlined into clones before it knows the clone's instruction set. */
#define DEFINE_ADD_CELL(name, COUNT)                                                               \
    KERN_CLONES static void name(const struct cell *cell, const struct part *part)                 \
    {                                                                                              \
        const struct gram_span inner = part->inner;                                                \
        lanes own = {0}, sum[COUNT];                                                               \
        const uint8_t *right[COUNT];                                                               \
        uintptr_t ahead = part->ahead;                                                             \
        for (int i = 0; i < COUNT; i++)                                                            \
            sum[i] = (lanes){0};                                                                   \
        for (int64_t o = 0; o < part->outer.count; o++)                                            \
            for (int64_t m = 0; m < part->middle.count; m++) {                                     \
                int64_t at = o * part->outer.step + m * part->middle.step;                         \
                const uint8_t *left = part->left + at;                                             \
                for (int i = 0; i < COUNT; i++)                                                    \
                    right[i] = part->right + at + cell->distance[i];                               \
                for (int64_t n = 0, w = 0; n < inner.count; n++, w += inner.step) {                \
                    lanes value = *(const lanes *)(const void *)(left + w);                        \
                    own += value;                                                                  \
                    if (part->sums != NULL)                                                        \
                        __builtin_prefetch((const void *)ahead, 0, 2);                             \
                    ahead += sizeof(lanes);                                                        \
                    for (int i = 0; i < COUNT; i++)                                                \
                        sum[i] += value * *(const lanes *)(const void *)(right[i] + w);            \
                }                                                                                  \
            }                                                                                      \
        for (int i = 0; i < COUNT; i++)                                                            \
            *(lanes *)(void *)(part->products + cell->out[i]) += sum[i];                           \
        if (part->sums != NULL)                                                                    \
            *(lanes *)(void *)part->sums += own;                                                   \
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

/* The same of quads. */
static void add_quads(gram_add_tile *add, const struct cell *cell, const struct part *part)
{
    struct gram_tile tile = {
        .left = part->left,
        .right = part->right,
        .rows = 1,
        .count = cell->count,
        .outer = part->outer,
        .middle = part->middle,
        .inner = part->inner,
    };
    for (int i = 0; i < GRAM_TILE_READ; i++)
        tile.distance[i] = cell->distance[0];
    for (int i = 0; i < cell->count; i++) {
        tile.distance[i] = cell->distance[i];
        tile.out[i] = part->products + cell->out[i];
    }
    add(&tile);
}

static int64_t places_of(const struct part *part)
{
    return part->outer.count * part->middle.count * part->inner.count;
}

/* Some hundred places at a time: sums of float32 over thousands of squares would lose as many bits
 * again. */
static void add_floats(const struct cell *cell, const struct part *all)
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
                part.ahead += (uintptr_t)places_of(&part) * sizeof(lanes);
            }
}

/* What is listed. */
struct job {
    const struct gram_shift *shift;
    const struct gram_cells *maps;
    int64_t place, line, plane; /* bytes from one to the next */
    int distances;              /* of a cell, at once */
    bool has_lines;             /* whole lines are taken instead of cells */
    int count;
    struct gram_lines lines;
    union {
        struct cell cell;
        struct gram_lines_part part; /* of the first group */
    } listed[LISTED];
    uintptr_t ahead;
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

/* A cell of one group. */
static void add_cell(struct job *job, int64_t group, const struct cell *cell)
{
    const struct gram_cells *maps = job->maps;
    int64_t first = group * maps->group_step + cell->first, out = group * maps->products_step;
    bool own = cell->own != NONE && maps->sums != NULL;
    struct part part = {
        .left = maps->left + first,
        .right = maps->right + first,
        .ahead = job->ahead,
        .outer = {maps->planes, job->plane},
        .middle = cell->row,
        .inner = cell->place,
        .products = maps->products + out,
        .sums = own ? maps->sums + out + cell->own : NULL,
    };
    swap_if_longer(&part.middle, &part.inner);
    swap_if_longer(&part.outer, &part.inner);
    if (maps->coded != NULL)
        add_quads(maps->coded->add_code_tile, cell, &part);
    else
        add_floats(cell, &part);
    job->ahead += own ? (uintptr_t)places_of(&part) * GRAM_VECTOR : 0;
}

/* Some lines of one group. */
static void add_lines(struct job *job, int64_t group, const struct gram_lines_part *lines)
{
    const struct gram_cells *maps = job->maps;
    struct gram_lines_part part = *lines;
    part.left += group * maps->group_step;
    part.right += group * maps->group_step;
    part.ahead = job->ahead;
    for (int k = 0; k < part.distances; k++)
        part.products[k] += group * maps->products_step;
    if (part.sums != NULL) {
        part.sums += group * maps->products_step;
        job->ahead +=
            (uintptr_t)(part.planes.count * part.lines.count * job->lines.width) * GRAM_VECTOR;
    }
    job->lines.add(&job->lines, &part);
}

/* All that is listed, of all groups. */
static void add_listed(struct job *job)
{
    for (int64_t group = 0; group < job->maps->groups; group++)
        for (int i = 0; i < job->count; i++)
            if (job->has_lines)
                add_lines(job, group, &job->listed[i].part);
            else
                add_cell(job, group, &job->listed[i].cell);
    job->count = 0;
}

static void push_cell(struct job *job, struct cell *cell)
{
    if (cell->count == 0)
        return;
    job->listed[job->count++].cell = *cell;
    if (job->count == LISTED)
        add_listed(job);
    cell->count = 0;
    cell->own = NONE;
}

static void push_part(struct job *job, struct gram_lines_part *part)
{
    if (part->distances == 0)
        return;
    job->listed[job->count++].part = *part;
    if (job->count == LISTED)
        add_listed(job);
    part->distances = 0;
    part->sums = NULL;
    part->half = false;
}

/* Lists a rectangle, given without distances, from `row` and `column` on with all of them. */
static void list_cell(struct job *job, struct cell *cell, int64_t row, int64_t column)
{
    const struct gram_shift *shift = job->shift;
    const struct conv_shape *shape = shift->shape;
    cell->first = (row - shift->h) * job->line + (column - shift->w) * job->place;
    for (int64_t a = 0; a < shift->rows.count; a++) {
        const struct gram_segment *down = &shift->rows.segment[a];
        if (!gram_segment_covers(down, shape->stride_h, row))
            continue;
        for (int64_t b = 0; b < shift->columns.count; b++) {
            const struct gram_segment *right = &shift->columns.segment[b];
            if (!gram_segment_covers(right, shape->stride_w, column) ||
                !gram_shift_makes(shift, down, right))
                continue;
            int64_t out = (a * shift->columns.count + b) * GRAM_VECTOR;
            if (down->distance == 0 && right->distance == 0)
                cell->own = out;
            cell->distance[cell->count] = down->distance * job->line + right->distance * job->place;
            cell->out[cell->count++] = out;
            if (cell->count == job->distances)
                push_cell(job, cell);
        }
    }
    push_cell(job, cell);
}

/* Lists some rows by cells. */
static void list_cells(struct job *job, int64_t row, int64_t rows)
{
    const struct gram_shift *shift = job->shift;
    int64_t stride = shift->shape->stride_w, cut, next;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->columns, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->columns, stride, cut, &next); cut = next) {
                struct cell cell = {
                    .row = {rows, shift->shape->stride_h * job->line},
                    .place = {(next - cut) / stride, stride * job->place},
                    .own = NONE,
                };
                list_cell(job, &cell, row, cut);
            }
}

/* Lists whole lines with all others, some distances at once; a line with itself comes first. */
static void list_lines(struct job *job, int64_t row, int64_t rows)
{
    const struct gram_shift *shift = job->shift;
    const struct gram_cells *maps = job->maps;
    int64_t first = (row - shift->h) * job->line, vectors = shift->columns.count * GRAM_VECTOR;
    struct gram_lines_part part = {
        .left = maps->left + first,
        .right = maps->right + first,
        .planes = {maps->planes, job->plane},
        .lines = {rows, shift->shape->stride_h * job->line},
    };
    for (int own = 1; own >= 0; own--)
        for (int64_t a = 0; a < shift->rows.count; a++) {
            const struct gram_segment *down = &shift->rows.segment[a];
            if (!gram_segment_covers(down, shift->shape->stride_h, row) ||
                (down->distance == 0) != own)
                continue;
            part.distance[part.distances] = down->distance * job->line;
            part.products[part.distances++] = maps->products + a * vectors;
            if (own) {
                part.sums = maps->sums != NULL ? maps->sums + a * vectors : NULL;
                part.half = !shift->all;
            }
            if (part.distances == job->lines.most)
                push_part(job, &part);
        }
    push_part(job, &part);
}

/* Rows cut … next, as far as they are wanted. */
static void list_rows(struct job *job, int64_t cut, int64_t next)
{
    const struct gram_cells *maps = job->maps;
    int64_t stride = job->shift->shape->stride_h, end = maps->first_row + maps->rows;
    int64_t skipped = cut < maps->first_row ? (maps->first_row - cut + stride - 1) / stride : 0;
    cut += skipped * stride;
    int64_t rows = (least(next, end) - cut + stride - 1) / stride;
    if (rows <= 0)
        return;
    if (job->has_lines)
        list_lines(job, cut, rows);
    else
        list_cells(job, cut, rows);
}

/* Each sum is made alone: how many are at once changes no bit. */
static int distances_at_once(void)
{
    return cpu_has_avx512() ? DISTANCES : DISTANCES_AVX;
}

void gram_cells_add(const struct gram_shift *shift, const struct gram_cells *maps)
{
    struct job job;
    job.shift = shift;
    job.maps = maps;
    job.place = shift->shape->C * maps->element;
    job.line = shift->line * maps->element;
    job.plane = shift->plane * maps->element;
    job.distances = maps->coded != NULL ? DISTANCES : distances_at_once();
    job.count = 0;
    job.ahead = maps->ahead;
    job.has_lines = (maps->coded == NULL || maps->coded->four_at_once) &&
                    gram_lines_match(shift, job.place, maps->coded != NULL, &job.lines) &&
                    job.lines.sums == (maps->sums != NULL);
    int64_t stride = shift->shape->stride_h, cut, next;
    for (int64_t phase = 0; phase < stride; phase++)
        if (gram_segments_next_cut(&shift->rows, stride, phase - stride, &cut))
            for (; gram_segments_next_cut(&shift->rows, stride, cut, &next); cut = next)
                list_rows(&job, cut, next);
    add_listed(&job);
}
