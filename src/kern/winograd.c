/* Winograd convolution (winograd.h): A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
 * Networks", arXiv 1509.09308, section 4.3.
 *
 *   y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ x B) ] A       for each tile, summed over the input channels
 *
 * A tile is 4 × 4 places of the output, which see 6 × 6 of the input. Each of the 36 cells is a
 * product of matrices, [tiles][C] · [C][K]; a part of the tiles is transformed, multiplied and
 * transformed back while it is in a cache:
 *
 *   x [6][6][C]    ─ Bᵀ x B ─>  from [36][tiles][C] ┐
 *   w [3][3][C][K] ─ G w Gᵀ ─>  filter [36][C][K]   ┴ · ─>  to [36][tiles][K] ─ Aᵀ · A ─>  y
 *
 * The gradient to x is the same with the filter turned around; that to the weights is the adjoint,
 * Gᵀ [ (A grad_y Aᵀ) ⊙ (Bᵀ x B) ] G, summed over the tiles.
 *
 * Largest error of 32 samples of random numbers, as a share of the root mean square: 2e-5 to 1e-4,
 * beside 1e-6 to 1e-5 of sums in the order of the definition. */

#include "winograd.h"

#include "cpu.h"
#include "sizes.h"
#include "winograd_lanes.h"
#include "winograd_product.h"
#include "winograd_tiles.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAPS = WINOGRAD_TAPS,
    CELLS = WINOGRAD_CELLS,
    PART_BYTES = 128 << 10, /* of both transformed operands: measured, 32 to 512 KiB */
    PART_STEP = 12,         /* tiles: a block of winograd_product.c */
};

struct winograd {
    struct conv_shape shape;
    int64_t part, plane; /* tiles at once, elements between planes */
    float *reordered;    /* [9][C][K] or [9][K][C] */
    float *filter;       /* [36][C][K] or [36][K][C] */
    float *from, *to;    /* [36][plane] */
    float *copy;         /* [36][max(C, K)] */
    float *zeros;        /* [max(C, K)] */
};

static int64_t tiles_along(int64_t extent)
{
    return (extent + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
}

static bool is_small_filter(const struct conv_shape *shape)
{
    return shape->R == TAPS && shape->S == TAPS && shape->G == 1 && shape->stride_h == 1 &&
           shape->stride_w == 1 && shape->dilation_h == 1 && shape->dilation_w == 1 &&
           shape->pad_top < TAPS && shape->pad_left < TAPS;
}

/* Whether at least half of what whole tiles would give is on the map. */
static bool fills_tiles(int64_t H, int64_t W)
{
    enum { PLACES = WINOGRAD_TILE * WINOGRAD_TILE };
    return 2 * H * W >= PLACES * tiles_along(H) * tiles_along(W);
}

bool winograd_takes(const struct conv_shape *shape)
{
    return is_small_filter(shape) && shape->C % LANES == 0 && shape->K % LANES == 0 &&
           fills_tiles(shape->OH, shape->OW) && fills_tiles(shape->H, shape->W) && cpu_has_avx512();
}

static float *create_floats(int64_t count)
{
    return aligned_alloc(64, (size_t)lines(count * (int64_t)sizeof(float)));
}

bool winograd_create(const struct conv_shape *shape, struct winograd **out_winograd,
                     struct error *err)
{
    struct winograd *at = calloc(1, sizeof(*at));
    if (at == NULL)
        return FAIL(err, E_MEMORY, "no memory for a convolution (%zu bytes)", sizeof(*at));
    int64_t C = shape->C, K = shape->K, most = C > K ? C : K;
    int64_t tile_bytes = (int64_t)sizeof(float) * CELLS * (C + K);
    at->shape = *shape;
    at->part = round_up(PART_BYTES / tile_bytes + 1, PART_STEP);
    at->plane = at->part * most + LANES; /* a line more, or all would share lines */
    at->reordered = create_floats(TAPS * TAPS * C * K);
    at->filter = create_floats(CELLS * C * K);
    at->from = create_floats(CELLS * at->plane);
    at->to = create_floats(CELLS * at->plane);
    at->copy = create_floats(CELLS * most);
    at->zeros = create_floats(most);
    if (at->reordered == NULL || at->filter == NULL || at->from == NULL || at->to == NULL ||
        at->copy == NULL || at->zeros == NULL) {
        winograd_destroy(at);
        return FAIL(err, E_MEMORY, "no memory for a filter of 3 × 3 × %lld × %lld", (long long)C,
                    (long long)K);
    }
    memset(at->zeros, 0, (size_t)most * sizeof(*at->zeros));
    *out_winograd = at;
    return true;
}

void winograd_destroy(struct winograd *at)
{
    if (at == NULL)
        return;
    free(at->reordered);
    free(at->filter);
    free(at->from);
    free(at->to);
    free(at->copy);
    free(at->zeros);
    free(at);
}

/* A map, and the tiles of the outputs of a pass (tiled_h × tiled_w), which see it. */
static struct winograd_map map_of(int64_t H, int64_t W, int64_t C, int64_t tiled_h, int64_t tiled_w)
{
    return (struct winograd_map){
        .H = H,
        .W = W,
        .C = C,
        .tiles_h = tiles_along(tiled_h),
        .tiles_w = tiles_along(tiled_w),
    };
}

/* What the tiles of the output see of the input. */
static struct winograd_map map_of_inputs(const struct conv_shape *shape)
{
    struct winograd_map map = map_of(shape->H, shape->W, shape->C, shape->OH, shape->OW);
    map.before_h = shape->pad_top;
    map.before_w = shape->pad_left;
    return map;
}

static struct winograd_map map_of_outputs(const struct conv_shape *shape)
{
    return map_of(shape->OH, shape->OW, shape->K, shape->OH, shape->OW);
}

/* Part of the tiles of a map, from `first`. */
static struct winograd_part part_of(const struct winograd *at, const struct winograd_map *map,
                                    int64_t N, int64_t first, float *planes)
{
    return (struct winograd_part){
        .first = first,
        .count = least(at->part, N * map->tiles_h * map->tiles_w - first),
        .planes = planes,
        .plane = at->plane,
        .copy = at->copy,
    };
}

/* From one map to another with the filter that is there. */
static void run_pass(struct winograd *at, int64_t N, const struct winograd_map *from,
                     const float *in, const struct winograd_map *to,
                     const struct winograd_finish *finish, float *out)
{
    int64_t tiles = N * to->tiles_h * to->tiles_w;
    winograd_take_filters(at->reordered, from->C * to->C, at->filter);
    for (int64_t first = 0; first < tiles; first += at->part) {
        const struct winograd_part source = part_of(at, from, N, first, at->from);
        const struct winograd_part target = part_of(at, to, N, first, at->to);
        winograd_take_inputs(from, in, &source);
        for (int cell = 0; cell < CELLS; cell++)
            winograd_multiply(&(struct winograd_product){
                .left = at->from + cell * at->plane,
                .right = at->filter + cell * from->C * to->C,
                .out = at->to + cell * at->plane,
                .rows = source.count,
                .columns = to->C,
                .terms = from->C,
                .left_row = from->C,
                .left_step = 1,
                .right_step = to->C,
                .out_row = to->C,
            });
        winograd_give_outputs(to, &target, finish, out);
    }
}

/* [K][9][C] to [9][C][K]. */
static void transpose_filter(const struct conv_shape *shape, const float *w, float *out)
{
    int64_t C = shape->C, K = shape->K, taps = TAPS * TAPS;
    for (int64_t k = 0; k < K; k++)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t c = 0; c < C; c++)
                out[(tap * C + c) * K + k] = w[(k * taps + tap) * C + c];
}

/* [K][9][C] to [9][K][C], the last tap first. */
static void turn_filter(const struct conv_shape *shape, const float *w, float *out)
{
    int64_t C = shape->C, K = shape->K, taps = TAPS * TAPS;
    for (int64_t k = 0; k < K; k++)
        for (int64_t tap = 0; tap < taps; tap++)
            memcpy(out + ((taps - 1 - tap) * K + k) * C, w + (k * taps + tap) * C,
                   (size_t)C * sizeof(*out));
}

void winograd_forward(struct winograd *at, int64_t N, const float *x, const float *w,
                      const float *bias, bool relu, float *y)
{
    const struct conv_shape *shape = &at->shape;
    const struct winograd_map from = map_of_inputs(shape), to = map_of_outputs(shape);
    const struct winograd_finish finish = {
        .bias = bias != NULL ? bias : at->zeros,
        .rectified = relu,
    };
    transpose_filter(shape, w, at->reordered);
    run_pass(at, N, &from, x, &to, &finish, y);
}

void winograd_grad_x(struct winograd *at, int64_t N, const float *w, const float *grad_y,
                     bool fresh, float *grad_x)
{
    const struct conv_shape *shape = &at->shape;
    struct winograd_map from = map_of(shape->OH, shape->OW, shape->K, shape->H, shape->W);
    from.before_h = TAPS - 1 - shape->pad_top;
    from.before_w = TAPS - 1 - shape->pad_left;
    const struct winograd_map to = map_of(shape->H, shape->W, shape->C, shape->H, shape->W);
    const struct winograd_finish finish = {.bias = at->zeros, .added = !fresh};
    turn_filter(shape, w, at->reordered);
    run_pass(at, N, &from, grad_y, &to, &finish, grad_x);
}

void winograd_grad_w(struct winograd *at, int64_t N, const float *x, const float *grad_y,
                     float *grad_w)
{
    const struct conv_shape *shape = &at->shape;
    int64_t C = shape->C, K = shape->K, taps = TAPS * TAPS;
    const struct winograd_map from = map_of_inputs(shape), to = map_of_outputs(shape);
    int64_t tiles = N * to.tiles_h * to.tiles_w;
    for (int64_t first = 0; first < tiles; first += at->part) {
        const struct winograd_part source = part_of(at, &from, N, first, at->from);
        const struct winograd_part target = part_of(at, &to, N, first, at->to);
        winograd_take_inputs(&from, x, &source);
        winograd_take_gradients(&to, grad_y, &target);
        for (int cell = 0; cell < CELLS; cell++)
            winograd_multiply(&(struct winograd_product){
                .left = at->from + cell * at->plane,
                .right = at->to + cell * at->plane,
                .out = at->filter + cell * C * K,
                .rows = C,
                .columns = K,
                .terms = source.count,
                .left_row = 1,
                .left_step = C,
                .right_step = K,
                .out_row = K,
                .added = first > 0,
            });
    }
    winograd_give_filters(at->filter, C * K, at->reordered);
    for (int64_t k = 0; k < K; k++)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t c = 0; c < C; c++)
                grad_w[(k * taps + tap) * C + c] += at->reordered[(tap * C + c) * K + k];
}
