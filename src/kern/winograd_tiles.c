/* Winograd transforms of tiles (winograd_tiles.h). All cells of a tile at once would not fit into
 * the registers: lines that have sums in common are taken together, straight from the map; reading
 * it twice takes less time than storing what lies between the two axes. */

#include "winograd_tiles.h"

#include "sizes.h"
#include "winograd_lanes.h"

#include <string.h>

enum {
    TILE = WINOGRAD_TILE,
    TAPS = WINOGRAD_TAPS,
    SIDE = WINOGRAD_SIDE,
};

/* ---- places ---- */

/* Where a tile's corner is. */
struct place {
    int64_t n, h, w;
};

static struct place place_of(const struct winograd_map *map, int64_t tile)
{
    int64_t line = tile / map->tiles_w;
    return (struct place){
        .n = line / map->tiles_h,
        .h = line % map->tiles_h * TILE - map->before_h,
        .w = tile % map->tiles_w * TILE - map->before_w,
    };
}

static inline void step_place(const struct winograd_map *map, struct place *at)
{
    at->w += TILE;
    if (at->w + map->before_w < map->tiles_w * TILE)
        return;
    at->w = -map->before_w;
    at->h += TILE;
    if (at->h + map->before_h < map->tiles_h * TILE)
        return;
    at->h = -map->before_h;
    at->n++;
}

/* Places whose lines are `line` elements apart, and themselves `step`. */
struct square {
    const float *corner;
    int64_t line, step;
};

/* `side` × `side` places: in the map, or, where some are outside, a copy with zeros. */
static struct square square_of(const struct winograd_map *map, struct place at, const float *values,
                               int64_t side, float *copy)
{
    int64_t C = map->C, line = map->W * C;
    const float *sample = values + at.n * map->H * line;
    if (at.h >= 0 && at.w >= 0 && at.h + side <= map->H && at.w + side <= map->W)
        return (struct square){sample + at.h * line + at.w * C, line, C};
    int64_t begin = at.w < 0 ? -at.w : 0, end = least(side, map->W - at.w);
    memset(copy, 0, (size_t)(side * side * C) * sizeof(*copy));
    for (int64_t r = 0; r < side; r++)
        if (at.h + r >= 0 && at.h + r < map->H && begin < end)
            memcpy(copy + (r * side + begin) * C, sample + (at.h + r) * line + (at.w + begin) * C,
                   (size_t)((end - begin) * C) * sizeof(*copy));
    return (struct square){copy, side * C, C};
}

CPU_AVX512 LANES_INLINE lanes load_place(const struct square *square, int r, int s)
{
    return lanes_load(square->corner + r * square->line + s * square->step);
}

/* ---- inputs ---- */

/* Bᵀ along a line of cells. */
CPU_AVX512 LANES_INLINE void store_cells(const lanes half[SIDE], int line, float *out,
                                         int64_t plane)
{
    lanes done[SIDE];
    winograd_input(half, done);
    for (int s = 0; s < SIDE; s++)
        lanes_store(done[s], out + (line * SIDE + s) * plane);
}

/* Line 0 of cells, or line 5. */
CPU_AVX512 LANES_INLINE void take_end(const struct square *square, bool last, float *out,
                                      int64_t plane)
{
    lanes half[SIDE];
    int first = last ? 1 : 0;
    for (int s = 0; s < SIDE; s++)
        half[s] = winograd_input_end(load_place(square, first, s), load_place(square, first + 2, s),
                                     load_place(square, first + 4, s));
    store_cells(half, last ? 5 : 0, out, plane);
}

/* Lines 1 and 2 of cells, or 3 and 4. */
CPU_AVX512 LANES_INLINE void take_pair(const struct square *square, bool far, float *out,
                                       int64_t plane)
{
    lanes upper[SIDE], lower[SIDE], column[4];
    for (int s = 0; s < SIDE; s++) {
        for (int r = 0; r < 4; r++)
            column[r] = load_place(square, r + 1, s);
        if (far)
            winograd_input_far(column, &upper[s], &lower[s]);
        else
            winograd_input_near(column, &upper[s], &lower[s]);
    }
    store_cells(upper, far ? 3 : 1, out, plane);
    store_cells(lower, far ? 4 : 2, out, plane);
}

CPU_AVX512 void winograd_take_inputs(const struct winograd_map *map, const float *x,
                                     const struct winograd_part *part)
{
    struct place at = place_of(map, part->first);
    float *out = part->planes;
    for (int64_t tile = 0; tile < part->count; tile++, step_place(map, &at)) {
        struct square square = square_of(map, at, x, SIDE, part->copy);
        for (int64_t c = 0; c < map->C; c += LANES, square.corner += LANES, out += LANES) {
            take_end(&square, false, out, part->plane);
            take_pair(&square, false, out, part->plane);
            take_pair(&square, true, out, part->plane);
            take_end(&square, true, out, part->plane);
        }
    }
}

/* ---- gradients of outputs ---- */

CPU_AVX512 LANES_INLINE void take_gradient(const struct square *square, float *out, int64_t plane)
{
    lanes half[SIDE][TILE], column[TILE], done[SIDE];
    for (int s = 0; s < TILE; s++) {
        for (int r = 0; r < TILE; r++)
            column[r] = load_place(square, r, s);
        winograd_output_adjoint(column, done);
        for (int r = 0; r < SIDE; r++)
            half[r][s] = done[r];
    }
    for (int r = 0; r < SIDE; r++) {
        winograd_output_adjoint(half[r], done);
        for (int s = 0; s < SIDE; s++)
            lanes_store(done[s], out + (r * SIDE + s) * plane);
    }
}

CPU_AVX512 void winograd_take_gradients(const struct winograd_map *map, const float *grad_y,
                                        const struct winograd_part *part)
{
    struct place at = place_of(map, part->first);
    float *out = part->planes;
    for (int64_t tile = 0; tile < part->count; tile++, step_place(map, &at)) {
        struct square square = square_of(map, at, grad_y, TILE, part->copy);
        for (int64_t c = 0; c < map->C; c += LANES, square.corner += LANES, out += LANES)
            take_gradient(&square, out, part->plane);
    }
}

/* ---- outputs ---- */

/* Where a tile's channels go, and how much of it lies on the map. */
struct target {
    float *corner;
    int64_t line, step, lines, columns;
    lanes bias;
};

CPU_AVX512 LANES_INLINE void store_place(lanes value, const struct winograd_finish *finish,
                                         float *to)
{
    if (finish->added)
        value += lanes_load(to);
    if (finish->rectified)
        value = lanes_rectify(value);
    lanes_store(value, to);
}

/* Aᵀ along a line of a tile. Each place is named, and not counted, so that they stay in
 * registers. */
CPU_AVX512 LANES_INLINE void store_places(const lanes half[SIDE], int line,
                                          const struct target *target,
                                          const struct winograd_finish *finish)
{
    if (line >= target->lines)
        return;
    lanes done[TILE];
    float *to = target->corner + line * target->line;
    winograd_output(half, done);
    store_place(done[0] + target->bias, finish, to);
    if (target->columns > 1)
        store_place(done[1] + target->bias, finish, to + target->step);
    if (target->columns > 2)
        store_place(done[2] + target->bias, finish, to + 2 * target->step);
    if (target->columns > 3)
        store_place(done[3] + target->bias, finish, to + 3 * target->step);
}

/* Lines 0 and 2 of a tile, or 1 and 3. */
CPU_AVX512 LANES_INLINE void give_pair(const float *in, int64_t plane, int first,
                                       const struct target *target,
                                       const struct winograd_finish *finish)
{
    lanes upper[SIDE], lower[SIDE], column[5];
    for (int s = 0; s < SIDE; s++) {
        for (int r = 0; r < 5; r++)
            column[r] = lanes_load(in + ((r + first) * SIDE + s) * plane);
        if (first == 0)
            winograd_output_even(column, &upper[s], &lower[s]);
        else
            winograd_output_odd(column, &upper[s], &lower[s]);
    }
    store_places(upper, first, target, finish);
    store_places(lower, first + 2, target, finish);
}

CPU_AVX512 void winograd_give_outputs(const struct winograd_map *map,
                                      const struct winograd_part *part,
                                      const struct winograd_finish *finish, float *y)
{
    struct place at = place_of(map, part->first);
    const float *in = part->planes;
    for (int64_t tile = 0; tile < part->count; tile++, step_place(map, &at)) {
        struct target target = {
            .corner = y + ((at.n * map->H + at.h) * map->W + at.w) * map->C,
            .line = map->W * map->C,
            .step = map->C,
            .lines = least(TILE, map->H - at.h),
            .columns = least(TILE, map->W - at.w),
        };
        for (int64_t c = 0; c < map->C; c += LANES, in += LANES, target.corner += LANES) {
            target.bias = lanes_load(finish->bias + c);
            give_pair(in, part->plane, 0, &target, finish);
            give_pair(in, part->plane, 1, &target, finish);
        }
    }
}

/* ---- filters ---- */

CPU_AVX512 void winograd_take_filters(const float *w, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i += LANES) {
        lanes half[SIDE][TAPS], column[TAPS], done[SIDE];
        for (int s = 0; s < TAPS; s++) {
            for (int r = 0; r < TAPS; r++)
                column[r] = lanes_load(w + (r * TAPS + s) * count + i);
            winograd_filter(column, done);
            for (int r = 0; r < SIDE; r++)
                half[r][s] = done[r];
        }
        for (int r = 0; r < SIDE; r++) {
            winograd_filter(half[r], done);
            for (int s = 0; s < SIDE; s++)
                lanes_store(done[s], out + (r * SIDE + s) * count + i);
        }
    }
}

CPU_AVX512 void winograd_give_filters(const float *u, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i += LANES) {
        lanes half[TAPS][SIDE], column[SIDE], done[TAPS];
        for (int s = 0; s < SIDE; s++) {
            for (int r = 0; r < SIDE; r++)
                column[r] = lanes_load(u + (r * SIDE + s) * count + i);
            winograd_filter_adjoint(column, done);
            for (int r = 0; r < TAPS; r++)
                half[r][s] = done[r];
        }
        for (int r = 0; r < TAPS; r++) {
            winograd_filter_adjoint(half[r], done);
            for (int s = 0; s < TAPS; s++)
                lanes_store(done[s], out + (r * TAPS + s) * count + i);
        }
    }
}
