/* Products of three columns (gram_threes.h). Along a line the sums of all distances stay in
 * registers, and the ends of the line, where some of them are missing, are code of their own: no
 * product is made that nobody wants. With the padding that keeps the size, a pair of taps sees the
 * same places as any other of its distance, but for a tap with itself, which may miss the first
 * place, or the last one: these have sums of their own. With stride 2 and a padding that halves an
 * even size, even places are those of two taps and odd ones those of the third; the first place, an
 * even one, is seen by one of the two alone. If the padding is at the other end, a line is read
 * from right to left. Along wide lines a value is kept in a register for all places that meet it.
 */

#include "gram_threes.h"
#include "gram_sizes.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum {
    LANES = GRAM_CELL_LANES,
    WITHIN = 2,            /* places from one tap to another, at most */
    SPAN = 2 * WITHIN + 1, /* places that one meets */
    SLOTS = GRAM_THREES_SLOTS,
    ROWS = GRAM_THREES_ROWS,
    NEAR = WITHIN,    /* slots: of distances −2 … 2 from −2 on; of a place with itself, ... */
    FIRST = 5,        /* ... of the first place with itself, ... */
    LAST = 6,         /* ... and of the last one */
    ODD = 7,          /* stride 2: the same of odd places, −1 … 1 */
    SLOTS_WHOLE = 7,  /* with stride 1 ... */
    SLOTS_HALVED = 9, /* ... and 2 */
    PART = 256,       /* places whose sums are in registers */
    OWN = 3,
    WIDE = 20, /* places of a line from which on values are kept: 1.1 times as fast for 24, 1.2 for
                  112; 0.96 for 14, and 0.8 for 5, which have only ends */
};

/* What a slot sums up: places `first` and so many more, with those a distance away. */
struct slot {
    int64_t distance, first, count;
};

static struct slot slot_whole(int i, int64_t width)
{
    int64_t distance = i - NEAR, low = distance < 0 ? -distance : 0;
    if (i == FIRST || i == LAST)
        return (struct slot){0, i == FIRST ? 0 : width - 1, 1};
    if (i == NEAR)
        return (struct slot){0, 1, width - 2};
    return (struct slot){distance, low, width - (distance < 0 ? -distance : distance)};
}

/* Odd places take the slot of LAST and those behind it. */
static struct slot slot_halved(int i, int64_t width)
{
    int64_t half = width / 2;
    if (i == FIRST)
        return (struct slot){0, 0, 1};
    if (i > FIRST)
        return (struct slot){i - ODD, 1, half - (i > ODD)};
    return (struct slot){i - NEAR, i > NEAR ? 0 : 2, half - (i != NEAR + 1)};
}

/* The segment of columns that a slot is, or −1. */
static int64_t find_segment(const struct gram_shift *shift, struct slot slot, bool mirrored)
{
    int64_t stride = shift->shape->stride_w;
    if (mirrored) {
        slot.first = shift->W - 1 - (slot.first + (slot.count - 1) * stride);
        slot.distance = -slot.distance;
    }
    for (int64_t b = 0; b < shift->columns.count; b++) {
        const struct gram_segment *segment = &shift->columns.segment[b];
        if (segment->distance == slot.distance && segment->first - shift->w == slot.first &&
            segment->count == slot.count)
            return b;
    }
    return -1;
}

static bool match(const struct gram_shift *shift, bool mirrored, struct gram_threes *out)
{
    bool halved = shift->shape->stride_w == 2;
    int slots = halved ? SLOTS_HALVED : SLOTS_WHOLE;
    *out = (struct gram_threes){
        .first = mirrored ? (shift->W - 1) * shift->shape->C : 0,
        .step = mirrored ? -shift->shape->C : shift->shape->C,
        .width = shift->W,
        .halved = halved,
    };
    if (shift->columns.count != slots)
        return false;
    for (int i = 0; i < slots; i++) {
        int64_t b = find_segment(shift, halved ? slot_halved(i, shift->W) : slot_whole(i, shift->W),
                                 mirrored);
        if (b < 0)
            return false;
        out->slot[i] = b * LANES;
    }
    return true;
}

bool gram_threes_match(const struct gram_shift *shift, struct gram_threes *out)
{
    int64_t stride = shift->shape->stride_w;
    if (!__builtin_cpu_supports("avx512f") || shift->shape->S != 3 || stride > 2 ||
        shift->shape->dilation_w != 1 || shift->W < (stride == 2 ? 4 : 3) || shift->W % stride != 0)
        return false;
    return match(shift, false, out) || (stride == 2 && match(shift, true, out));
}

#define AVX512 __attribute__((target("avx512f")))
#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

/* The sums of some lines; `own` of places by themselves: of the middle, the first, and the last or
 * odd ones. */
struct sums {
    __m512 product[ROWS][SLOTS], own[OWN];
};

/* What a loop is made for; all of it constant. */
struct kind {
    int stride, distances;
    int half; /* of the first distance, which is 0: only the columns behind (1), before (−1) */
    bool own;
    bool wide; /* stride 1: lines of WIDE places and more */
};

struct line {
    const float *left, *right[ROWS];
    int64_t step;
    int64_t ahead; /* from each place to what is asked for meanwhile */
};

/* The products of a place that go to the distances low … high. */
struct place {
    int low, high;
    int middle, near; /* slots of distance 0: as the others count from, and of the place itself */
    int own;
};

AVX512 static INLINE void add_place(const struct kind kind, const struct place place,
                                    struct line *line, int64_t x, struct sums *sums)
{
    const float *left = line->left + x * line->step;
    __m512 value = _mm512_loadu_ps(left);
    if (kind.own) {
        sums->own[place.own] = _mm512_add_ps(sums->own[place.own], value);
        __builtin_prefetch(left + line->ahead, 0, 2);
    }
    for (int k = 0; k < kind.distances; k++)
        for (int d = -WITHIN; d <= WITHIN; d++) {
            bool half = kind.half != 0 && k == 0;
            int slot = d == 0 ? place.near : place.middle + d;
            if (d < place.low || d > place.high || (half && kind.half * d < 0))
                continue;
            __m512 other =
                half && d == 0 ? value : _mm512_loadu_ps(line->right[k] + (x + d) * line->step);
            sums->product[k][slot] = _mm512_fmadd_ps(value, other, sums->product[k][slot]);
        }
}

/* Places `x` … `end` − 1, of which all distances are wanted, SPAN at a time: what is right of one
 * is kept for those that follow, so that 13 products need 3 loads. Returns the first that is left.
 */
AVX512 static INLINE int64_t add_middle(const struct kind kind, struct line *line, int64_t x,
                                        int64_t end, struct sums *sums)
{
    __m512 kept[ROWS][SPAN];
    if (x + SPAN > end)
        return x;
    for (int k = 0; k < kind.distances; k++)
        UNROLL for (int d = -WITHIN; d < WITHIN; d++) kept[k][d + WITHIN] =
            _mm512_loadu_ps(line->right[k] + (x + d) * line->step);
    for (; x + SPAN <= end; x += SPAN)
        UNROLL for (int u = 0; u < SPAN; u++)
        {
            const float *left = line->left + (x + u) * line->step;
            UNROLL for (int k = 0; k < kind.distances; k++) kept[k][(u + 2 * WITHIN) % SPAN] =
                _mm512_loadu_ps(line->right[k] + (x + u + WITHIN) * line->step);
            __m512 value = kind.half != 0 ? kept[0][(u + WITHIN) % SPAN] : _mm512_loadu_ps(left);
            if (kind.own) {
                sums->own[0] = _mm512_add_ps(sums->own[0], value);
                __builtin_prefetch(left + line->ahead, 0, 2);
            }
            UNROLL for (int k = 0; k < kind.distances; k++)
                UNROLL for (int d = -WITHIN; d <= WITHIN; d++)
            {
                if (kind.half != 0 && k == 0 && kind.half * d < 0)
                    continue;
                sums->product[k][NEAR + d] =
                    _mm512_fmadd_ps(value, kept[k][(u + WITHIN + d) % SPAN],
                                    sums->product[k][NEAR + d]);
            }
        }
    return x;
}

AVX512 static INLINE void add_line_whole(const struct kind kind, struct line *line, int64_t width,
                                         struct sums *sums)
{
    add_place(kind, (struct place){0, 2, NEAR, FIRST, 1}, line, 0, sums);
    if (width == 3) {
        add_place(kind, (struct place){-1, 1, NEAR, NEAR, 0}, line, 1, sums);
    } else {
        add_place(kind, (struct place){-1, 2, NEAR, NEAR, 0}, line, 1, sums);
        int64_t x = kind.wide ? add_middle(kind, line, 2, width - 2, sums) : 2;
        for (; x < width - 2; x++)
            add_place(kind, (struct place){-2, 2, NEAR, NEAR, 0}, line, x, sums);
        add_place(kind, (struct place){-2, 1, NEAR, NEAR, 0}, line, width - 2, sums);
    }
    add_place(kind, (struct place){-2, 0, NEAR, LAST, 2}, line, width - 1, sums);
}

AVX512 static INLINE void add_line_halved(const struct kind kind, struct line *line, int64_t width,
                                          struct sums *sums)
{
    add_place(kind, (struct place){0, 2, NEAR, FIRST, 1}, line, 0, sums);
    add_place(kind, (struct place){-1, 1, ODD, ODD, 2}, line, 1, sums);
    for (int64_t x = 2; x < width - 2; x += 2) {
        add_place(kind, (struct place){-2, 2, NEAR, NEAR, 0}, line, x, sums);
        add_place(kind, (struct place){-1, 1, ODD, ODD, 2}, line, x + 1, sums);
    }
    add_place(kind, (struct place){-2, 1, NEAR, NEAR, 0}, line, width - 2, sums);
    add_place(kind, (struct place){-1, 0, ODD, ODD, 2}, line, width - 1, sums);
}

AVX512 static INLINE void add_to(__m512 sum, float *out)
{
    _mm512_storeu_ps(out, _mm512_add_ps(_mm512_loadu_ps(out), sum));
}

AVX512 static INLINE void add_sums(const struct kind kind, const struct gram_threes *threes,
                                   const struct gram_threes_part *part, const struct sums *sums)
{
    int slots = kind.stride == 2 ? SLOTS_HALVED : SLOTS_WHOLE;
    for (int k = 0; k < kind.distances; k++)
        for (int i = 0; i < slots; i++)
            add_to(sums->product[k][i], part->products[k] + threes->slot[i]);
    if (!kind.own)
        return;
    add_to(sums->own[0], part->sums + threes->slot[NEAR]);
    add_to(sums->own[1], part->sums + threes->slot[FIRST]);
    add_to(sums->own[2], part->sums + threes->slot[kind.stride == 2 ? ODD : LAST]);
}

AVX512 static INLINE void add_lines(const struct kind kind, const struct gram_threes *threes,
                                    const struct gram_threes_part *part)
{
    struct sums sums;
    for (int k = 0; k < ROWS; k++)
        for (int i = 0; i < SLOTS; i++)
            sums.product[k][i] = _mm512_setzero_ps();
    for (int i = 0; i < OWN; i++)
        sums.own[i] = _mm512_setzero_ps();
    struct line line = {.step = threes->step, .ahead = part->ahead};
    for (int64_t p = 0; p < part->planes.count; p++)
        for (int64_t l = 0; l < part->lines.count; l++) {
            int64_t at = threes->first + p * part->planes.step + l * part->lines.step;
            line.left = part->left + at;
            for (int k = 0; k < kind.distances; k++)
                line.right[k] = part->right + at + part->distance[k];
            if (kind.stride == 2)
                add_line_halved(kind, &line, threes->width, &sums);
            else
                add_line_whole(kind, &line, threes->width, &sums);
        }
    add_sums(kind, threes, part, &sums);
}

/* One function for each kind, its sums in registers. */
#define DEFINE_ADD_LINES(name, ...)                                                                \
    AVX512 static void name(const struct gram_threes *threes, const struct gram_threes_part *part) \
    {                                                                                              \
        add_lines((struct kind){__VA_ARGS__}, threes, part);                                       \
    }

DEFINE_ADD_LINES(whole_1, 1, 1, 0, false, false)
DEFINE_ADD_LINES(whole_2, 1, 2, 0, false, false)
DEFINE_ADD_LINES(whole_3, 1, 3, 0, false, false)
DEFINE_ADD_LINES(whole_1_own, 1, 1, 0, true, false)
DEFINE_ADD_LINES(whole_2_own, 1, 2, 0, true, false)
DEFINE_ADD_LINES(whole_3_own, 1, 3, 0, true, false)
DEFINE_ADD_LINES(whole_1_half, 1, 1, 1, true, false)
DEFINE_ADD_LINES(whole_2_half, 1, 2, 1, true, false)
DEFINE_ADD_LINES(whole_3_half, 1, 3, 1, true, false)
DEFINE_ADD_LINES(wide_1, 1, 1, 0, false, true)
DEFINE_ADD_LINES(wide_2, 1, 2, 0, false, true)
DEFINE_ADD_LINES(wide_3, 1, 3, 0, false, true)
DEFINE_ADD_LINES(wide_1_own, 1, 1, 0, true, true)
DEFINE_ADD_LINES(wide_2_own, 1, 2, 0, true, true)
DEFINE_ADD_LINES(wide_3_own, 1, 3, 0, true, true)
DEFINE_ADD_LINES(wide_1_half, 1, 1, 1, true, true)
DEFINE_ADD_LINES(wide_2_half, 1, 2, 1, true, true)
DEFINE_ADD_LINES(wide_3_half, 1, 3, 1, true, true)
DEFINE_ADD_LINES(halved_1, 2, 1, 0, false, false)
DEFINE_ADD_LINES(halved_2, 2, 2, 0, false, false)
DEFINE_ADD_LINES(halved_3, 2, 3, 0, false, false)
DEFINE_ADD_LINES(halved_1_own, 2, 1, 0, true, false)
DEFINE_ADD_LINES(halved_2_own, 2, 2, 0, true, false)
DEFINE_ADD_LINES(halved_3_own, 2, 3, 0, true, false)
DEFINE_ADD_LINES(halved_1_half, 2, 1, 1, true, false)
DEFINE_ADD_LINES(halved_2_half, 2, 2, 1, true, false)
DEFINE_ADD_LINES(halved_3_half, 2, 3, 1, true, false)
DEFINE_ADD_LINES(halved_1_mirrored, 2, 1, -1, true, false)
DEFINE_ADD_LINES(halved_2_mirrored, 2, 2, -1, true, false)
DEFINE_ADD_LINES(halved_3_mirrored, 2, 3, -1, true, false)

typedef void add_lines_of(const struct gram_threes *threes, const struct gram_threes_part *part);

static add_lines_of *lines_of(const struct gram_threes *threes, const struct gram_threes_part *part)
{
    static add_lines_of *const whole[][ROWS] = {
        {whole_1, whole_2, whole_3},
        {whole_1_own, whole_2_own, whole_3_own},
        {whole_1_half, whole_2_half, whole_3_half},
    };
    static add_lines_of *const wide[][ROWS] = {
        {wide_1, wide_2, wide_3},
        {wide_1_own, wide_2_own, wide_3_own},
        {wide_1_half, wide_2_half, wide_3_half},
    };
    static add_lines_of *const halved[][ROWS] = {
        {halved_1, halved_2, halved_3},
        {halved_1_own, halved_2_own, halved_3_own},
        {halved_1_half, halved_2_half, halved_3_half},
        {halved_1_mirrored, halved_2_mirrored, halved_3_mirrored},
    };
    int kind = part->half ? 2 : part->sums != NULL ? 1 : 0;
    if (!threes->halved && threes->width >= WIDE)
        return wide[kind][part->distances - 1];
    if (!threes->halved)
        return whole[kind][part->distances - 1];
    kind += part->half && threes->step < 0 ? 1 : 0;
    return halved[kind][part->distances - 1];
}

/* Some hundred places at a time: sums of float32 over thousands of squares would lose as many bits
 * again. */
void gram_threes_add(const struct gram_threes *threes, const struct gram_threes_part *all)
{
    add_lines_of *add = lines_of(threes, all);
    int64_t most = PART / threes->width < 1 ? 1 : PART / threes->width;
    int64_t l_step = least(all->lines.count, most),
            p_step = least(all->planes.count, most / l_step);
    struct gram_threes_part part = *all;
    for (int64_t p = 0; p < all->planes.count; p += p_step)
        for (int64_t l = 0; l < all->lines.count; l += l_step) {
            int64_t at = p * all->planes.step + l * all->lines.step;
            part.left = all->left + at;
            part.right = all->right + at;
            part.planes.count = least(p_step, all->planes.count - p);
            part.lines.count = least(l_step, all->lines.count - l);
            add(threes, &part);
        }
}

#else

bool gram_threes_match(const struct gram_shift *shift, struct gram_threes *out)
{
    (void)shift;
    (void)out;
    return false;
}

void gram_threes_add(const struct gram_threes *threes, const struct gram_threes_part *part)
{
    (void)threes; /* never called: nothing matches */
    (void)part;
}

#endif
